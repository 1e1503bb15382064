// All ways to get a message of a consumer: a callback, a loop, fetch() and next(), which is a loop that is left at once.
import { context, ROOT_CONTEXT } from '@opentelemetry/api'
import type { TaskKit } from '@afterspan/core/internal'
import { runHandler, tellDropped, type Info, type Received } from '../running/message-handler.ts'
import { createBag, isObject, taskOf } from '../sending/bag.ts'
import { createDelivery, type Delivery } from './deliveries.ts'
import { headersCarrier } from './headers.ts'
import { messageId } from './message-id.ts'
import type { DeliveryOf } from './settling.ts'
import {
  onCall,
  SYSTEM,
  type ConsumeOptions,
  type Consumer,
  type ConsumerConfig,
  type Exports,
  type Handler,
  type Message,
} from './shapes.ts'
import { destinationOf, isReserved } from './subjects.ts'

interface Held {
  readonly delivery: Delivery
  readonly sequence: number
  acked(): void
}
const held = new WeakMap<Message, Held>()
/** When the client got what it has not handed out. */
const arrivals = new WeakMap<Message, number>()
/** What is open of consumers whose acknowledgement is one for all before it. */
const openOfAll = new WeakMap<Consumer, Set<Held>>()
const MOST_OPEN = 10_000
/** Deliveries that this process holds, by consumer and message: on a busy machine the next one may come before the time of the last one is seen to be up. */
const unanswered = new Map<string, Delivery>()

export const deliveryOf: DeliveryOf = (message) => held.get(message)

export function patchConsumers(
  { PullConsumerImpl, PullConsumerMessagesImpl, PushConsumerImpl, PushConsumerMessagesImpl }: Exports,
  kit: TaskKit,
): void {
  for (const Class of [PullConsumerImpl, PushConsumerImpl]) {
    if (!Class) continue
    for (const method of ['consume', 'fetch'] as const) {
      if (!Class.prototype[method]) continue
      onCall(kit, Class, method, (original, self, args) => {
        const [options, ...rest] = args as [ConsumeOptions?, ...unknown[]]
        const callback = isFollowed(self) ? options?.callback : undefined
        const given =
          typeof callback === 'function' ? [{ ...options, callback: followed(kit, self, callback) }, ...rest] : args
        // Its pulls and heartbeats must not carry the request that happened to start it for its whole life.
        return context.with(ROOT_CONTEXT, () => original.apply(self, given))
      })
    }
  }
  for (const Class of [PullConsumerMessagesImpl, PushConsumerMessagesImpl]) {
    if (!Class) continue
    onCall(kit, Class, '_push', (original, self, args) => {
      noteArrival(self.consumer, args[0] as Message | (() => void))
      return original.apply(self, args)
    })
    onCall(kit, Class, Symbol.asyncIterator, (original, self) => {
      const iterator = original.call(self) as AsyncIterator<Message>
      return isFollowed(self.consumer) ? followLoop(kit, self.consumer, iterator) : iterator
    })
  }
}

export function noteArrival(consumer: Consumer, message: Message | (() => void)): void {
  if (typeof message !== 'function' && isFollowed(consumer)) arrivals.set(message, performance.now())
}

/** Without acknowledgement nothing is held open, and nothing delivered again: such consumers read a stream, and run no tasks. */
export function isFollowed({ _info }: Consumer): boolean {
  const policy = _info?.config?.ack_policy
  return policy === 'explicit' || policy === 'all'
}

export function followed(kit: TaskKit, consumer: Consumer, callback: Handler): Handler {
  return function (this: unknown, message, ...rest) {
    const run = (): unknown => callback.call(this, message, ...rest)
    giveAgain(message)
    return isReserved(message.subject) ? run() : runHandler(kit, receive(kit, consumer, message), run)
  }
}

