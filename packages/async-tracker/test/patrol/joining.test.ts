// Attempts whose message carried no trace context: their task is found by the message's id, whatever comes first.
import fc from 'fast-check'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { Incident, JournalEvent, TaskEvent } from '@afterspan/core/internal'
import { createPostgresLedger } from '../../src/ledger/postgres.ts'
import { createSqliteLedger } from '../../src/ledger/sqlite.ts'
import type { LedgerStore } from '../../src/ledger/store.ts'
import type { Batch } from '../../src/patrol/digest.ts'
import { tempDir } from '../../../testing/src/temp-dir.ts'
import { present, service, type MissingServer, type ServerOf } from '../../../testing/src/services.ts'
import {
  answered,
  confirmed,
  failed,
  lost,
  OTHER_WORKER,
  requestRef,
  spanId,
  spawned,
  started,
  strayIdOf,
  succeeded,
  TASK,
  taskIdOf,
  WEB,
  WORKER,
} from '../sample-events.ts'
import { Desk, requestCounts, taskCounts } from './desk.ts'
import { Stage } from './stage.ts'

const STREAM = { system: 'redis-streams', destination: 'orders', name: 'orders' }

function promise(at: number, messageId: string, more: { task?: number; destination?: string } = {}): TaskEvent[] {
  const taskId = taskIdOf(more.task)
  const description = { ...STREAM, ...(more.destination ? { destination: more.destination } : {}) }
  return [spawned(at, { taskId, ...description }), confirmed(at + 1, { taskId, messageId, description })]
}
/** An attempt that carries nothing but what its message is called. */
function run(at: number, span: number, messageId: string | undefined, ...ends: TaskEvent[]): TaskEvent[] {
  const taskId = strayIdOf(span)
  const origin = { traceId: taskId.slice(0, 32), spanId: spanId(span), sampled: true }
  const start = started(at, span, { origin, description: STREAM, ...(messageId ? { messageId } : {}) })
  return [start, ...ends].map((event) => ({ ...event, taskId }))
}
const web = (...events: JournalEvent[]): Batch => ({ by: WEB, events })
const worker = (...events: JournalEvent[]): Batch => ({ by: WORKER, events })

