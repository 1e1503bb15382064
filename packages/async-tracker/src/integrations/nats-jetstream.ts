// NATS JetStream through @nats-io/jetstream, whichever transport lies below it.
import type { Integration } from '@afterspan/core/internal'
import { patchJetStream } from './nats/patch.ts'
import type { Exports } from './nats/shapes.ts'

/** The integration of @nats-io/jetstream: a message that is published to a stream is a task, a delivery of it an attempt. */
export const natsJetstream: Integration<Exports> = {
  name: 'nats-jetstream',
  module: '@nats-io/jetstream',
  files: ['consumer', 'jsbaseclient_api', 'jsclient', 'jsmsg', 'pushconsumer'].map((file) => `lib/${file}.js`),
  versions: '>=3.0.0 <4',
  systems: ['nats'],
  patch: patchJetStream,
}
