import { expect, test } from 'vitest'
import { fakeClock } from '../../testing/src/fake-clock.ts'
import { createLedgerProbe, judgeStanding, type AskStanding } from '../src/ledger-probe.ts'
import type { LedgerStanding } from '../src/patrol/standing.ts'

const WELL: LedgerStanding = {
  lost: 0,
  falseSuccesses: 0,
  open: 3,
  oldestOpenMs: 4_000,
  overdue: 0,
  sweptMsAgo: 200,
  windowMs: 900_000,
}
const judge = (more: Partial<LedgerStanding>) => judgeStanding({ status: 200, body: { ...WELL, ...more } })

test('a ledger in which all is well passes, and says how much is open', () => {
  expect(judge({})).toMatchObject({
    status: 'pass',
    observed: { open: { value: 3 }, oldestOpen: { value: 4_000, unit: 'ms' }, lost: { value: 0 } },
  })
})

test.each([
  [{ lost: 1 }, 'warn', 'tasks_lost', '1 task was lost in the last 15 minutes'],
  [{ falseSuccesses: 2 }, 'warn', 'false_success', '2 requests answered well did not keep the promise, in the last 15'],
  [{ overdue: 2 }, 'warn', 'task_overdue', '2 open tasks are beyond the deadline'],
  [{ sweptMsAgo: 31_000, lost: 4 }, 'fail', 'patrol_silent', 'the patrol has not swept for 31 s'],
])('%j', (more: Partial<LedgerStanding>, status, code, reason) => {
  expect(judge(more)).toMatchObject({ status, code, reason: expect.stringContaining(reason) })
})

test.each([
  ['nobody patrols this ledger folder', 'no_patrol'],
  ['this process does not patrol', 'no_patrol'],
  ['the ledger does not answer: connect ECONNREFUSED', 'ledger_unavailable'],
])('where the answer is that %s', (error, code) => {
  expect(judgeStanding({ status: 503, body: { error } })).toMatchObject({ status: 'fail', code })
})

test('an answer that comes too late, or twice, settles nothing', async () => {
  const asked: AskStanding[] = []
  const probe = createLedgerProbe((question) => asked.push(question), fakeClock())
  const gone = new AbortController()
  const first = probe.check(gone.signal)
  gone.abort()
  await expect(first).rejects.toThrow('has not answered')
  const second = probe.check(new AbortController().signal)
  const answerTo = (id: number, lost: number) =>
    probe.hear({ kind: 'standing', id, answer: { status: 200, body: { ...WELL, lost } } })
  answerTo(asked[0]!.id, 7)
  answerTo(asked[1]!.id, 0)
  answerTo(asked[1]!.id, 7)
  expect(await second).toMatchObject({ status: 'pass' })
})

test('between two patrols nobody answers for a moment', async () => {
  const clock = fakeClock()
  const asked: AskStanding[] = []
  const probe = createLedgerProbe((question) => asked.push(question), clock)
  const ask = async (status: number): Promise<string | undefined> => {
    const checked = probe.check(new AbortController().signal)
    const body = status === 200 ? WELL : { error: 'nobody patrols this ledger folder' }
    probe.hear({ kind: 'standing', id: asked.at(-1)!.id, answer: { status, body } })
    return (await checked).code
  }
  expect(await ask(503)).toBeUndefined()
  await clock.advance(4_000)
  expect(await ask(503)).toBeUndefined()
  expect(await ask(200)).toBeUndefined()
  await clock.advance(4_000)
  expect(await ask(503)).toBeUndefined()
  await clock.advance(5_000)
  expect(await ask(503)).toBe('no_patrol')
})
