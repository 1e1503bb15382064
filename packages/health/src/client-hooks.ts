import { subscribe, unsubscribe } from 'node:diagnostics_channel'
import { join } from 'node:path'
import { requireKept, type Clock, type HealthProbe, type ModuleHook } from '@afterspan/core/internal'
import type { HealthSettings } from './options.ts'
import type * as Amqplib from './probes/amqplib.ts'
import type * as BullMq from './probes/bullmq.ts'
import type * as ConfluentKafka from './probes/confluent-kafka.ts'
import type * as Grpc from './probes/grpc.ts'
import type * as KafkaJs from './probes/kafkajs.ts'
import type * as Knex from './probes/knex.ts'
import type * as MongoDb from './probes/mongodb.ts'
import type * as MySql from './probes/mysql.ts'
import type * as Nats from './probes/nats.ts'
import type * as NodeRedis from './probes/node-redis.ts'
import type * as PgBoss from './probes/pg-boss.ts'
import type * as PlatformaticKafka from './probes/platformatic-kafka.ts'
import type * as PostgresJs from './probes/postgres-js.ts'
import type * as Postgresql from './probes/postgresql.ts'
import type * as Redis from './probes/redis.ts'
import type * as Sequelize from './probes/sequelize.ts'
import { NATS_MODULES } from './probes/nats-modules.ts'
import type { RefusalNews } from './refusals.ts'
import type { FoundProbe } from './registry.ts'

interface Given {
  readonly add: (probe: HealthProbe | FoundProbe, madeAt: string | undefined) => unknown
  readonly clock: Pick<Clock, 'monotonicMs'>
  readonly onRejected: (why: string) => void
  /** Where it is told what servers of that kind refuse to the app's own statements. */
  readonly refusals: (component: string) => RefusalNews
  /** A client has met with what may be its server's: its check is to look at once. */
  readonly onTrouble: (component: string) => void
  readonly settings: Pick<
    HealthSettings,
    | 'consumerStuckMs'
    | 'deadPoolMs'
    | 'passive'
    | 'postgresqlStatement'
    | 'queueOldestMs'
    | 'queueStatus'
    | 'queueWaiting'
    | 'timeoutMs'
  >
}

type SeekingHook = ModuleHook & { seek?(): void }

/** What is said of a probe before its library is loaded. */
export interface ClientProbe extends Omit<ModuleHook, 'patch'> {
  /** probes/<file>.ts, which is a bundle of its own: a process that has no such client does not read it. */
  readonly file: string
  /** Channels of the library's that tell of a use without the module having been loaded: its `seek` is then called. */
  readonly channels?: readonly string[]
  /** The file's exports make one hook, or one for each of several modules that it follows together. */
  hooks(exports: any, given: Given): readonly SeekingHook[]
}

function forConsumers({ consumerStuckMs, queueStatus }: Given['settings']) {
  return { stuckMs: consumerStuckMs, stuckStatus: queueStatus }
}

function forQueues({ queueOldestMs, queueStatus, queueWaiting }: Given['settings']) {
  return { status: queueStatus, mostWaiting: queueWaiting, oldestMs: queueOldestMs }
}

