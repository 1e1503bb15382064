// The broker's answers on confirm channels. Until 1.0 amqplib itself forgets them when the channel closes.
import type { Channel } from './shapes.ts'

type Settle = (error: Error | null) => void

const open = new WeakMap<Channel, Set<Settle>>()

export function expectConfirmation(channel: Channel): { readonly promise: Promise<void>; readonly settle: Settle } {
  const { promise, resolve, reject } = Promise.withResolvers<void>()
  promise.catch(() => {})
  const expected = open.get(channel) ?? new Set()
  open.set(channel, expected)
  const settle: Settle = (error) => {
    expected.delete(settle)
    if (error) reject(error)
    else resolve()
  }
  expected.add(settle)
  return { promise, settle }
}

/** No answer will come: whether the broker has the messages is not known, and an attempt would tell. */
export function forgetConfirmations(channel: Channel): void {
  for (const settle of open.get(channel) ?? []) settle(new Error('channel closed'))
}
