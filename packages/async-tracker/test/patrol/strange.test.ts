// What a journal may hold that no Afterspan of today writes: records of other versions, half-known writers, times out of order.
import { existsSync, mkdirSync, utimesSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import type { EpochMs, JournalEvent } from '@afterspan/core/internal'
import { tempDir } from '../../../testing/src/temp-dir.ts'
import { doorPath, type Knocked } from '../../src/door.ts'
import { FLIGHT } from '../../src/journal/flight.ts'
import { slotPath } from '../../src/journal/slot-file.ts'
import { createSqliteLedger } from '../../src/ledger/sqlite.ts'
import { recordOf } from '../journal/bytes.ts'
import { failed, opened, spawned, started, TASK, WEB, WORKER } from '../sample-events.ts'
import { DOWN, OK, Stage } from './stage.ts'

const KINDS = [
  'acknowledged',
  'answered',
  'cancelled',
  'confirmed',
  'crashed',
  'exiting',
  'failed',
  'heartbeat',
  'lost',
  'opened',
  'released',
  'reported',
  'sent',
  'spawned',
  'started',
  'succeeded',
  'thread_ended',
  'of_tomorrow',
  'constructor',
]
/** Fields that are missing, or are not what they were. */
const FIELDS: readonly object[] = [
  {},
  { taskId: null, at: 1 },
  { taskId: 7, at: 1 },
  { taskId: TASK },
  { taskId: TASK, at: 'yesterday', spanId: 'x' },
  { taskId: TASK, at: 1, origin: {}, route: {}, parent: [], candidates: {} },
  { taskId: TASK, at: 1, attempt: 1, spanId: 7, reason: 7, evidence: null, failure: 'text' },
  { at: 1, origin: null, worker: null, failure: null, code: '1', threadId: {} },
  { at: 1, origin: { traceId: 'a', spanId: 'b' }, outcome: 7, worker: {}, resource: null },
]

async function stateOf({ ledger }: Stage): Promise<string | undefined> {
  return (await ledger.tasks([TASK])).get(TASK)?.derived.state
}

test.each(KINDS)(
  'a record (%s) of another shape stops no sweep: what follows it is read, and a death is told',
  async (kind) => {
    const stage = new Stage(createSqliteLedger(tempDir('ledger')))
    const patrol = await stage.patrol()
    stage.write(WEB, spawned(1), started(2, 1))
    for (const fields of FIELDS) stage.append(WEB, recordOf({ kind, ...fields } as unknown as JournalEvent))
    await patrol.sweepOnce()
    stage.seen.set(WEB, 'dead')
    await patrol.sweepOnce()
    expect(await stateOf(stage)).toBe('lost')
    expect(new Set(stage.spanIds()).size).toBe(1)
    expect(patrol.totals.strange).toBeGreaterThan(0)
    await patrol.close()
  },
)

describe('a journal whose first record is damaged', () => {
  async function damaged() {
    const stage = new Stage()
    let door: Knocked = 'held'
    const patrol = await stage.patrol({ knock: async () => door })
    stage.seen.set(WEB, 'unknown')
    const first = Buffer.from(recordOf(opened(WEB)))
    first[20]! ^= 0xff
    stage.append(WEB, first)
    stage.append(WEB, Buffer.concat([spawned(1), started(2, 1)].map(recordOf)))
    await patrol.sweepOnce()
    return {
      stage,
      patrol,
      async knocked(answer: Knocked) {
        door = answer
        await stage.clock.advance(1_000)
        await patrol.sweepOnce()
      },
    }
  }
  test('is counted, and what it holds is open, not lost, while nothing is proven', async () => {
    const { stage, patrol, knocked } = await damaged()
    await knocked('none')
    expect([await stateOf(stage), patrol.totals.torn, patrol.totals.nameless]).toEqual(['running', 1, 1])
  })
  test('is one of a dead process once its door is shut; that is told, once', async () => {
    const { stage, knocked } = await damaged()
    await knocked('shut')
    await knocked('shut')
    expect((await stage.ledger.tasks([TASK])).get(TASK)?.derived).toMatchObject({
      state: 'lost',
      evidence: 'lock_free',
    })
    expect(stage.spans().map(({ attributes }) => attributes['afterspan.task.worker.pid'])).toEqual([undefined])
    expect(stage.files()).toEqual([])
  })
  test('has its name again with the next segment', async () => {
    const { stage, patrol } = await damaged()
    stage.append(WEB, recordOf(opened(WEB)))
    await patrol.sweepOnce()
    expect(patrol.processes.get(WEB)?.worker.service).not.toBe('')
    stage.seen.set(WEB, 'dead')
    await patrol.sweepOnce()
    expect(await stateOf(stage)).toBe('lost')
  })
})

test('a process that replaced itself has the pid and start time of the new one, and its open work is lost once its door is shut', async () => {
  const stage = new Stage()
  const patrol = await stage.patrol({ knock: async ({ key }) => (key === WEB ? 'shut' : 'held') })
  const { worker } = opened(WEB)
  stage.write(WEB, spawned(1), started(2, 1))
  await patrol.sweepOnce()
  await stage.clock.advance(1_000)
  await patrol.sweepOnce()
  expect(await stateOf(stage)).toBe('running')
  stage.append(WORKER, recordOf({ ...opened(WORKER), worker: { ...worker, nonce: WORKER.slice(0, 16) } }))
  await patrol.sweepOnce()
  await stage.clock.advance(1_000)
  await patrol.sweepOnce()
  expect(await stateOf(stage)).toBe('lost')
  expect(patrol.processes.get(WORKER)?.deadAt).toBeUndefined()
})

describe('what processes left that were killed on a full disk', () => {
  /** Its files, an hour later. */
  async function left(bytes: Uint8Array) {
    const stage = new Stage()
    const patrol = await stage.patrol()
    stage.append(WEB, bytes)
    for (const folder of ['flight', 'doors']) mkdirSync(join(stage.dir, folder))
    writeFileSync(slotPath(stage.dir, WEB, FLIGHT), '')
    writeFileSync(doorPath(stage.dir, WEB), '')
    const paths = [stage.segment(WEB), slotPath(stage.dir, WEB, FLIGHT), doorPath(stage.dir, WEB)]
    const age = (seconds: number): void => {
      for (const path of paths) utimesSync(path, seconds, stage.clock.now() / 1000 - seconds)
    }
    return { stage, age, paths, prune: () => patrol.prune({ before: 0 as EpochMs, maxBytes: Infinity }), patrol }
  }
  test.each([
    ['nothing', ''],
    ['half a record', Buffer.from(recordOf(opened(WEB))).subarray(0, 40)],
    ['garbage', 'x'.repeat(300)],
  ])('(%s) was looked at in each sweep for ever', async (_, bytes) => {
    const { paths, age, prune, patrol } = await left(Buffer.from(bytes))
    await patrol.sweepOnce()
    age(3_000)
    await prune()
    expect(paths.filter((path) => existsSync(path))).toEqual(paths)
    age(4_000)
    await prune()
    expect(paths.filter((path) => existsSync(path))).toEqual([])
  })
  test('is kept where it says something, be it read already or not', async () => {
    const { stage, age, prune, patrol } = await left(Buffer.from(recordOf(opened(WEB))))
    age(1e6)
    await prune()
    await patrol.sweepOnce()
    await prune()
    expect(existsSync(stage.segment(WEB))).toBe(true)
  })
})

describe('a wall clock that is set back by hours', () => {
  test('keeps nothing that waits for the collector waiting', async () => {
    const stage = new Stage(createSqliteLedger(tempDir('ledger')))
    let backMs = 0
    const { clock } = stage
    const patrol = await stage.patrol({ clock: { ...clock, now: () => (clock.now() - backMs) as EpochMs } })
    stage.reply = DOWN
    stage.write(WEB, spawned(1), started(2, 1))
    stage.seen.set(WEB, 'dead')
    await patrol.sweepOnce()
    const tried = stage.posted.length
    backMs = 5 * 3_600_000
    stage.reply = OK
    await patrol.sweepOnce()
    expect([tried, stage.posted.length]).toEqual([1, 2])
    await clock.advance(60_000)
    await patrol.sweepOnce()
    expect(stage.posted.length).toBe(2)
    await patrol.close()
  })
  test('does not hide the loss of the second run behind the first, which failed later by the clock', async () => {
    const stage = new Stage()
    const patrol = await stage.patrol()
    const hours = 3_600_000
    stage.write(WEB, spawned(5 * hours))
    const first = started(5 * hours, 1, { attempt: 1 })
    stage.write(WORKER, first, failed(5 * hours + 1, 1, { willRetry: true }), started(7, 2, { attempt: 2 }))
    stage.seen.set(WORKER, 'dead')
    await patrol.sweepOnce()
    expect(await stateOf(stage)).toBe('lost')
  })
})
