// What the app tells the broker of messages it got.
import { failureOf } from '../running/failure-of.ts'
import { isObject } from '../sending/bag.ts'
import { take, type Delivery } from './deliveries.ts'
import { onCall, type Patch } from './patch.ts'
import type { Channel } from './shapes.ts'

export function patchSettlers(patch: Patch): void {
  const settle = (method: 'ack' | 'nack' | 'reject', read: (args: readonly unknown[]) => Settling): void => {
    onCall(patch, method, (original, self, args) => {
      const result = original.apply(self, args)
      apply(method, self, read(args))
      return result
    })
  }
  settle('ack', ([message, allUpTo]) => ({ tag: tagOf(message), isUpTo: Boolean(allUpTo) }))
  settle('nack', ([message, allUpTo, requeue]) => ({ tag: tagOf(message), isUpTo: Boolean(allUpTo), requeue }))
  settle('reject', ([message, requeue]) => ({ tag: tagOf(message), isUpTo: false, requeue }))
  onCall(patch, 'ackAll', (original, self, args) => {
    const result = original.apply(self, args)
    apply('ack', self, { tag: 0, isUpTo: true })
    return result
  })
  onCall(patch, 'nackAll', (original, self, args) => {
    const result = original.apply(self, args)
    apply('nack', self, { tag: 0, isUpTo: true, requeue: args[0] })
    return result
  })
  onCall(patch, 'recover', (original, self, args) => {
    const result = original.apply(self, args)
    for (const delivery of take(self, 0, true)) delivery.closed()
    return result
  })
}

interface Settling {
  readonly tag: number | undefined
  readonly isUpTo: boolean
  readonly requeue?: unknown
}

function apply(method: 'ack' | 'nack' | 'reject', self: Channel, { tag, isUpTo, requeue = true }: Settling): void {
  if (tag === undefined) return
  const tell = (delivery: Delivery): void => {
    if (method === 'ack') delivery.acked()
    else if (requeue) delivery.requeued(failureOf(method, `${method} with requeue`))
    else delivery.rejected(failureOf(method, `${method} without requeue`))
  }
  take(self, tag, isUpTo).forEach(tell)
}

function tagOf(message: unknown): number | undefined {
  const fields = isObject(message) ? message['fields'] : undefined
  const tag = isObject(fields) ? fields['deliveryTag'] : undefined
  return typeof tag === 'number' ? tag : undefined
}