describe('an attempt without context', () => {
  const sending = web(...promise(1, '7-0'), answered(3, 1))
  const running = worker(...run(10, 1, '7-0', succeeded(20, 1)))

  test.for<[string, Batch[][]]>([
    ['is read after its promise', [[sending], [running]]],
    ['is read before its promise', [[running], [sending]]],
    ['is read with its promise', [[running, sending]]],
    [
      'is read bit by bit',
      [running, sending].flatMap(({ by, events }) => events.map((one) => [{ by, events: [one] }])),
    ],
    ['is read twice', [[sending], [running], [running], [sending, running]]],
    [
      'had begun when its promise was read',
      [[worker(...running.events.slice(0, 1))], [sending], [worker(...running.events.slice(1))]],
    ],
  ])('%s', async ([, rounds]) => {
    const desk = new Desk()
    for (const batches of rounds) await desk.feedAll(batches)
    expect(await desk.task()).toMatchObject({
      derived: { state: 'succeeded', duplicate: false, conflict: false },
      facts: { attempts: [{ spanId: spanId(1), joinedFrom: strayIdOf(1), end: { state: 'succeeded' } }] },
    })
    expect(await desk.ledger.find({ limit: 10 })).toHaveLength(1)
    expect(await desk.requests()).toMatchObject({ kept: 1 })
    expect(await desk.tasks()).toMatchObject({ succeeded: 1 })
    expect(await desk.spans()).toEqual([])
  })

  test.for<[string, Batch]>([
    ['of another id', worker(...run(10, 1, '7-1', succeeded(20, 1)))],
    ['of no id', worker(...run(10, 1, undefined, succeeded(20, 1)))],
    [
      'of an id of another place',
      worker(
        ...run(10, 1, '7-0', succeeded(20, 1)).map((event) =>
          'description' in event ? { ...event, description: { ...STREAM, destination: 'mails' } } : event,
        ),
      ),
    ],
  ])('%s stays a task of its own', async ([, other]) => {
    const desk = new Desk()
    await desk.feedAll([sending, other])
    expect((await desk.task())?.derived.state).toBe('enqueued')
    expect((await desk.task(strayIdOf(1)))?.derived.state).toBe('succeeded')
    expect(await desk.requests()).toEqual({})
  })

  test('whose message carried a context elsewhere is not looked for by its id', async () => {
    const desk = new Desk()
    await desk.feedAll([web(spawned(1, STREAM), confirmed(2, { messageId: '7-0' })), running])
    expect((await desk.task())?.derived.state).toBe('enqueued')
  })

  test('fails, and its request hears of it once, whatever comes first', async () => {
    for (const rounds of [
      [[sending], [worker(...run(10, 1, '7-0', failed(20, 1)))]],
      [[worker(...run(10, 1, '7-0', failed(20, 1)))], [sending]],
    ]) {
      const desk = new Desk()
      for (const batches of rounds) await desk.feedAll(batches)
      expect((await desk.task())?.derived.state).toBe('failed')
      expect(await desk.requests()).toMatchObject({ false_success: 1 })
      expect(await desk.tasks()).toMatchObject({ 'failed rejected': 1 })
      const spans = await desk.spans()
      const own = { traceId: strayIdOf(1).slice(0, 32), spanId: spanId(1) }
      const [inOrigin] = spans.filter(({ traceId }) => traceId === requestRef().traceId)
      expect(spans).toHaveLength(2)
      expect(spans).toContainEqual(expect.objectContaining(own))
      expect(inOrigin).toMatchObject({ name: 'process orders', parentSpanId: TASK.slice(32), links: [own] })
      expect(inOrigin?.attributes).toMatchObject({ 'error.type': 'RangeError', 'afterspan.task.state': 'failed' })
    }
  })

  test('is lost and done by the next: the trace of the request shows both', async () => {
    const desk = new Desk()
    await desk.feedAll([sending, worker(...run(10, 1, '7-0'))])
    await desk.feed(WORKER, lost(20, 1))
    await desk.feed(OTHER_WORKER, ...run(30, 2, '7-0', succeeded(40, 2)))
    expect((await desk.task())?.derived).toMatchObject({ state: 'succeeded', recovered: true, duplicate: false })
    expect(await desk.requests()).toMatchObject({ false_success: 1, recovered: 1 })
    const states = (await desk.spans()).flatMap(({ traceId, attributes }) =>
      traceId === requestRef().traceId ? [attributes['afterspan.task.state']] : [],
    )
    expect(states).toEqual(['lost', 'succeeded'])
  })

  test('that ran twice at once is a duplicate', async () => {
    const desk = new Desk()
    await desk.feedAll([
      worker(...run(10, 1, '7-0', succeeded(20, 1)), ...run(11, 2, '7-0', succeeded(21, 2))),
      sending,
    ])
    expect((await desk.task())?.derived).toMatchObject({ state: 'succeeded', duplicate: true })
  })

  test('of two groups is the work of each, whatever comes first', async () => {
    const group = (reader: string, span: number, end: TaskEvent): Batch => {
      const [start, ...rest] = run(10, span, '7-0', end)
      return { by: reader === 'mail' ? WORKER : OTHER_WORKER, events: [{ ...start, reader } as TaskEvent, ...rest] }
    }
    const property = fc.asyncProperty(
      fc.shuffledSubarray([sending, group('mail', 1, succeeded(20, 1)), group('stock', 2, failed(21, 2))], {
        minLength: 3,
      }),
      fc.array(fc.integer({ min: 1, max: 3 })),
      async (rest, sizes) => {
        const desk = new Desk()
        for (const size of [...sizes, 3]) if (rest.length > 0) await desk.feedAll(rest.splice(0, size))
        const rows = await desk.ledger.find({ limit: 9 })
        const ends = rows.map(({ facts, derived }) => `${facts.reader} ${derived.state}`)
        expect(ends.sort()).toEqual(['mail succeeded', 'stock failed'])
        expect(await desk.requests()).toMatchObject({ false_success: 1 })
        expect(await desk.tasks()).toMatchObject({ succeeded: 1, 'failed rejected': 1 })
        const inOrigin = (await desk.spans()).filter(({ traceId }) => traceId === requestRef().traceId)
        expect(inOrigin).toMatchObject([{ status: { code: 'error' }, parentSpanId: TASK.slice(32) }])
      },
    )
    await expect(fc.assert(property, { numRuns: 60 })).resolves.toBeUndefined()
  })

  test('gives what it spawned to the request, also what was read first', async () => {
    const child = (task: number, at: number): TaskEvent[] => [
      spawned(at, { taskId: taskIdOf(task, 9), parent: strayIdOf(1), origin: requestRef(9) }),
      failed(at + 1, 5, { taskId: taskIdOf(task, 9) }),
    ]
    for (const rounds of [
      [[sending], [worker(...run(10, 1, '7-0'), ...child(1, 11))]],
      [[worker(...run(10, 1, '7-0'), ...child(1, 11))], [sending]],
      [[worker(...child(1, 11))], [worker(...run(10, 1, '7-0'))], [sending]],
      [[worker(...run(10, 1, '7-0'))], [sending], [worker(...child(1, 11))]],
    ]) {
      const desk = new Desk()
      for (const batches of rounds) await desk.feedAll(batches)
      const row = await desk.task(taskIdOf(1, 9))
      expect(row).toMatchObject({
        depth: 1,
        requestKey: (await desk.task())?.requestKey,
        facts: { spawned: { parent: TASK } },
      })
      expect(await desk.requests()).toMatchObject({ false_success: 1 })
    }
  })
})

