// NATS through the package `nats`, which has JetStream in it. The newer packages: nats-jetstream.ts.
import type { Integration } from '@afterspan/core/internal'
import { patchJetStream } from './nats/patch.ts'
import type { Exports } from './nats/shapes.ts'

/** The integration of nats 2: a message that is published to a stream is a task, a delivery of it an attempt. */
export const nats: Integration<Exports> = {
  name: 'nats',
  module: 'nats',
  files: ['consumer', 'jsbaseclient_api', 'jsclient', 'jsmsg'].map((file) => `lib/jetstream/${file}.js`),
  versions: '>=2.29.0 <3',
  systems: ['nats'],
  patch: patchJetStream,
}
