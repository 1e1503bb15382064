import { chownSync, existsSync, mkdirSync, readFileSync, statSync, symlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import type { JournalEvent } from '@afterspan/core/internal'
import { createFlightFile } from '../../src/journal/flight.ts'
import { journalDir } from '../../src/journal/segment.ts'
import { recordOf } from '../journal/bytes.ts'
import type { Knocked } from '../../src/door.ts'
import type { ProcessRow } from '../../src/ledger/store.ts'
import { MemoryLedger } from '../ledger/memory-ledger.ts'
import {
  answered,
  confirmed,
  failed,
  ms,
  OTHER_WORKER,
  received,
  requestRef,
  spanId,
  spawned,
  started,
  succeeded,
  TASK,
  taskIdOf,
  WEB,
  WORKER,
} from '../sample-events.ts'
import { requestCounts, taskCounts } from './desk.ts'
import { Stage } from './stage.ts'

const PROMISED: readonly JournalEvent[] = [spawned(1), confirmed(2), answered(3, 1)]

async function stateOf(stage: Stage, taskId = TASK): Promise<string | undefined> {
  return (await stage.ledger.tasks([taskId])).get(taskId)?.derived.state
}

test('tasks of which each has another name are counted together from the 501st on, by this patrol and the next', async () => {
  const stage = new Stage()
  const counted = async (): Promise<number[]> => {
    const rows = (await stage.ledger.counters()).filter(({ labels }) => labels['state'] === 'succeeded')
    const others = rows.find(({ labels }) => labels['destination'] === '_OTHER')
    return [rows.length, others?.value ?? 0, rows.reduce((sum, { value }) => sum + value, 0)]
  }
  const work = (from: number, to: number): void => {
    for (let n = from; n < to; n++) {
      const what = { taskId: taskIdOf(n), system: 'process', destination: `email ${n}`, name: `email ${n}` }
      const spanId = what.taskId.slice(32)
      stage.write(WEB, spawned(n, what), started(n, n, { taskId: what.taskId, spanId }))
      stage.write(WEB, succeeded(n, n, { taskId: what.taskId, spanId }))
    }
  }
  work(0, 600)
  await (await stage.patrol()).sweepOnce()
  expect(await counted()).toEqual([501, 100, 600])
  work(600, 700)
  await (await stage.patrol()).sweepOnce()
  expect(await counted()).toEqual([501, 200, 700])
})

describe('reading', () => {
  test('what was written is read once, and what is written later, then', async () => {
    const stage = new Stage()
    const patrol = await stage.patrol()
    expect(await patrol.sweepOnce()).toEqual({ ingested: 0, examined: 0, lost: 0, reported: 0 })
    stage.write(WEB, ...PROMISED)
    stage.write(WORKER, started(4, 1))
    expect(await patrol.sweepOnce()).toEqual({ ingested: 6, examined: 2, lost: 0, reported: 0 })
    expect(await patrol.sweepOnce()).toMatchObject({ ingested: 0 })
    stage.write(WORKER, succeeded(5, 1))
    expect(await patrol.sweepOnce()).toMatchObject({ ingested: 1 })
    expect(await stateOf(stage)).toBe('succeeded')
    expect(await requestCounts(stage.ledger)).toMatchObject({ kept: 1, false_success: 0 })
  })
  test('the next patrol goes on where the last one was', async () => {
    const stage = new Stage()
    stage.write(WEB, ...PROMISED)
    await (await stage.patrol()).sweepOnce()
    stage.write(WORKER, started(4, 1))
    expect(await (await stage.patrol()).sweepOnce()).toMatchObject({ ingested: 2 })
  })
  test('half a record waits for its other half; of a dead writer it is torn, and counted', async () => {
    const stage = new Stage()
    const patrol = await stage.patrol()
    const record = recordOf(started(4, 1))
    stage.write(WEB, ...PROMISED)
    stage.append(WEB, record.subarray(0, 20))
    expect(await patrol.sweepOnce()).toMatchObject({ ingested: 4 })
    stage.append(WEB, record.subarray(20))
    expect(await patrol.sweepOnce()).toMatchObject({ ingested: 1 })
    stage.append(WEB, record.subarray(0, 20))
    stage.seen.set(WEB, 'dead')
    await patrol.sweepOnce()
    expect(patrol.totals.torn).toBe(1)
  })
  test('a backlog of many megabytes is read in one sweep', async () => {
    const stage = new Stage()
    const message = 'x'.repeat(50_000)
    const tasks = Array.from({ length: 100 }, (_, n) => spawned(n, { taskId: taskIdOf(n), name: message }))
    stage.write(WEB, ...tasks)
    const patrol = await stage.patrol()
    expect(await patrol.sweepOnce()).toMatchObject({ ingested: 101 })
    expect(await stage.ledger.countsByState()).toMatchObject({ pending: 100 })
  })
  test('only regular files of the own user with the name of a segment are read', async () => {
    const stage = new Stage()
    const folder = journalDir(stage.dir)
    const bytes = Buffer.concat(PROMISED.map(recordOf))
    const name = (n: number): string => join(folder, `00000000000000${n}.0.000001.wal`)
    writeFileSync(join(stage.dir, 'elsewhere'), bytes)
    symlinkSync(join(stage.dir, 'elsewhere'), name(10))
    mkdirSync(name(11))
    for (const file of [
      'notes.txt',
      'abc.0.000001.wal',
      '0000000000000012.0.1.wal',
      '0000000000000012.0.000001.wal.bak',
    ])
      writeFileSync(join(folder, file), bytes)
    if (process.getuid?.() === 0) {
      writeFileSync(name(13), bytes)
      chownSync(name(13), 12_345, 12_345)
    }
    const patrol = await stage.patrol()
    expect(await patrol.sweepOnce()).toMatchObject({ ingested: 0 })
    expect(existsSync(name(11))).toBe(true)
  })
})

describe('a death', () => {
  test('what was open is lost, and told; once', async () => {
    const stage = new Stage()
    const patrol = await stage.patrol()
    stage.write(WEB, ...PROMISED)
    stage.write(WORKER, started(4, 1))
    await patrol.sweepOnce()
    stage.seen.set(WORKER, 'dead')
    expect(await patrol.sweepOnce()).toEqual({ ingested: 0, examined: 2, lost: 1, reported: 1 })
    expect(await patrol.sweepOnce()).toMatchObject({ lost: 0, reported: 0 })
    expect(await stateOf(stage)).toBe('lost')
    expect(await requestCounts(stage.ledger)).toMatchObject({ false_success: 1 })
    expect(stage.spanIds()).toEqual([spanId(1)])
    const row = (await stage.ledger.tasks([TASK])).get(TASK)
    expect(row?.facts.reported).toEqual([spanId(1)])
    expect(patrol.processes.get(WORKER)?.deadAt).toBe(stage.clock.now())
  })
  test('its last breath counts: what it wrote before is read first', async () => {
    const stage = new Stage()
    const patrol = await stage.patrol()
    stage.write(WEB, ...PROMISED)
    stage.write(WORKER, started(4, 1))
    await patrol.sweepOnce()
    stage.write(WORKER, succeeded(5, 1))
    stage.rotate(WORKER)
    stage.write(WORKER, started(6, 2, { taskId: taskIdOf(1) }), { kind: 'exiting', at: ms(7), code: 9 })
    stage.seen.set(WORKER, 'dead')
    await patrol.sweepOnce()
    expect(await stateOf(stage)).toBe('succeeded')
    const other = (await stage.ledger.tasks([taskIdOf(1)])).get(taskIdOf(1))
    expect(other?.derived).toMatchObject({ state: 'lost', reason: 'process_exit', evidence: 'exit_record' })
  })
  test('what it wrote while it was looked at is read before anything is called lost', async () => {
    const stage = new Stage()
    const patrol = await stage.patrol({
      look: ({ key }) => {
        if (key !== WORKER) return 'alive'
        stage.write(WORKER, succeeded(5, 1))
        return 'dead'
      },
    })
    stage.write(WORKER, started(4, 1))
    await patrol.sweepOnce()
    expect(await stateOf(stage)).toBe('succeeded')
  })
  test('of a sender: the message was never enqueued; its worker proves the contrary later', async () => {
    const stage = new Stage()
    const patrol = await stage.patrol()
    stage.write(WEB, spawned(1), answered(2, 1))
    stage.seen.set(WEB, 'dead')
    await patrol.sweepOnce()
    expect((await stage.ledger.tasks([TASK])).get(TASK)?.derived).toMatchObject({ reason: 'never_enqueued' })
    expect(stage.spanIds()).toEqual([TASK.slice(32)])
    stage.write(WORKER, started(4, 1), succeeded(5, 1))
    await patrol.sweepOnce()
    expect((await stage.ledger.tasks([TASK])).get(TASK)?.derived).toMatchObject({ state: 'succeeded', recovered: true })
    expect(await requestCounts(stage.ledger)).toEqual({ false_success: 1, recovered: 1 })
  })
  test('a process of which nothing can be said is never lost, however long', async () => {
    const stage = new Stage()
    const patrol = await stage.patrol()
    stage.write(WORKER, started(4, 1))
    stage.seen.set(WORKER, 'unknown')
    for (let day = 0; day < 30; day++) {
      expect(await patrol.sweepOnce()).toMatchObject({ lost: 0 })
      await stage.clock.advance(86_400_000)
    }
    expect(await stateOf(stage)).toBe('running')
    expect(stage.files()).toHaveLength(1)
  })
  test('a stopped process is stalled, and not any more when it goes on, or is dead', async () => {
    const stage = new Stage()
    const patrol = await stage.patrol()
    stage.write(WORKER, started(4, 1))
    for (const [liveness, isStalled] of [
      ['stalled', true],
      ['stalled', true],
      ['alive', false],
      ['stalled', true],
      ['unknown', false],
      ['stalled', true],
    ] as const) {
      stage.seen.set(WORKER, liveness)
      expect(await patrol.sweepOnce()).toMatchObject({ lost: 0 })
      expect([liveness, patrol.isStalled(WORKER)]).toEqual([liveness, isStalled])
    }
    stage.seen.set(WORKER, 'dead')
    expect(await patrol.sweepOnce()).toMatchObject({ lost: 1 })
    expect(patrol.isStalled(WORKER)).toBe(false)
  })
  test('two that ran the same task and died together are two losses of one task', async () => {
    const stage = new Stage()
    const patrol = await stage.patrol()
    stage.write(WORKER, started(4, 1))
    stage.write(OTHER_WORKER, started(5, 2))
    stage.seen.set(WORKER, 'dead').set(OTHER_WORKER, 'dead')
    expect(await patrol.sweepOnce()).toMatchObject({ lost: 2, reported: 2 })
    expect(await taskCounts(stage.ledger)).toMatchObject({ 'lost process_killed': 1 })
  })
  test('the time from its last sign of life to the proof is noted', async () => {
    const stage = new Stage()
    const patrol = await stage.patrol()
    stage.write(WORKER, started(4, 1))
    await patrol.sweepOnce()
    await stage.clock.advance(750)
    stage.seen.set(WORKER, 'dead')
    await patrol.sweepOnce()
    expect(patrol.totals.detectionSeconds).toEqual([0.75])
    expect(patrol.totals.lastRunAt).toBe(stage.clock.now())
  })
  test('one that was dead before this patrol came has no such time', async () => {
    const stage = new Stage()
    stage.write(WORKER, started(4, 1))
    stage.seen.set(WORKER, 'dead')
    const patrol = await stage.patrol()
    expect(await patrol.sweepOnce()).toMatchObject({ lost: 1 })
    expect(patrol.totals.detectionSeconds).toEqual([])
  })
})

describe('requests that a dead process had in flight', () => {
  function inFlight(stage: Stage, ...numbers: number[]): void {
    const log = createFlightFile(stage.dir, WEB, () => expect.unreachable())
    for (const n of numbers) log.open(received(n, n, { parentSpanId: spanId(n) }))
  }
  test('are told, and counted as failed; one that was answered in the last moment is not', async () => {
    const stage = new Stage()
    const patrol = await stage.patrol()
    stage.write(WEB, spawned(1), confirmed(2))
    inFlight(stage, 1, 2)
    await patrol.sweepOnce()
    expect(await requestCounts(stage.ledger)).toEqual({})
    stage.write(WEB, answered(3, 1), { kind: 'exiting', at: ms(4), code: 143, signal: 'SIGTERM' })
    stage.seen.set(WEB, 'dead')
    expect(await patrol.sweepOnce()).toMatchObject({ lost: 1, reported: 1 })
    expect(stage.spans()).toMatchObject([
      {
        traceId: requestRef(2).traceId,
        spanId: requestRef(2).spanId,
        parentSpanId: spanId(2),
        name: 'POST',
        kind: 'server',
        startMs: 2,
        endMs: stage.clock.now(),
        status: { code: 'error', message: 'the process was ended by SIGTERM' },
        attributes: { 'http.request.method': 'POST', 'url.path': '/orders', 'afterspan.http.aborted_by': 'crash' },
      },
    ])
    expect(await requestCounts(stage.ledger)).toMatchObject({ failed: 1, false_success: 0 })
    expect(stage.files()).toEqual([])
  })
  test('of a living process nobody is told anything', async () => {
    const stage = new Stage()
    stage.write(WEB)
    inFlight(stage, 1)
    const patrol = await stage.patrol()
    expect(await patrol.sweepOnce()).toMatchObject({ lost: 0, reported: 0 })
    expect(stage.files()).toHaveLength(2)
  })
})

describe('files', () => {
  test('of the dead go once they are read; those of the living stay, but for what has a successor', async () => {
    const stage = new Stage()
    const patrol = await stage.patrol()
    for (const key of [WEB, WORKER, OTHER_WORKER])
      stage.write(key, spawned(1, { taskId: taskIdOf(key === WEB ? 1 : 2) }))
    for (const key of [WEB, WORKER]) {
      stage.rotate(key)
      stage.rotate(key)
    }
    stage.seen.set(WORKER, 'dead')
    await patrol.sweepOnce()
    expect(stage.files()).toEqual([`${WEB}.000003.wal`, `${OTHER_WORKER}.000001.wal`])
    expect(await stage.ledger.segments()).toEqual(
      new Map([
        [`${WEB}.000003.wal`, statSync(stage.segment(WEB)).size],
        [`${OTHER_WORKER}.000001.wal`, statSync(stage.segment(OTHER_WORKER)).size],
      ]),
    )
  })
  test('a segment that got more, and a successor, after it was read is kept until that is read too', async () => {
    class Slow extends MemoryLedger {
      meanwhile: (() => void) | undefined
      override async commit(change: Parameters<MemoryLedger['commit']>[0]): Promise<void> {
        await super.commit(change)
        this.meanwhile?.()
        this.meanwhile = undefined
      }
    }
    const ledger = new Slow()
    const stage = new Stage(ledger)
    const patrol = await stage.patrol()
    stage.write(WEB, spawned(1))
    ledger.meanwhile = () => {
      stage.write(WEB, confirmed(2))
      stage.rotate(WEB)
    }
    await patrol.sweepOnce()
    await patrol.sweepOnce()
    expect(await stateOf(stage)).toBe('enqueued')
    expect(stage.files()).toEqual([`${WEB}.000002.wal`])
  })
  test('a torn end of a segment with a successor is read over, and the segment goes', async () => {
    const stage = new Stage()
    const patrol = await stage.patrol()
    stage.write(WEB, spawned(1))
    stage.append(WEB, recordOf(confirmed(2)).subarray(0, 30))
    await patrol.sweepOnce()
    stage.rotate(WEB)
    stage.write(WEB, confirmed(2))
    await patrol.sweepOnce()
    expect(stage.files()).toEqual([`${WEB}.000002.wal`])
    expect(patrol.totals.torn).toBe(1)
    expect(await stateOf(stage)).toBe('enqueued')
  })
  test('what an earlier patrol, which died, did not get to remove goes too', async () => {
    const stage = new Stage()
    const patrol = await stage.patrol()
    stage.write(WORKER, started(4, 1))
    createFlightFile(stage.dir, WORKER, () => expect.unreachable()).open(received(1))
    const left = readFileSync(stage.segment(WORKER))
    stage.seen.set(WORKER, 'dead')
    await patrol.sweepOnce()
    expect(stage.files()).toEqual([])
    stage.append(WORKER, left)
    createFlightFile(stage.dir, WORKER, () => expect.unreachable()).open(received(1))
    await (await stage.patrol()).sweepOnce()
    expect(stage.files()).toEqual([])
    expect(await taskCounts(stage.ledger)).toMatchObject({ 'lost process_killed': 1 })
    expect(stage.spanIds().sort()).toEqual([requestRef(1).spanId, spanId(1)])
  })
  test('pruning forgets the long dead in memory too, and not the living', async () => {
    const stage = new Stage()
    const patrol = await stage.patrol()
    stage.write(WEB)
    stage.write(WORKER)
    stage.seen.set(WORKER, 'dead')
    await patrol.sweepOnce()
    await stage.clock.advance(1_000)
    expect(await patrol.prune({ before: stage.clock.now(), maxBytes: 1e12 })).toBe(0)
    expect([patrol.processes.get(WEB)?.key, patrol.processes.get(WORKER)]).toEqual([WEB, undefined])
    expect(await patrol.sweepOnce()).toMatchObject({ examined: 1 })
  })
})

test('a child whose parent and grandparent are read later, by other patrols, gets its request in the end', async () => {
  const stage = new Stage()
  const [child, grandchild] = [taskIdOf(1), taskIdOf(2)]
  stage.write(OTHER_WORKER, spawned(7, { taskId: grandchild, parent: child }), started(8, 3, { taskId: grandchild }))
  await (await stage.patrol()).sweepOnce()
  stage.write(WORKER, spawned(4, { taskId: child, parent: TASK }), succeeded(5, 1))
  await (await stage.patrol()).sweepOnce()
  stage.write(WEB, ...PROMISED)
  const patrol = await stage.patrol()
  await patrol.sweepOnce()
  stage.write(OTHER_WORKER, failed(9, 3, { taskId: grandchild }))
  await patrol.sweepOnce()
  const rows = await stage.ledger.tasks([child, grandchild])
  expect([rows.get(child), rows.get(grandchild)].map((row) => [row?.requestKey, row?.depth])).toEqual([
    [TASK.slice(0, 32) + requestRef().spanId, 1],
    [TASK.slice(0, 32) + requestRef().spanId, 2],
  ])
  expect(await requestCounts(stage.ledger)).toMatchObject({ false_success: 1 })
})

describe('a thread that ends in a process that lives on', () => {
  const THREAD = '00000000000100a0.3' // of the same pid
  const ended = { kind: 'thread_ended', at: ms(9), threadId: 3, code: 1 } as const
  test.each(['first', 'last'])('loses what it ran, also where its own journal is read %s', async (order) => {
    const stage = new Stage()
    const patrol = await stage.patrol()
    stage.write(WEB, ...PROMISED)
    if (order === 'last') {
      stage.write(WEB, ended)
      await patrol.sweepOnce()
    }
    stage.write(THREAD, started(4, 1))
    await patrol.sweepOnce()
    if (order === 'first') stage.write(WEB, ended)
    await patrol.sweepOnce()
    expect((await stage.ledger.tasks([TASK])).get(TASK)?.derived).toMatchObject({
      state: 'lost',
      reason: 'worker_terminated',
      evidence: 'exit_record',
    })
    expect(patrol.processes.get(WEB)?.deadAt).toBeUndefined()
  })
  test('one of the same number in another process lives on', async () => {
    const stage = new Stage()
    const patrol = await stage.patrol()
    stage.write(THREAD, spawned(1), started(4, 1))
    stage.write(OTHER_WORKER, ended)
    await patrol.sweepOnce()
    await patrol.sweepOnce()
    expect(await stateOf(stage)).toBe('running')
  })
})

describe('a process that cannot be seen from here', () => {
  async function unseen(more: Partial<ProcessRow> = {}) {
    const stage = new Stage()
    const answers = new Map<string, Knocked>([[WEB, 'held']])
    let knocks = 0
    const patrol = await stage.patrol({
      knock: async ({ key }) => {
        knocks++
        return answers.get(key) ?? 'none'
      },
    })
    stage.seen.set(WEB, 'unknown')
    stage.write(WEB, ...PROMISED.slice(0, 1), ...(more.exiting ? [more.exiting] : []))
    await patrol.sweepOnce()
    return { answers, knocks: () => knocks, patrol, stage }
  }
  test('is dead once nobody holds its door, and is asked no more often than once a second', async () => {
    const { answers, knocks, patrol, stage } = await unseen()
    answers.set(WEB, 'shut')
    await patrol.sweepOnce()
    expect([knocks(), await stateOf(stage)]).toEqual([1, 'pending'])
    await stage.clock.advance(1_000)
    expect(await patrol.sweepOnce()).toMatchObject({ lost: 1 })
    expect((await stage.ledger.tasks([TASK])).get(TASK)?.derived).toMatchObject({
      state: 'lost',
      evidence: 'lock_free',
    })
    await stage.clock.advance(1_000)
    await patrol.sweepOnce()
    expect(knocks()).toBe(2)
  })
  test.each(['held', 'none', 'unknown'] as const)('lives on while its door is %s', async (answer) => {
    const { answers, knocks, patrol, stage } = await unseen()
    answers.set(WEB, answer)
    await stage.clock.advance(1_000)
    await patrol.sweepOnce()
    expect([knocks(), await stateOf(stage)]).toEqual([2, 'pending'])
  })
  test('has ended where it said so and its door is gone', async () => {
    const { answers, patrol, stage } = await unseen({ exiting: { kind: 'exiting', at: ms(2), code: 0 } })
    expect(await stateOf(stage)).toBe('pending')
    answers.set(WEB, 'none')
    await stage.clock.advance(1_000)
    await patrol.sweepOnce()
    expect((await stage.ledger.tasks([TASK])).get(TASK)?.derived).toMatchObject({
      state: 'lost',
      evidence: 'exit_record',
    })
  })
})
