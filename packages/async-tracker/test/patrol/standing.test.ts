import { expect, test } from 'vitest'
import { createStanding } from '../../src/patrol/standing.ts'
import { fakeClock } from '../../../testing/src/fake-clock.ts'
import { MemoryLedger } from '../ledger/memory-ledger.ts'
import { taskRow } from '../ledger/rows.ts'
import { ms, spawned, started, succeeded, taskIdOf, tell, WEB, WORKER } from '../sample-events.ts'

const lost = (value: number) => ({ name: 'afterspan_tasks', labels: { state: 'lost', system: 'x' }, value })
const outcome = (word: string, value: number) => ({
  name: 'afterspan_requests_effective',
  labels: { outcome: word, http_route: '/a' },
  value,
})

test('what was lost before this patrol began is no news, and what is older than the window no more', async () => {
  const ledger = new MemoryLedger()
  await ledger.open()
  const clock = fakeClock()
  await ledger.commit({ counters: [lost(5), outcome('false_success', 3)] })
  const standing = await createStanding(ledger, clock)
  const now = () => standing.now({ sweptAtMs: clock.monotonicMs() })
  expect(await now()).toMatchObject({ lost: 0, falseSuccesses: 0, open: 0, overdue: 0, sweptMsAgo: 0 })
  await ledger.commit({ counters: [lost(2), outcome('false_success', 2), outcome('recovered', 1)] })
  expect(await now()).toMatchObject({ lost: 2, falseSuccesses: 1 })
  for (let minute = 0; minute < 14; minute++) {
    await clock.advance(60_000)
    expect(await now()).toMatchObject({ lost: 2, falseSuccesses: 1 })
  }
  await clock.advance(120_000)
  expect(await now()).toMatchObject({ lost: 0, falseSuccesses: 0 })
})

test('what is open, since when, and what is beyond its deadline', async () => {
  const ledger = new MemoryLedger()
  await ledger.open()
  const clock = fakeClock()
  const at = clock.now()
  const late = spawned(at - 9_000, { taskId: taskIdOf(1), deadlineAt: ms(at - 1) })
  const inTime = spawned(at - 5_000, { taskId: taskIdOf(2), deadlineAt: ms(at + 10_000) })
  const done = spawned(at - 99_000, { taskId: taskIdOf(3), deadlineAt: ms(at - 90_000) })
  const ended = [started(at - 98_000, 1), succeeded(at - 97_000, 1)].map((event) => ({ ...event, taskId: taskIdOf(3) }))
  await ledger.commit({
    tasks: [
      taskRow(tell(WEB, late)),
      taskRow(tell(WEB, inTime)),
      taskRow([...tell(WEB, done), ...tell(WORKER, ...ended)]),
    ],
  })
  const standing = await createStanding(ledger, clock)
  expect(await standing.now({ sweptAtMs: clock.monotonicMs() })).toMatchObject({
    open: 2,
    oldestOpenMs: 9_000,
    overdue: 1,
  })
})

test('a patrol that has not finished its first sweep is not silent since 1970', async () => {
  const ledger = new MemoryLedger()
  const clock = fakeClock()
  const standing = await createStanding(ledger, clock)
  await clock.advance(2_000)
  expect(await standing.now({ sweptAtMs: -Infinity })).toMatchObject({ sweptMsAgo: 2_000 })
  expect(await standing.now({ sweptAtMs: clock.monotonicMs() - 500 })).toMatchObject({ sweptMsAgo: 500 })
})
