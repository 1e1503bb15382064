import { expect, test } from 'vitest'
import { fakeClock } from '../src/fake-clock.ts'
import { deferred } from '../src/signals.ts'

test('time stands still until it is advanced', async () => {
  const clock = fakeClock(1_000)
  expect([clock.now(), clock.monotonicMs()]).toEqual([1_000, 0])
  await clock.advance(250)
  expect([clock.now(), clock.monotonicMs()]).toEqual([1_250, 250])
})

test('due ticks run in order of time, each at its own time, and are awaited', async () => {
  const clock = fakeClock(0)
  const told: string[] = []
  const tell = (name: string) => async () => {
    await Promise.resolve()
    told.push(`${name} at ${clock.now()}`)
  }
  clock.every(30, tell('slow'))
  clock.every(20, tell('quick'))
  await clock.advance(60)
  expect(told).toEqual(['quick at 20', 'slow at 30', 'quick at 40', 'slow at 60', 'quick at 60'])
  expect(clock.now()).toBe(60)
})

test('a timer that was ended ticks no more, also when it ends itself', async () => {
  const clock = fakeClock(0)
  let ticks = 0
  const end = clock.every(10, async () => {
    ticks++
    if (ticks === 2) end()
  })
  await clock.advance(100)
  expect(ticks).toBe(2)
})

test('a timer set by a tick falls due within the same advance', async () => {
  const clock = fakeClock(0)
  const told: number[] = []
  const end = clock.every(10, async () => {
    end()
    clock.every(5, async () => void told.push(clock.now()))
  })
  await clock.advance(20)
  expect(told).toEqual([15, 20])
})

test('a tick that is still running is not started again', async () => {
  const clock = fakeClock(0)
  const held = deferred()
  let started = 0
  clock.every(10, () => {
    started++
    return held.promise
  })
  const first = clock.advance(10)
  await clock.advance(30)
  expect(started).toBe(1)
  held.resolve()
  await first
  await clock.advance(10)
  expect(started).toBe(2)
})

test('a tick that rejects is told to the test, after the others have run', async () => {
  const clock = fakeClock(0)
  let others = 0
  clock.every(10, () => Promise.reject(new Error('broken')))
  clock.every(10, async () => void others++)
  await expect(clock.advance(20)).rejects.toThrow('broken')
  expect([others, clock.now()]).toEqual([2, 20])
})