export const CLIENT_PROBES: readonly ClientProbe[] = [
  ...[
    { module: 'pg-pool', versions: '>=2.0.0 <4' },
    { module: 'pg', versions: '>=8.0.0 <9' },
  ].map((said) => ({
    ...said,
    name: `${said.module} (health)`,
    file: 'postgresql',
    hooks: ({ postgresqlHooks }: typeof Postgresql, { add, clock, onRejected, settings }: Given) =>
      postgresqlHooks(add, clock, onRejected, {
        deadMs: settings.deadPoolMs,
        timeoutMs: settings.timeoutMs,
        statement: settings.postgresqlStatement,
      }),
  })),
  {
    name: 'postgres (health)',
    module: 'postgres',
    versions: '>=3.3.0 <4',
    file: 'postgres-js',
    hooks: ({ postgresJsHook }: typeof PostgresJs, { add, clock, onRejected, refusals }) => [
      postgresJsHook(add, clock, onRejected, refusals('postgresql')),
    ],
  },
  {
    name: 'knex (health)',
    module: 'knex',
    files: ['lib/client.js'],
    versions: '>=0.95.0 <4',
    file: 'knex',
    hooks: ({ knexHook }: typeof Knex, { add, clock, onRejected }) => [knexHook(add, clock, onRejected)],
  },
  {
    name: 'sequelize (health)',
    module: 'sequelize',
    files: ['lib/dialects/abstract/connection-manager.js'],
    versions: '>=6.0.0 <7',
    file: 'sequelize',
    hooks: ({ sequelizeHook }: typeof Sequelize, { add, clock, onRejected }) => [sequelizeHook(add, clock, onRejected)],
  },
  {
    name: 'ioredis (health)',
    module: 'ioredis',
    versions: '>=4.0.0 <7',
    file: 'redis',
    hooks: ({ redisHook }: typeof Redis, { add, clock, onRejected, settings }) => [
      redisHook(add, clock, onRejected, settings.deadPoolMs),
    ],
  },
  {
    name: 'mongodb (health)',
    module: 'mongodb',
    versions: '>=6.0.0 <8',
    file: 'mongodb',
    hooks: ({ mongodbHook }: typeof MongoDb, { add, clock, onRejected, onTrouble, settings }) => [
      mongodbHook(add, clock, onRejected, { deadMs: settings.deadPoolMs, onTrouble: () => onTrouble('mongodb') }),
    ],
  },
  {
    name: 'mysql2 (health)',
    module: 'mysql2',
    versions: '>=2.0.0 <4',
    file: 'mysql',
    // of mysql2/promise, which does not load the main file
    channels: ['tracing:mysql2:pool:connect:start', 'tracing:mysql2:connect:start'],
    hooks: ({ mysqlHook }: typeof MySql, { add, clock, onRejected, refusals, settings }) => [
      mysqlHook(add, clock, onRejected, { deadMs: settings.deadPoolMs, refusals: refusals('mysql') }),
    ],
  },
  {
    name: '@grpc/grpc-js (health)',
    module: '@grpc/grpc-js',
    files: ['build/src/client.js'],
    versions: '>=1.4.0 <2',
    file: 'grpc',
    hooks: ({ grpcHook }: typeof Grpc, { add, clock, onRejected }) => [grpcHook(add, clock, onRejected)],
  },
  {
    name: 'redis (health)',
    module: '@redis/client',
    files: ['client/index', 'client/pool', 'cluster/index', 'sentinel/index'].map((file) => `dist/lib/${file}.js`),
    versions: '>=5.0.0 <7',
    file: 'node-redis',
    hooks: ({ nodeRedisHook }: typeof NodeRedis, { add, clock, onRejected, settings }) => [
      nodeRedisHook(add, onRejected, clock, settings.deadPoolMs),
    ],
  },
  {
    name: 'amqplib (health)',
    module: 'amqplib',
    files: ['lib/connect.js', 'lib/channel.js', 'lib/recovery.js'],
    versions: '>=0.10.0 <3',
    file: 'amqplib',
    hooks: ({ amqplibHook }: typeof Amqplib, { add, clock, onRejected, settings }) => [
      amqplibHook(add, clock, onRejected, {
        ...forConsumers(settings),
        deadMs: settings.deadPoolMs,
        againMs: 10_000,
      }),
    ],
  },
  {
    name: 'bullmq (health)',
    module: 'bullmq',
    versions: '>=5.0.0 <7',
    file: 'bullmq',
    hooks: ({ bullmqHook }: typeof BullMq, { add, onRejected, settings }) => [
      bullmqHook(add, onRejected, forQueues(settings)),
    ],
  },
  {
    name: 'pg-boss (health)',
    module: 'pg-boss',
    versions: '>=12.0.0 <13',
    file: 'pg-boss',
    hooks: ({ pgBossHook }: typeof PgBoss, { add, clock, onRejected, settings }) => [
      pgBossHook(add, clock, onRejected, forQueues(settings)),
    ],
  },
  {
    name: 'kafkajs (health)',
    module: 'kafkajs',
    versions: '>=2.0.0 <3',
    file: 'kafkajs',
    hooks: ({ kafkajsHook }: typeof KafkaJs, { add, clock, onRejected, settings }) => [
      kafkajsHook(add, clock, onRejected, {
        ...forConsumers(settings),
        deadMs: settings.deadPoolMs,
        timeoutMs: settings.timeoutMs,
        passive: settings.passive,
      }),
    ],
  },
  {
    name: '@platformatic/kafka (health)',
    module: '@platformatic/kafka',
    versions: '>=2.2.3 <3',
    file: 'platformatic-kafka',
    hooks: ({ platformaticKafkaHook }: typeof PlatformaticKafka, { add, clock, onRejected, settings }) => [
      platformaticKafkaHook(add, clock, onRejected, {
        ...forConsumers(settings),
        deadMs: settings.deadPoolMs,
        timeoutMs: settings.timeoutMs,
        passive: settings.passive,
      }),
    ],
  },
  {
    name: '@confluentinc/kafka-javascript (health)',
    module: '@confluentinc/kafka-javascript',
    files: ['lib/client.js', 'lib/kafka-consumer.js', 'lib/producer.js'],
    versions: '>=1.0.0 <2',
    file: 'confluent-kafka',
    hooks: ({ confluentKafkaHook }: typeof ConfluentKafka, { add, clock, onRejected, settings }) => [
      confluentKafkaHook(add, clock, onRejected, {
        ...forConsumers(settings),
        deadMs: settings.deadPoolMs,
        timeoutMs: settings.timeoutMs,
      }),
    ],
  },
  ...NATS_MODULES.map((said) => ({
    ...said,
    name: `${said.module} (health)`,
    file: 'nats',
    hooks: ({ natsHooks }: typeof Nats, { add, clock, onRejected, settings }: Given) =>
      natsHooks(add, clock, onRejected, {
        ...forConsumers(settings),
        isPassive: settings.passive,
      }),
  })),
]

/** One for each library whose clients become probes as the app makes them; what it does is loaded with the library. */
export function clientHooks(bundleDir: string, given: Given): readonly ModuleHook[] {
  const made = new Map<string, readonly SeekingHook[]>()
  return CLIENT_PROBES.map(({ file, channels = [], hooks, ...said }) => {
    const make = (): SeekingHook => {
      const all = made.get(file) ?? hooks(requireKept(join(bundleDir, `probe-${file}.js`)), given)
      made.set(file, all)
      return all.find(({ name }) => name === said.name)!
    }
    for (const channel of channels) onceTold(channel, () => make().seek?.())
    return { ...said, patch: (exports, loaded) => make().patch(exports, loaded) }
  })
}

/** A subscriber that throws would be an uncaught error of the app. */
function onceTold(channel: string, then: () => void): void {
  const listen = (): void => {
    unsubscribe(channel, listen)
    try {
      then()
    } catch {
      // a probe less
    }
  }
  subscribe(channel, listen)
}
