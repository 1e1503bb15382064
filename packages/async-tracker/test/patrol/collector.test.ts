// The collector is away, refuses, or comes back.
import { mkdirSync, readdirSync, utimesSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { encodeSpan, encodeTraceRequest, OTLP_KIND, type OtlpReply } from '@afterspan/core/internal'
import { failed, ms, opened, spanId, started, taskIdOf, WORKER } from '../sample-events.ts'
import { deferred, pollUntil } from '../../../testing/src/signals.ts'
import { spoolIn } from '../journal/span-files.ts'
import { spansIn } from './desk.ts'
import { DOWN, OK, REFUSED, Stage } from './stage.ts'

/** A stage with so many failed attempts to tell. */
function setStage(count: number): Stage {
  const stage = new Stage()
  for (let n = 0; n < count; n++) {
    const task = { taskId: taskIdOf(n) }
    stage.write(WORKER, started(4, n, task), failed(5, n, task))
  }
  return stage
}
function outbox(stage: Stage): Promise<readonly { readonly spanId: string }[]> {
  return stage.ledger.dueOutbox(ms(1e15), 10_000)
}

describe('a collector that is away', () => {
  test('is asked again after 1, 2, 4 ... seconds, at most a minute, and gets the same bytes when it is back', async () => {
    const stage = setStage(1)
    stage.reply = DOWN
    const patrol = await stage.patrol()
    const asked: number[] = []
    const from = stage.clock.now()
    while (asked.length < 9) {
      const before = stage.posted.length
      expect(await patrol.sweepOnce()).toMatchObject({ reported: 0 })
      if (stage.posted.length > before) asked.push((stage.clock.now() - from) / 1000)
      await stage.clock.advance(250)
    }
    expect(asked).toEqual([0, 1, 3, 7, 15, 31, 63, 123, 183])
    expect(stage.failures).toEqual(Array(9).fill('ECONNREFUSED'))
    expect(await outbox(stage)).toHaveLength(1)

    stage.reply = OK
    await stage.clock.advance(60_000)
    expect(await patrol.sweepOnce()).toMatchObject({ reported: 1 })
    expect(new Set(stage.posted.map((body) => Buffer.from(body).toString('hex'))).size).toBe(1)
    expect(await outbox(stage)).toEqual([])
    expect((await stage.ledger.tasks([taskIdOf()])).get(taskIdOf())?.facts.reported).toEqual([spanId(0)])
    expect(patrol.totals.undelivered.refused).toBe(0)
  })
  test('says when to come again, and is not asked before', async () => {
    const stage = setStage(1)
    stage.reply = { ok: false, retryable: true, reason: 'http_429', retryAfterMs: 30_000 }
    const patrol = await stage.patrol()
    await patrol.sweepOnce()
    stage.reply = OK
    await stage.clock.advance(29_999)
    expect(await patrol.sweepOnce()).toMatchObject({ reported: 0 })
    await stage.clock.advance(1)
    expect(await patrol.sweepOnce()).toMatchObject({ reported: 1 })
  })
  test('never costs a report, however long it is away', async () => {
    const stage = setStage(3)
    stage.reply = DOWN
    const patrol = await stage.patrol()
    for (let n = 0; n < 200; n++) {
      await patrol.sweepOnce()
      await stage.clock.advance(60_000)
    }
    expect(await outbox(stage)).toHaveLength(3)
    expect(patrol.totals.undelivered.refused).toBe(0)
  })
  test('does not keep what happens meanwhile from the ledger, and is told that too', async () => {
    const stage = setStage(1)
    stage.reply = DOWN
    const patrol = await stage.patrol()
    await patrol.sweepOnce()
    stage.write(WORKER, started(6, 50, { taskId: taskIdOf(50) }), failed(7, 50, { taskId: taskIdOf(50) }))
    expect(await patrol.sweepOnce()).toMatchObject({ ingested: 2 })
    stage.reply = OK
    await stage.clock.advance(2_000)
    await patrol.sweepOnce()
    expect(new Set(stage.spanIds())).toEqual(new Set([spanId(0), spanId(50)]))
  })
})

describe('a collector that hangs', () => {
  test('does not keep the patrol from the next sweeps, and is not asked twice', async () => {
    const stage = setStage(1)
    const answer = deferred<OtlpReply>()
    let asked = 0
    const post = async (): Promise<OtlpReply> => {
      asked++
      return answer.promise
    }
    const patrol = await stage.patrol({ post })
    expect(await patrol.sweepOnce(1)).toMatchObject({ ingested: 3, reported: 0 })
    stage.write(WORKER, started(6, 50, { taskId: taskIdOf(50) }), failed(7, 50, { taskId: taskIdOf(50) }))
    expect(await patrol.sweepOnce(1)).toMatchObject({ ingested: 2, reported: 0 })
    expect(asked).toBe(1)
    answer.resolve(OK)
    await pollUntil(async () => (await patrol.sweepOnce(1)).reported === 1)
    expect(await outbox(stage)).toEqual([])
  })
})

describe('a collector that refuses', () => {
  test('is asked five times, then the report is dropped and counted', async () => {
    const stage = setStage(2)
    stage.reply = { ...REFUSED, reason: 'http_404' }
    const patrol = await stage.patrol()
    for (let n = 1; n <= 10; n++) {
      await patrol.sweepOnce()
      expect([n, patrol.totals.undelivered.refused]).toEqual([n, n < 5 ? 0 : 2])
      await stage.clock.advance(60_000)
    }
    expect(stage.failures).toHaveLength(5)
    expect(await outbox(stage)).toEqual([])
    const [row] = await stage.ledger.find({ limit: 1 })
    expect(row?.facts.reported).toEqual([])
  })
  test('and was away before: that does not count against the report', async () => {
    const stage = setStage(1)
    const patrol = await stage.patrol()
    const round = async (reply: OtlpReply, times: number): Promise<void> => {
      stage.reply = reply
      for (let n = 0; n < times; n++) {
        await patrol.sweepOnce()
        await stage.clock.advance(60_000)
      }
    }
    await round(DOWN, 20)
    await round(REFUSED, 4)
    await round(DOWN, 20)
    expect(await outbox(stage)).toHaveLength(1)
    await round(OK, 1)
    expect(stage.spanIds()).toContain(spanId(0))
    expect(patrol.totals.undelivered.refused).toBe(0)
  })
  test('because of one span gets all the others at once', async () => {
    const stage = setStage(100)
    const poison = spanId(37)
    const taken: string[] = []
    const post = async (_: unknown, body: Uint8Array): Promise<OtlpReply> => {
      const ids = spansIn(body).map((span) => span.spanId)
      if (ids.includes(poison)) return REFUSED
      taken.push(...ids)
      return OK
    }
    const patrol = await stage.patrol({ post })
    expect(await patrol.sweepOnce()).toMatchObject({ reported: 99 })
    expect(taken).toHaveLength(99)
    expect((await outbox(stage)).map((row) => row.spanId)).toEqual([poison])
    for (let n = 0; n < 4; n++) {
      await stage.clock.advance(60_000)
      await patrol.sweepOnce()
    }
    expect(patrol.totals.undelivered.refused).toBe(1)
    expect(taken).toHaveLength(99)
  })
})

test('of many spans a hundred went in each sweep, so that ten thousand took minutes', async () => {
  const stage = setStage(2_050)
  const patrol = await stage.patrol()
  expect(await patrol.sweepOnce()).toMatchObject({ reported: 2_000 })
  expect(await patrol.sweepOnce()).toMatchObject({ reported: 50 })
  expect(stage.posted).toHaveLength(21)
  expect(new Set(stage.spanIds()).size).toBe(2_050)
})

test('without a collector nothing is told, and nothing is kept for it', async () => {
  const stage = setStage(2)
  const patrol = await stage.patrol({ otlp: undefined })
  expect(await patrol.sweepOnce()).toMatchObject({ ingested: 5, reported: 0 })
  expect(await outbox(stage)).toEqual([])
  expect(stage.posted).toEqual([])
})

describe('what a process could not deliver before it ended', () => {
  const SPAN = { name: 'x', kind: OTLP_KIND.client, startMs: 1, endMs: 2, attributes: {} }
  const BODY = Buffer.from('a whole export request')
  /** A spooled body whose writer has had its time. */
  function spooled(stage: Stage, ...numbers: number[]): void {
    const spool = spoolIn(stage.dir)
    for (const n of numbers) {
      const file = spool.begin(n > 9)
      file.append(Buffer.concat([BODY, Buffer.from([n])]))
      file.keep(1)
    }
    settle(stage)
  }
  function settle(stage: Stage): void {
    const at = stage.clock.now() / 1000
    for (const file of files(stage)) utimesSync(join(stage.dir, 'spool', file), at, at)
  }
  function files(stage: Stage): string[] {
    return readdirSync(join(stage.dir, 'spool')).sort()
  }

  test('is sent by the patrol, once it is sure that nobody else is at it, and removed', async () => {
    const stage = new Stage()
    const patrol = await stage.patrol()
    spooled(stage, 1, 2)
    await stage.clock.advance(1_500)
    await patrol.sweepOnce()
    expect(stage.posted).toEqual([])
    await stage.clock.advance(1)
    await patrol.sweepOnce()
    expect(new Set(stage.posted.map((body) => body.at(-1)))).toEqual(new Set([1, 2]))
    expect(files(stage)).toEqual([])
  })
  test('waits while the collector is away, and goes with what it refuses', async () => {
    const stage = new Stage()
    const patrol = await stage.patrol()
    spooled(stage, 1)
    await stage.clock.advance(10_000)
    stage.reply = DOWN
    await patrol.sweepOnce()
    expect(files(stage)).toHaveLength(1)
    stage.reply = REFUSED
    await patrol.sweepOnce()
    expect(files(stage)).toHaveLength(1)
    await stage.clock.advance(1_000)
    await patrol.sweepOnce()
    expect(files(stage)).toEqual([])
    expect(patrol.totals.undelivered.refused).toBe(1)
  })
  test('is tried five times where the collector is set up wrongly', async () => {
    const stage = new Stage()
    const patrol = await stage.patrol()
    spooled(stage, 1, 2)
    stage.reply = { ...REFUSED, reason: 'http_404' }
    for (let n = 1; n <= 5; n++) {
      await stage.clock.advance(60_000)
      await patrol.sweepOnce()
      expect([n, stage.posted.length, files(stage).length]).toEqual([n, n, n < 5 ? 2 : 1])
    }
  })
  test('goes to the collector with the errors first', async () => {
    const stage = new Stage()
    const patrol = await stage.patrol()
    spooled(stage, 1, 10, 2, 11)
    await stage.clock.advance(10_000)
    await patrol.sweepOnce()
    expect(stage.posted.map((body) => body.at(-1))).toEqual([10, 11, 1, 2])
  })
  test('waits with what is left of it, where it goes in parts and the collector goes away on the way', async () => {
    const stage = new Stage()
    const spans = [1, 2, 3, 4].map((n) =>
      encodeSpan({ ...SPAN, traceId: String(n).padStart(32, '0'), spanId: String(n).padStart(16, '0') }),
    )
    const file = spoolIn(stage.dir).begin(true)
    file.append(encodeTraceRequest({}, [{ scope: { name: 'a' }, spans }]))
    file.keep(4)
    settle(stage)
    const replies = [{ ...REFUSED, reason: 'http_413' }, OK, DOWN]
    const patrol = await stage.patrol({
      post: (_, body) => {
        stage.reply = replies.shift() ?? OK
        return stage.post(body)
      },
    })
    await stage.clock.advance(10_000)
    await patrol.sweepOnce()
    expect(files(stage)).toEqual([expect.stringMatching(/\.2\.errors\.otlp$/)])
    settle(stage)
    await stage.clock.advance(10_000)
    await patrol.sweepOnce()
    const names = stage.posted.map((body) => spansIn(body).map(({ spanId }) => Number(spanId)))
    expect(names).toEqual([
      [1, 2, 3, 4],
      [1, 2],
      [3, 4],
      [3, 4],
    ])
    expect(files(stage)).toEqual([])
  })
  test('is left alone where it is no such file', async () => {
    const stage = new Stage()
    mkdirSync(join(stage.dir, 'spool'))
    writeFileSync(join(stage.dir, 'spool', 'notes.txt'), 'x')
    settle(stage)
    await stage.clock.advance(10_000)
    await (await stage.patrol()).sweepOnce()
    expect(stage.posted).toEqual([])
    expect(files(stage)).toEqual(['notes.txt'])
  })
})

test('an encoded resource names the process whose span it is', async () => {
  const stage = new Stage()
  stage.write(WORKER, { ...opened(WORKER), at: ms(2) }, started(4, 1), failed(5, 1))
  await (await stage.patrol()).sweepOnce()
  expect(stage.spans()).toMatchObject([{ resource: { 'service.name': 'shop' } }])
})
