// amqp-connection-manager (also below the clients of Nest) keeps messages in memory while there is no connection, and publishes them in
// the context of whoever has connected, or of a message before them.
import type { Integration, SentAs, TaskKit } from '@afterspan/core/internal'
import { draftOf } from './amqplib/publishing.ts'
import { noteSender, type Kept } from './amqplib/sender.ts'
import { createBag, isObject } from './sending/bag.ts'

interface Wrapper {
  _enqueueMessage(message: unknown, ...rest: unknown[]): unknown
  /** Since it is connected. */
  readonly _channel?: unknown
  /** While the app's own steps after connecting are under way. */
  readonly _settingUp?: unknown
}
/** To an exchange, or to a queue. */
interface Message {
  readonly exchange?: string
  readonly options: unknown
  readonly queue?: string
  readonly routingKey?: string
  resolve(result: unknown): void
  reject(error: unknown): void
}
interface Exports {
  readonly default?: { readonly prototype?: Wrapper }
}

const ours = new WeakSet<object>()

/** The integration of amqp-connection-manager: each message is that of who gave it. What is sent at once is amqplib's, which has its own. */
export const amqpKeptMessages: Integration<Exports> = {
  name: 'amqp-kept-messages',
  module: 'amqp-connection-manager',
  files: ['dist/cjs/ChannelWrapper.js', 'dist/esm/ChannelWrapper.js'],
  hasModules: true,
  versions: '>=4.0.0 <6',
  patch({ default: Wrapper }, kit) {
    const prototype = Wrapper?.prototype
    if (typeof prototype?._enqueueMessage !== 'function' || ours.has(prototype)) return
    ours.add(prototype)
    kit.wrap(
      prototype,
      '_enqueueMessage',
      (original) =>
        function (this: Wrapper, message, ...rest) {
          const isKept = !this._channel || this._settingUp
          if (isMessage(message)) noteSender(message.options, isKept ? keep(kit, message) : undefined)
          return original.call(this, message, ...rest)
        },
    )
  },
}

function isMessage(message: unknown): message is Message {
  if (!isObject(message)) return false
  return typeof message['resolve'] === 'function' && typeof message['reject'] === 'function'
}

/** A task from now on: it is in the hands of this process until it has been sent, or given up. */
function keep(kit: TaskKit, message: Message): Kept {
  const { exchange = '', queue = '', routingKey = queue, options, resolve, reject } = message
  const kept: Kept = { bag: createBag() }
  const sent = Promise.withResolvers<SentAs>()
  message.resolve = (result) => {
    sent.resolve(Promise.resolve(kept.left).then(() => kept.sentAs))
    resolve(result)
  }
  message.reject = (error) => {
    sent.reject(error)
    reject(error)
  }
  const draft = draftOf({ exchange, routingKey, options })
  kit
    .enqueue(
      draft,
      kept.bag,
      () => sent.promise,
      (sentAs) => sentAs,
    )
    .catch(() => {})
  return kept
}
