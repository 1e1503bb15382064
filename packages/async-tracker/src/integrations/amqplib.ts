// RabbitMQ through amqplib. Its two faces (promises, callbacks) have a Channel class each, in files of their own that the package
// does not export; everything goes through those. Message headers are the carrier's place, and it stays in them.
import type { Integration } from '@afterspan/core/internal'
import { patchCallbacks } from './amqplib/callbacks.ts'
import { patchConsume, patchGet } from './amqplib/consuming.ts'
import { patchDeclarers } from './amqplib/declaring.ts'
import { patchEmptying } from './amqplib/emptying.ts'
import { patchClose, patchEvents } from './amqplib/events.ts'
import type { Patch } from './amqplib/patch.ts'
import { patchConfirmedPublish, patchPublish } from './amqplib/publishing.ts'
import { patchSettlers } from './amqplib/settling.ts'
import type { Models } from './amqplib/shapes.ts'
import { createTopology } from './amqplib/topology.ts'

const ours = new WeakSet<object>()

/**
 * The integration of amqplib. On a confirm channel a message is enqueued when the broker has confirmed it. On a plain one nobody
 * ever says so: it stays pending, from when its bytes have left the process in nobody's hands, until somebody runs it.
 */
export const amqplib: Integration<Models> = {
  name: 'amqplib',
  module: 'amqplib',
  files: ['lib/channel_model.js', 'lib/callback_model.js'],
  versions: '>=0.10.0 <3',
  systems: ['rabbitmq'],
  replacesScopes: ['@opentelemetry/instrumentation-amqplib'],
  patch({ CallbackModel, Channel, ChannelModel, ConfirmChannel }, kit) {
    const channel = Channel.prototype
    if (ours.has(channel.publish)) return
    const patch: Patch = { kit, channel, isConfirming: (it) => it instanceof ConfirmChannel, topology }
    for (const step of [
      patchPublish,
      patchConsume,
      patchGet,
      patchSettlers,
      patchDeclarers,
      patchEmptying,
      patchEvents,
    ])
      step(patch)
    const model = CallbackModel ?? ChannelModel
    if (model) patchClose(patch, model.prototype)
    if (CallbackModel) patchCallbacks(kit, channel, ConfirmChannel.prototype)
    patchConfirmedPublish(patch, ConfirmChannel.prototype)
    ours.add(channel.publish)
  },
}

/** Both faces may be used by one app, on the same queues. */
const topology = createTopology()
