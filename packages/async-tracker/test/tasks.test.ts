import { afterEach, beforeEach, expect, test, vi } from 'vitest'
import { globalState, type Receipt } from '@afterspan/core/internal'
import { tasks } from '../src/tasks.ts'

const TRACE = 'a'.repeat(32)
let verdicts: Receipt['verdict'][] = []
let asked = 0

beforeEach(() => {
  vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout', 'performance'] })
  asked = 0
  globalState().receipt = async (traceId) => {
    asked++
    return { traceId, verdict: (verdicts.length > 1 ? verdicts.shift() : verdicts[0])!, tasks: [] }
  }
})
afterEach(() => {
  vi.useRealTimers()
  delete globalState().receipt
})

test('without the preload there is no receipt', async () => {
  delete globalState().receipt
  await expect(tasks.receipt(TRACE)).rejects.toMatchObject({ code: 'AFS_PATROL_FAILED' })
  await expect(tasks.settled(TRACE)).rejects.toMatchObject({ code: 'AFS_PATROL_FAILED' })
})

test('a receipt is what the patrol knows now', async () => {
  verdicts = ['open']
  expect(await tasks.receipt(TRACE)).toMatchObject({ traceId: TRACE, verdict: 'open' })
  expect(asked).toBe(1)
})

test.for(['kept', 'broken', 'promised_nothing'] as const)('settled waits until it is %s', async (last) => {
  verdicts = ['unknown', 'open', 'open', last]
  const settled = tasks.settled(TRACE)
  await vi.advanceTimersByTimeAsync(1_000)
  expect((await settled).verdict).toBe(last)
  expect(asked).toBe(4)
})

test('settled gives what there is when its time is over', async () => {
  verdicts = ['open']
  const settled = tasks.settled(TRACE, { timeoutMs: 450 })
  await vi.advanceTimersByTimeAsync(1_000)
  expect((await settled).verdict).toBe('open')
  expect(asked).toBe(6)
})

test('what goes wrong while it waits is passed on', async () => {
  verdicts = ['open']
  const settled = tasks.settled(TRACE).catch((error: Error) => error.message)
  await vi.advanceTimersByTimeAsync(150)
  globalState().receipt = () => Promise.reject(new Error('gone'))
  await vi.advanceTimersByTimeAsync(100)
  expect(await settled).toBe('gone')
})