/** A loop's body is over when it asks for the next message, or leaves. */
export function followLoop(kit: TaskKit, consumer: Consumer, iterator: AsyncIterator<Message>): AsyncIterator<Message> {
  let current: Delivery | undefined
  const bodyEnded = (): void => {
    current?.handlerReturned()
    current = undefined
  }
  return Object.assign(Object.create(iterator) as AsyncIterator<Message>, {
    async next(...args: [] | [undefined]) {
      bodyEnded()
      const result = await iterator.next(...args)
      if (result.done || isReserved(result.value.subject)) return result
      const isAgain = giveAgain(result.value)
      const { delivery, info, carrier } = receive(kit, consumer, result.value)
      current = delivery
      // Told before this one begins.
      if (isAgain) await Promise.resolve()
      kit.attempt(info, carrier, () => delivery.ended).catch(() => {})
      return result
    },
    return(value?: unknown) {
      bodyEnded()
      return iterator.return!(value)
    },
    throw(error?: unknown) {
      bodyEnded()
      return iterator.throw!(error)
    },
  })
}

/** Whether this process had it, and nobody answers it. */
function giveAgain(message: Message): boolean {
  const before = message.info.deliveryCount > 1 ? unanswered.get(keyOf(message)) : undefined
  before?.givenAgain()
  return before !== undefined
}

function keepUnanswered(key: string, delivery: Delivery): void {
  if (unanswered.size >= MOST_OPEN) unanswered.delete(unanswered.keys().next().value!)
  unanswered.set(key, delivery)
  const forget = (): void => {
    if (unanswered.get(key) === delivery) unanswered.delete(key)
  }
  delivery.ended.then(forget, forget)
}

function keyOf({ info: { consumer, stream, streamSequence } }: Message): string {
  return `${consumer} ${messageId(stream, streamSequence)}`
}

function receive(kit: TaskKit, consumer: Consumer, message: Message): Received<Delivery> {
  const config = consumer._info!.config!
  const carrier = headersCarrier(message.headers)
  const info = infoOf(message, config)
  const taskId = taskOf(createBag({ traceparent: carrier.get('traceparent') }))
  const delivery = createDelivery({
    info,
    ackWaitMs: ackWaitMs(config, info.attempt),
    waitedMs: performance.now() - (arrivals.get(message) ?? performance.now()),
    // It did run, and well: a run of its own says so where the first one was given up.
    onLateAck: () => {
      kit.attempt({ ...info, outcomeOf: () => undefined }, carrier, () => {})
    },
    onDropped: (error) => {
      if (taskId) tellDropped(kit, taskId, message.info.consumer, error)
    },
  })
  const all = config.ack_policy === 'all' ? openOf(consumer) : undefined
  const entry: Held = {
    delivery,
    sequence: message.info.deliverySequence,
    acked() {
      if (!all) return delivery.acked()
      for (const other of all) if (other.sequence <= entry.sequence) other.delivery.acked()
    },
  }
  held.set(message, entry)
  keepUnanswered(keyOf(message), delivery)
  if (all) keepOpen(all, entry)
  return { delivery, info, carrier }
}

function openOf(consumer: Consumer): Set<Held> {
  let all = openOfAll.get(consumer)
  if (!all) openOfAll.set(consumer, (all = new Set()))
  return all
}

function keepOpen(all: Set<Held>, entry: Held): void {
  if (all.size >= MOST_OPEN) for (const oldest of all) if (all.delete(oldest)) break
  all.add(entry)
  const forget = (): void => void all.delete(entry)
  entry.delivery.ended.then(forget, forget)
}

function infoOf({ info, subject }: Message, { max_deliver: most = -1 }: ConsumerConfig): Info {
  const { consumer, deliveryCount, stream, streamSequence } = info
  const described: Info = {
    system: SYSTEM,
    destination: destinationOf(subject),
    name: subject,
    attempt: deliveryCount,
    messageId: messageId(stream, streamSequence),
    consumerGroup: consumer,
  }
  if (most > 0) described.maxAttempts = most
  return described
}

/** The n-th delivery has the n-th wait, and the last one ever after. */
function ackWaitMs({ ack_wait: wait, backoff }: ConsumerConfig, delivery: number): number | undefined {
  const nanos = backoff?.length ? backoff[Math.min(delivery, backoff.length) - 1] : wait
  return isObject(nanos) || !nanos || !(nanos > 0) ? undefined : nanos / 1e6
}
