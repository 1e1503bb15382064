// amqp-connection-manager (also below the clients of Nest) keeps messages while there is no connection, and publishes them in the context
// of whoever has connected, or of a message before them.
import type { Integration } from '@afterspan/core/internal'
import { noteSender } from './amqplib/sender.ts'
import { isObject } from './sending/bag.ts'

interface Wrapper {
  _enqueueMessage(message: unknown, ...rest: unknown[]): unknown
}
interface Exports {
  readonly default?: { readonly prototype?: Wrapper }
}

const ours = new WeakSet<object>()

/** The integration of amqp-connection-manager: each message is that of who gave it. What is sent is amqplib's, which has its own. */
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
          if (isObject(message)) noteSender(message['options'])
          return original.call(this, message, ...rest)
        },
    )
  },
}