describe('a message that nobody is known to have sent', () => {
  /** By the number that its broker gives it. */
  const numbered = (at: number, n: number, messageId: string, ...ends: TaskEvent[]): TaskEvent[] =>
    run(at, n, messageId, ...ends).map((event) => ('attempt' in event ? { ...event, attempt: n } : event))
  const again = (at: number, span: number): TaskEvent => failed(at, span, { willRetry: true })
  const runs = [
    numbered(10, 1, '7-0', again(20, 1)),
    numbered(30, 2, '7-0', again(40, 2)),
    numbered(50, 3, '7-0', succeeded(60, 3)),
  ]
  const [first, second, third] = runs as [TaskEvent[], TaskEvent[], TaskEvent[]]

  test.for<[string, TaskEvent[][]]>([
    ['one after the other', runs],
    ['at once', [runs.flat()]],
    ['the last first', runs.toReversed()],
    ['event by event', runs.flat().map((event) => [event])],
    ['twice', [...runs, ...runs, runs.flat()]],
  ])('did not stay open for each run that was tried again, read %s', async ([, batches]) => {
    const desk = new Desk()
    for (const events of batches) await desk.feed(WORKER, ...events)
    const rows = await desk.ledger.find({ limit: 9 })
    expect(rows).toMatchObject([
      {
        derived: { state: 'succeeded', duplicate: false, conflict: false },
        facts: { taskId: strayIdOf(1), attempts: [{ n: 1 }, { n: 2 }, { n: 3 }] },
      },
    ])
    expect(await desk.tasks()).toMatchObject({ succeeded: 1 })
    expect([...(await desk.ledger.joined([strayIdOf(2), strayIdOf(3)])).values()]).toEqual([strayIdOf(1), strayIdOf(1)])
  })

  test('gives all its runs to who turns out to have sent it', async () => {
    const desk = new Desk()
    for (const events of [third, second, first]) await desk.feed(WORKER, ...events)
    await desk.feed(WEB, ...promise(1, '7-0'), answered(3, 1))
    expect(await desk.ledger.find({ limit: 9 })).toHaveLength(1)
    expect(await desk.task()).toMatchObject({
      derived: { state: 'succeeded' },
      facts: { attempts: [1, 2, 3].map((n) => ({ n, joinedFrom: strayIdOf(n) })) },
    })
    expect(await desk.requests()).toMatchObject({ kept: 1 })
  })

  test('is another when it is counted from 1 again, and one whose runs are not counted goes on while it is to come again', async () => {
    const desk = new Desk()
    const reused = run(30, 2, '7-0', succeeded(40, 2)).map((e) => ('attempt' in e ? { ...e, attempt: 1 } : e))
    await desk.feed(WORKER, ...first, ...reused)
    expect((await desk.ledger.find({ limit: 9 })).map(({ derived }) => derived.state)).toEqual([
      'succeeded',
      'retrying',
    ])
    const uncounted = new Desk()
    await uncounted.feed(WORKER, ...run(10, 1, '8-0', again(20, 1)), ...run(30, 2, '8-0', succeeded(40, 2)))
    await uncounted.feed(WORKER, ...run(50, 3, '8-0', succeeded(60, 3)))
    const states = (await uncounted.ledger.find({ limit: 9 })).map(({ derived }) => derived.state)
    expect(states).toEqual(['succeeded', 'succeeded'])
  })

  test('is recovered where its first run was lost, and not told again', async () => {
    const desk = new Desk()
    await desk.feed(WORKER, ...numbered(10, 1, '7-0'))
    await desk.feed(WORKER, { ...lost(20, 1), taskId: strayIdOf(1) })
    await desk.feed(OTHER_WORKER, ...numbered(30, 2, '7-0', succeeded(40, 2)))
    expect((await desk.task(strayIdOf(1)))?.derived).toMatchObject({ state: 'succeeded', recovered: true })
    expect(
      (await desk.spans()).map(({ traceId, attributes }) => [traceId, attributes['afterspan.task.state']]),
    ).toEqual([[strayIdOf(1).slice(0, 32), 'lost']])
  })
})

