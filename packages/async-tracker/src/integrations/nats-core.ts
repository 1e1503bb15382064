// @nats-io/nats-core, below @nats-io/jetstream. A plain message is no task (docs/decisions/nats.md), so nothing is changed here:
// it is only that the class of headers is not shown by the file that publishes to streams.
import type { Integration } from '@afterspan/core/internal'
import { learnHeaders } from './nats/headers.ts'
import type { Exports } from './nats/shapes.ts'

/** Lends nats-jetstream the class of message headers. */
export const natsCore: Integration<Exports> = {
  name: 'nats-core',
  module: '@nats-io/nats-core',
  files: ['lib/headers.js'],
  versions: '>=3.0.0 <4',
  patch({ MsgHdrsImpl }) {
    if (MsgHdrsImpl) learnHeaders(MsgHdrsImpl)
  },
}
