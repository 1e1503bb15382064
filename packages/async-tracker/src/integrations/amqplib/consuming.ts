// Both ways to get a message: consume() with a handler, get() by hand.
import { types } from 'node:util'
import type { TaskId } from '@afterspan/core/internal'
import { createBag, isObject, taskOf, type Bag } from '../sending/bag.ts'
import { fateOf } from './deaths.ts'
import { hold, type Delivery, type Info } from './deliveries.ts'
import { bagOf, deathsOf, deliveriesBefore, readerOf } from './headers.ts'
import { nameOf, onCall, SYSTEM, type Channel, type Message, type Patch } from './shapes.ts'
import { afterReject, noteDeaths } from './topology.ts'

type Handler = (message: Message | null) => unknown
interface Reading {
  readonly queue: string
  readonly isNoAck: boolean
}

export function patchConsume(patch: Patch): void {
  onCall(patch, 'consume', (original, self, args) => {
    const [queue, handler, options] = args
    if (typeof handler !== 'function') return original.apply(self, args)
    const reading = readingOf(queue, options)
    const tracked: Handler = (message) => {
      // null: the broker cancelled the consumer
      if (!isMessage(message)) return (handler as Handler)(message)
      return runHandler(patch, self, { reading, message, run: () => (handler as Handler)(message) })
    }
    return original.apply(self, args.with(1, tracked))
  })
}

/** Taken by hand: the attempt lasts until the app settles the message. */
export function patchGet(patch: Patch): void {
  onCall(patch, 'get', (original, self, args) => {
    const [queue, options, callback] = args
    const reading = readingOf(queue, options)
    const begin = (message: unknown): void => {
      if (!isMessage(message)) return
      const { delivery, info, bag } = receive(patch, self, reading, message)
      patch.kit.attempt(info, bag, () => delivery.ended).catch(() => {})
      delivery.handlerReturned()
    }
    if (typeof callback === 'function') {
      const tracked = (error: unknown, message: unknown): unknown => {
        begin(message)
        return (callback as (error: unknown, message: unknown) => unknown)(error, message)
      }
      return original.apply(self, args.with(2, tracked))
    }
    const result = original.apply(self, args)
    if (!types.isPromise(result)) return result
    return result.then((message: unknown) => {
      begin(message)
      return message
    })
  })
}

interface Received {
  readonly delivery: Delivery
  readonly info: Info
  readonly bag: Bag
}

function runHandler(
  patch: Patch,
  channel: Channel,
  { reading, message, run }: { readonly reading: Reading; readonly message: Message; run(): unknown },
): unknown {
  const { delivery, info, bag } = receive(patch, channel, reading, message)
  let result: unknown
  let thrown: { readonly error: unknown } | undefined
  const handle = (): Promise<void> => {
    try {
      result = run()
    } catch (error) {
      thrown = { error }
      delivery.handlerFailed(error)
      throw error
    }
    return delivery.ended
  }
  try {
    patch.kit.attempt(info, bag, handle).catch(() => {})
  } catch {
    // the handler's own, thrown again below
  }
  if (thrown) throw thrown.error
  return follow(delivery, info, result)
}

/** Nobody looks at what a handler returns: a rejection has to stay one that nobody handled. */
function follow(delivery: Delivery, info: Info, result: unknown): unknown {
  if (!types.isPromise(result)) {
    delivery.handlerReturned()
    return result
  }
  return result.then(
    (value: unknown) => {
      delivery.handlerReturned()
      return value
    },
    (error: unknown) => {
      info.isResultIgnored = true
      delivery.handlerFailed(error)
      throw error
    },
  )
}

/** The attempt that a message is. One that died elsewhere is other work: its task is told to have ended, and this run is its own. */
function receive(patch: Patch, channel: Channel, { queue, isNoAck }: Reading, message: Message): Received {
  const { kit, topology } = patch
  const carried = bagOf(message)
  const taskId = taskOf(carried)
  const deaths = deathsOf(message)
  const { isSameWork, ended } = fateOf(deaths, queue)
  noteDeaths(topology, queue, deaths)
  const reader = readerOf(message, queue)
  if (ended && taskId) kit.settle(taskId, 'failed', ended, 'broker', { reader })
  const info = infoOf(patch, queue, message)
  info.reader = isSameWork ? reader : queue
  const delivery = hold(channel, message.fields.deliveryTag, {
    info,
    isNoAck,
    afterReject: () => afterReject(topology, queue, message.fields.routingKey),
    onDropped: (error) => {
      if (isSameWork && taskId) drop(patch, taskId, reader, error)
    },
  })
  return { delivery, info, bag: isSameWork ? carried : createBag() }
}

function drop({ kit }: Patch, taskId: TaskId, reader: string, error: unknown): void {
  const { name, message } = error instanceof Error ? error : { name: 'Error', message: String(error) }
  kit.settle(taskId, 'failed', 'threw', 'own_report', { type: name, message, reader })
}

function infoOf({ topology }: Patch, queue: string, message: Message): Info {
  const { exchange, redelivered, routingKey } = message.fields
  const { messageId, type } = message.properties
  const before = deliveriesBefore(message) ?? deathsOf(message).find((death) => death.queue === queue)?.count
  const limit = topology.queues.get(queue)?.deliveryLimit
  const info: Info = {
    system: SYSTEM,
    destination: nameOf(queue || routingKey),
    name: typeof type === 'string' && type ? type : nameOf(routingKey || exchange),
    attempt: before === undefined ? (redelivered ? 0 : 1) : before + 1,
  }
  if (limit !== undefined) info.maxAttempts = limit + 1
  if (typeof messageId === 'string') info.messageId = messageId
  return info
}

function readingOf(queue: unknown, options: unknown): Reading {
  return { queue: typeof queue === 'string' ? queue : '', isNoAck: isObject(options) && Boolean(options['noAck']) }
}

function isMessage(message: unknown): message is Message {
  return isObject(message) && isObject(message['fields']) && isObject(message['properties'])
}
