// Both ways to get a message: consume() with a handler, get() by hand.
import { types } from 'node:util'
import { runHandler, tellDropped, type Info, type Received } from '../running/message-handler.ts'
import { createBag, isObject, taskOf } from '../sending/bag.ts'
import { deathsOf, fateOf } from './deaths.ts'
import { hold, type Delivery } from './deliveries.ts'
import { noteAgain } from './fleeting.ts'
import { namelessOf } from './given-back.ts'
import { bagOf, consumerOf, deliveriesBefore, readerOf } from './headers.ts'
import { onCall, type Patch } from './patch.ts'
import { unmark } from './returns.ts'
import { nameOf, SYSTEM, type Channel, type Message } from './shapes.ts'
import { afterReject, isBack, noteDeaths, noteReplyTo } from './topology.ts'

type Handler = (message: Message | null) => unknown
interface Reading {
  readonly queue: string
  readonly isNoAck: boolean
  /** It stays there for everybody to read. */
  readonly isStream: boolean
}

export function patchConsume(patch: Patch): void {
  onCall(patch, 'consume', (original, self, args) => {
    const [queue, handler, options] = args
    if (typeof handler !== 'function') return original.apply(self, args)
    const reading = readingOf(patch, queue, options)
    const tracked: Handler = (message) => {
      // null: the broker cancelled the consumer
      if (!isMessage(message)) return (handler as Handler)(message)
      return runHandler(patch.kit, receive(patch, self, reading, message), () => (handler as Handler)(message))
    }
    return original.apply(self, args.with(1, tracked))
  })
}

/** Taken by hand: the attempt lasts until the app settles the message. */
export function patchGet(patch: Patch): void {
  onCall(patch, 'get', (original, self, args) => {
    const [queue, options, callback] = args
    const reading = readingOf(patch, queue, options)
    const begin = (message: unknown): void => {
      if (!isMessage(message)) return
      const { delivery, info, carrier } = receive(patch, self, reading, message)
      patch.kit
        .attempt(info, carrier, () => {
          delivery.begun?.()
          return delivery.ended
        })
        .catch(() => {})
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

/** The attempt that a message is. One that died elsewhere is other work: its task is told to have ended, and this run is its own. */
function receive(
  patch: Patch,
  channel: Channel,
  { queue, isNoAck, isStream }: Reading,
  message: Message,
): Received<Delivery> {
  const { kit, topology } = patch
  const carried = bagOf(message)
  const taskId = taskOf(carried)
  unmark(message)
  if (taskId) noteAgain(channel, queue, taskId)
  const deaths = deathsOf(message)
  const { isSameWork, ended } = fateOf(deaths, queue)
  noteDeaths(topology, queue, deaths)
  noteReplyTo(topology, message.properties.replyTo)
  const reader = isStream ? consumerOf(message, queue) : readerOf(message, queue)
  if (ended && taskId) kit.settle(taskId, 'failed', ended, 'broker', { reader })
  const info = infoOf(patch, queue, message)
  info.reader = isSameWork ? reader : queue
  if (isSameWork && isBack(queue, deaths)) info.isReturn = true
  const nameless = isSameWork ? namelessOf(queue, message, carried) : undefined
  const delivery = hold(channel, message.fields.deliveryTag, {
    info,
    queue,
    taskId,
    nameless,
    isNoAck,
    afterReject: () => afterReject(topology, queue, message.fields.routingKey),
    onDropped: (error) => {
      if (isSameWork && taskId) tellDropped(kit, taskId, reader, error)
    },
    onVanished: () => {
      if (isSameWork && taskId) kit.settle(taskId, 'lost', 'vanished_from_broker', 'broker', { reader })
    },
  })
  return { delivery, info, carrier: isSameWork ? (nameless?.carrier ?? carried) : createBag() }
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

function readingOf({ topology }: Patch, queue: unknown, options: unknown): Reading {
  const { noAck, arguments: args } = isObject(options) ? options : {}
  const name = typeof queue === 'string' ? queue : ''
  const isStream = topology.queues.get(name)?.isStream ?? (isObject(args) && 'x-stream-offset' in args)
  return { queue: name, isNoAck: Boolean(noAck), isStream }
}

function isMessage(message: unknown): message is Message {
  return isObject(message) && isObject(message['fields']) && isObject(message['properties'])
}
