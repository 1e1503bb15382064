// Messages that a channel has handed out. Each is one attempt, which has two halves: what the handler does, and what the app
// tells the broker. It is well when both are; a handler that works on after its ack can still fail, and nobody runs it again.
import type { TaskId } from '@afterspan/core/internal'
import type { HandledDelivery, Info } from '../running/message-handler.ts'
import { whenGone } from './fleeting.ts'
import type { Nameless } from './given-back.ts'
import type { Channel } from './shapes.ts'

/** Of messages that nobody ever settles, the oldest are forgotten first. */
const MOST_HELD = 10_000

export interface Delivery extends HandledDelivery {
  acked(): void
  /** It is in the queue again, and the app said that it is not done. */
  requeued(error: Error): void
  rejected(error: Error): void
  /** The channel is gone: what is not settled by now is in the queue again. */
  closed(): void
  /** So is its queue, and all that had been in it. */
  queueGone(): void
}
export interface DeliveryPlan {
  readonly info: Info
  readonly queue: string
  /** Of what it carried. */
  readonly taskId: TaskId | undefined
  /** Where it carried nothing. */
  readonly nameless: Nameless | undefined
  /** The broker forgot it when it was sent. */
  readonly isNoAck: boolean
  /** What rejecting it without requeue means. */
  readonly afterReject: () => 'discarded' | 'dead_lettered' | 'retried'
  /** The app dropped what its handler had failed to do. */
  readonly onDropped: (error: unknown) => void
  /** Nobody will get it again, and it was not done. */
  readonly onVanished: () => void
}

type Held = Delivery & Pick<DeliveryPlan, 'queue' | 'taskId'>
const deliveries = new WeakMap<Channel, Map<number, Held>>()

export function hold(channel: Channel, tag: number, plan: DeliveryPlan): Held {
  const delivery = createDelivery(plan)
  if (plan.isNoAck) return delivery
  let held = deliveries.get(channel)
  if (!held) deliveries.set(channel, (held = new Map()))
  if (held.size >= MOST_HELD) held.delete(held.keys().next().value!)
  held.set(tag, delivery)
  return delivery
}

/** Takes what a settling method names: one message, with `isUpTo` also all before it, with tag 0 all. */
export function take(channel: Channel, tag: number, isUpTo: boolean): readonly Held[] {
  const held = deliveries.get(channel)
  if (!held) return []
  const tags = isUpTo ? [...held.keys()].filter((known) => tag === 0 || known <= tag) : [tag]
  return tags.flatMap((known) => {
    const delivery = held.get(known)
    held.delete(known)
    return delivery ?? []
  })
}

export function closeDeliveries(channel: Channel): void {
  for (const delivery of take(channel, 0, true)) {
    delivery.closed()
    const { queue, taskId } = delivery
    if (taskId)
      whenGone(channel, queue, taskId, () => {
        delivery.queueGone()
      })
  }
}

class Released extends Error {}

function createDelivery(plan: DeliveryPlan): Held {
  const { info, queue, taskId, nameless, isNoAck, afterReject, onDropped, onVanished } = plan
  const { promise: ended, resolve, reject } = Promise.withResolvers<void>()
  ended.catch(() => {})
  let broker: 'has it' | 'forgot it' | 'took it back' = isNoAck ? 'forgot it' : 'has it'
  let handler: 'works' | 'returned' | { readonly error: unknown } = 'works'
  let willRetry = false
  info.outcomeOf = (error) => (error instanceof Released ? 'released' : willRetry ? retryOf(info) : 'failed')
  const fail = (error: unknown, isRetried: boolean): void => {
    willRetry = isRetried
    reject(error)
  }
  const endWhenBothSay = (): void => {
    if (handler !== 'returned' || broker === 'has it') return
    if (broker === 'forgot it') resolve()
    else reject(new Released())
  }
  return {
    ended,
    queue,
    taskId,
    begun() {
      nameless?.begun()
    },
    acked() {
      broker = 'forgot it'
      if (typeof handler === 'object') onDropped(handler.error)
      else endWhenBothSay()
    },
    requeued(error) {
      nameless?.givenBack()
      fail(error, true)
    },
    rejected(error) {
      const fate = afterReject()
      if (fate === 'dead_lettered') info.failedAs = 'dead_lettered'
      if (typeof handler === 'object' && fate !== 'retried') onDropped(handler.error)
      fail(error, fate === 'retried')
    },
    closed() {
      nameless?.givenBack()
      broker = 'took it back'
      endWhenBothSay()
    },
    queueGone() {
      // Nobody else will do it: how it ends is how the handler ends.
      if (handler === 'works') broker = 'forgot it'
      else onVanished()
    },
    handlerReturned() {
      handler = 'returned'
      endWhenBothSay()
    },
    handlerFailed(error) {
      handler = { error }
      fail(error, broker !== 'forgot it')
    },
  }
}

/** Where the most is known the kit counts; else there is always one more. */
function retryOf({ maxAttempts }: Info): 'retrying' | undefined {
  return maxAttempts === undefined ? 'retrying' : undefined
}
