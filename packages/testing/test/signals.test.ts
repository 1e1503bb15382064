import { expect, test } from 'vitest'
import { pollUntil, testSignal } from '../src/signals.ts'

test('a signal keeps what was emitted before anyone waited, in order and each once', async () => {
  const signal = testSignal<number>('swept')
  signal.emit(1)
  signal.emit(2)
  expect([await signal.next(), await signal.next()]).toEqual([1, 2])
  const third = signal.next()
  signal.emit(3)
  expect(await third).toBe(3)
})

test('a signal that does not come is named, and a late one goes to the next who waits', async () => {
  const signal = testSignal<number>('swept')
  await expect(signal.next(5)).rejects.toThrow('swept was not signalled within 5 ms')
  signal.emit(4)
  expect(await signal.next()).toBe(4)
})

test('pollUntil returns the first answer, and zero is one', async () => {
  const answers = [undefined, false, 0] as const
  let asked = 0
  expect(await pollUntil(() => answers[asked++], { intervalMs: 1 })).toBe(0)
  expect(asked).toBe(3)
})

test('pollUntil tells at its deadline what was waited for, and the last error', async () => {
  const refused = pollUntil(() => Promise.reject(new Error('refused')), {
    timeoutMs: 5,
    intervalMs: 1,
    what: 'the queue',
  })
  await expect(refused).rejects.toMatchObject({ message: 'the queue: not within 5 ms', cause: { message: 'refused' } })
})
