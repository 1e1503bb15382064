import { afterEach, beforeEach, expect, test, vi } from 'vitest'
import { within } from '../src/within.ts'

beforeEach(() => void vi.useFakeTimers())
afterEach(() => void vi.useRealTimers())

test('what the work comes to is what comes of it, and no timer is left', async () => {
  await expect(within(Promise.resolve(7), 1000)).resolves.toBe(7)
  await expect(within(Promise.reject(new Error('no')), 1000)).rejects.toThrow('no')
  expect(vi.getTimerCount()).toBe(0)
})

test('work that takes longer is late, and its rejection after that is nobody’s', async () => {
  const { promise, reject } = Promise.withResolvers<number>()
  const unhandled = vi.fn<() => void>()
  process.once('unhandledRejection', unhandled)
  const told = within(promise, 1000).catch(String)
  await vi.advanceTimersByTimeAsync(1000)
  expect(await told).toBe('Error: late')
  reject(new Error('after all'))
  vi.useRealTimers()
  await new Promise(setImmediate)
  process.off('unhandledRejection', unhandled)
  expect(unhandled).not.toHaveBeenCalled()
})
