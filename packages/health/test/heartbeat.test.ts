import { globalState } from '@afterspan/core/internal'
import { afterEach, expect, test, vi } from 'vitest'
import { heartbeat, judgeHeartbeat } from '../src/heartbeat.ts'

const { signal } = new AbortController()
afterEach(() => {
  vi.useRealTimers()
  globalState().waitingProbes.length = 0
})

test('a loop that beats is well; one that does not fails after twice its time, and a beat mends it', async () => {
  vi.useFakeTimers({ toFake: ['performance'] })
  const loop = heartbeat('mailer', { everyMs: 1000, groups: ['mail'] })
  const [probe] = globalState().waitingProbes
  expect(probe).toMatchObject({ name: 'mailer', component: 'loop', criticality: 'required', groups: ['mail'] })
  const codes: (string | undefined)[] = []
  for (let round = 0; round < 12; round++) {
    if (round < 3) loop.beat()
    vi.advanceTimersByTime(250)
    codes.push((await probe!.check(signal)).code)
  }
  // Beats in the first three rounds; from the fourth on 250 ms of silence more in each, and 2000 of them are still well.
  expect(codes.findIndex((code) => code === 'heartbeat_missed')).toBe(11)
  loop.beat()
  vi.advanceTimersByTime(250)
  expect((await probe!.check(signal)).status).toBe('pass')
  loop.stop()
  loop.stop()
  expect(globalState().waitingProbes).toEqual([])
})

test('time in which the whole process stood still is not held against the loop', async () => {
  vi.useFakeTimers({ toFake: ['performance'] })
  heartbeat('mailer', { everyMs: 1000 })
  const [probe] = globalState().waitingProbes
  vi.advanceTimersByTime(3_600_000)
  expect(await probe!.check(signal)).toMatchObject({ status: 'pass', observed: { silent: { value: 500 } } })
})

test('whether a restart would help is what the app says', () => {
  const silent = { beats: 7, silentMs: 2001, everyMs: 1000 }
  expect(judgeHeartbeat({ ...silent, restartHelps: false })).toMatchObject({ cause: 'self_recoverable' })
  expect(judgeHeartbeat({ ...silent, restartHelps: true })).toMatchObject({ cause: 'self_wedged' })
})
