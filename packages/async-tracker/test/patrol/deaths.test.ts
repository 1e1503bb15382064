// The end of a process that left much open, or died while others had much to say: settled in bounded parts, and not before all is
// read that may speak for it.
import { expect, test } from 'vitest'
import type { TaskId } from '@afterspan/core/internal'
import type { LedgerChange } from '../../src/ledger/store.ts'
import { MemoryLedger } from '../ledger/memory-ledger.ts'
import { hex, OTHER_WORKER, spawned, started, succeeded, TASK, taskIdOf, WEB, WORKER } from '../sample-events.ts'
import { Stage } from './stage.ts'

const idOf = (n: number): TaskId => hex(n + 1, 48) as TaskId
/** A megabyte of what somebody promised. */
const MUCH = Array.from({ length: 20 }, (_, n) => spawned(n, { taskId: idOf(n), name: 'x'.repeat(50_000) }))

/** A ledger that lets others do something at each commit. */
class NoisyLedger extends MemoryLedger {
  readonly #atCommit: (change: LedgerChange) => void

  constructor(atCommit: (change: LedgerChange) => void) {
    super()
    this.#atCommit = atCommit
  }
  override async commit(change: LedgerChange): Promise<void> {
    await super.commit(change)
    this.#atCommit(change)
  }
}

/** Each look at it takes so long that one round of reading fills a sweep. */
function slowClock(stage: Stage): Stage['clock'] {
  let ms = 0
  return { ...stage.clock, monotonicMs: () => (ms += 2_000) }
}

test('a death was not settled as long as somebody wrote more than could be read', async () => {
  let commits = 0
  let isLoud = true
  const stage: Stage = new Stage(
    new NoisyLedger(() => {
      if (isLoud && commits++ < 100) stage.write(OTHER_WORKER, ...MUCH)
    }),
  )
  const patrol = await stage.patrol({ clock: slowClock(stage) })
  stage.write(OTHER_WORKER, ...MUCH)
  stage.write(WORKER, started(4, 1))
  await patrol.sweepOnce(100)
  stage.seen.set(WORKER, 'dead')
  let lost = 0
  for (let sweeps = 0; lost === 0 && sweeps < 20; sweeps++) lost = (await patrol.sweepOnce(100)).lost
  expect(lost).toBe(1)
  expect(commits).toBeLessThan(60)
  isLoud = false
  await patrol.close()
})

test('what others had said before a death is read before it is settled, also where that takes some sweeps', async () => {
  const stage = new Stage()
  const patrol = await stage.patrol({ clock: slowClock(stage) })
  stage.write(WEB, spawned(1))
  await patrol.sweepOnce()
  // It never heard that the broker had its message; the worker says so behind a long backlog.
  for (let i = 0; i < 5; i++) stage.write(WORKER, ...MUCH)
  stage.write(WORKER, started(4, 1), succeeded(5, 1))
  stage.seen.set(WEB, 'dead')
  let sweeps = 0
  for (; patrol.processes.get(WEB)?.deadAt === undefined && sweeps < 50; sweeps++)
    expect(await patrol.sweepOnce(100)).toMatchObject({ lost: 0 })
  expect(sweeps).toBeGreaterThan(1)
  expect(patrol.processes.get(WEB)?.deadAt).toBeDefined()
  const row = (await stage.ledger.tasks([TASK])).get(TASK)
  expect(row?.derived.state).toBe('succeeded')
  expect(row?.facts.ends).toEqual([])
  expect(stage.spans()).toEqual([])
})

test('half a record of somebody who lives does not keep a death from being settled', async () => {
  const stage = new Stage()
  const patrol = await stage.patrol({ clock: slowClock(stage) })
  stage.write(WORKER, started(4, 1))
  stage.write(OTHER_WORKER, ...MUCH)
  stage.append(OTHER_WORKER, Buffer.from('ASJ1'))
  await patrol.sweepOnce()
  stage.append(OTHER_WORKER, Buffer.from([200, 0, 0, 0]))
  stage.seen.set(WORKER, 'dead')
  expect(await patrol.sweepOnce(100)).toMatchObject({ lost: 1 })
})

test('very many tasks of one that died are settled a part at a time, each once', async () => {
  const OPEN = 2_500
  const sizes: number[] = []
  const stage = new Stage(new NoisyLedger(({ tasks = [] }) => sizes.push(tasks.length)))
  const patrol = await stage.patrol()
  for (let n = 0; n < OPEN; n++) stage.write(WORKER, started(n, n + 1, { taskId: taskIdOf(n) }))
  await patrol.sweepOnce()
  sizes.length = 0
  stage.seen.set(WORKER, 'dead')
  expect(await patrol.sweepOnce()).toMatchObject({ lost: OPEN })
  expect(Math.max(...sizes)).toBeLessThanOrEqual(1_000)
  expect(await stage.ledger.countsByState()).toMatchObject({ lost: OPEN, running: 0 })
  expect(patrol.processes.get(WORKER)?.deadAt).toBeDefined()
  expect(await patrol.sweepOnce()).toMatchObject({ lost: 0 })
})
