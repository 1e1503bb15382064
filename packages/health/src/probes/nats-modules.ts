interface NatsModule {
  readonly module: string
  readonly files: readonly string[]
  readonly versions: string
}

const JETSTREAM = ['consumer.js', 'jsbaseclient_api.js', 'jsclient.js']
const PARTS = '>=3.0.0 <4'

/** The packages of both generations of the client, and of each the files in which its classes are. */
export const NATS_MODULES: readonly NatsModule[] = [
  {
    module: 'nats',
    files: ['lib/nats-base-client/nats.js', ...JETSTREAM.map((file) => `lib/jetstream/${file}`)],
    versions: '>=2.29.0 <3',
  },
  { module: '@nats-io/nats-core', files: ['lib/nats.js'], versions: PARTS },
  { module: '@nats-io/jetstream', files: JETSTREAM.map((file) => `lib/${file}`), versions: PARTS },
]