describe('an id that is used again', () => {
  const first = promise(1_000, '7-0')
  const second = promise(9_000, '7-0', { task: 1 })
  const batches: Batch[] = [
    { by: WEB, events: first },
    { by: '00000000000000d0.0', events: second },
    { by: WORKER, events: run(2_000, 1, '7-0', succeeded(3_000, 1)) },
    { by: OTHER_WORKER, events: run(9_500, 2, '7-0', failed(9_900, 2)) },
  ]

  test('names each time the newest promise, in whatever order all of it is read', async () => {
    const property = fc.asyncProperty(
      fc.shuffledSubarray([0, 1, 2, 3], { minLength: 4 }),
      fc.array(fc.integer({ min: 1, max: 4 })),
      async (order, sizes) => {
        const desk = new Desk()
        const rest = order.map((n) => batches[n]!)
        for (const size of [...sizes, 4]) if (rest.length > 0) await desk.feedAll(rest.splice(0, size))
        expect((await desk.task(taskIdOf(0)))?.derived).toMatchObject({ state: 'succeeded', duplicate: false })
        expect((await desk.task(taskIdOf(1)))?.derived).toMatchObject({ state: 'failed', conflict: false })
        expect(await desk.ledger.find({ limit: 9 })).toHaveLength(2)
      },
    )
    await expect(fc.assert(property, { numRuns: 100 })).resolves.toBeUndefined()
  })
})

describe('from the journals', () => {
  let postgres: ServerOf['postgres'] | MissingServer
  beforeAll(async () => {
    postgres = await service('postgres')
  }, 60_000)
  afterAll(async () => {
    if (!('missing' in postgres)) await postgres.stop()
  })
  const incidents: Incident[] = []
  const outcome = async (ledger: LedgerStore): Promise<unknown> => ({
    tasks: (await ledger.find({ limit: 9 })).map(({ derived, requestKey }) => [derived.state, requestKey]),
    requests: await requestCounts(ledger),
    counted: (await taskCounts(ledger))['failed rejected'],
  })
  const expected = {
    tasks: [['failed', `${requestRef().traceId}${requestRef().spanId}`]],
    requests: { false_success: 1, recovered: 0 },
    counted: 1,
  }

  test('one task and one report of it, in SQLite', async () => {
    const stage = new Stage(createSqliteLedger(tempDir('joining')))
    const patrol = await stage.patrol({ onIncidents: (told) => incidents.push(...told) })
    stage.write(WORKER, ...run(10, 1, '7-0', failed(20, 1)))
    await patrol.sweepOnce()
    stage.write(WEB, ...promise(1, '7-0'), answered(3, 1))
    await patrol.sweepOnce()
    await patrol.sweepOnce()
    expect(await outcome(stage.ledger)).toEqual(expected)
    expect(incidents.map(({ kind }) => kind)).toEqual(['task_failed'])
    expect(new Set(stage.spanIds()).size).toBe(stage.spanIds().length)
    expect(stage.spans().map(({ traceId }) => traceId)).toContain(requestRef().traceId)
    await patrol.close()
  })

  test('one task of two hosts, in PostgreSQL, whichever is read first', async (context) => {
    const { url } = present(postgres, context)
    const here = new Stage(createPostgresLedger({ url, folder: 'a'.repeat(32) }))
    const there = new Stage(createPostgresLedger({ url, folder: 'b'.repeat(32) }))
    const [web, worker] = [await here.patrol(), await there.patrol()]
    there.write(WORKER, ...run(10, 1, '7-0'))
    await worker.sweepOnce()
    here.write(WEB, ...promise(1, '7-0'), answered(3, 1))
    await web.sweepOnce()
    there.write(WORKER, ...run(10, 1, '7-0', failed(20, 1)).slice(1))
    await worker.sweepOnce()
    expect(await outcome(here.ledger)).toMatchObject({ tasks: expected.tasks })
    expect(there.spans().map(({ traceId }) => traceId)).toContain(requestRef().traceId)
    await Promise.all([web.close(), worker.close()])
  })
})
