import { flag, httpUrl, integer, oneOf, postgresUrl, spoolOptions } from '@afterspan/core/internal'

export const trackerOptions = {
  ...spoolOptions,
  ledgerUrl: postgresUrl(
    'AFTERSPAN_LEDGER_URL',
    'One ledger for several hosts: postgres://user:password@host/database (PostgreSQL 12 or later; the user makes the schema afterspan). Needs the package pg. Default: SQLite in the ledger folder.',
  ),
  patrol: oneOf(
    'AFTERSPAN_PATROL',
    'Who patrols. inline: the side thread of whichever process holds the lock; external: `afterspan patrol`, which has the metrics of tasks then (`--port`); off: nobody.',
    ['inline', 'external', 'off'],
    'inline',
  ),
  pgBossCarrier: flag(
    'AFTERSPAN_PGBOSS_CARRIER',
    'Whether the trace context travels in the data of pg-boss jobs, which have no headers; it is taken out before the handler sees it.',
    true,
  ),
  graphileWorkerCarrier: flag(
    'AFTERSPAN_GRAPHILE_WORKER_CARRIER',
    'Whether the trace context travels with Graphile Worker jobs, as one of their flags; the payload is never touched.',
    true,
  ),
  redisStreams: flag(
    'AFTERSPAN_REDIS_STREAMS',
    'Whether what is added to Redis streams by ioredis or node-redis is work to be followed; off where streams are read as logs, by no group of consumers.',
    true,
  ),
  timers: oneOf(
    'AFTERSPAN_TIMERS',
    "late: a timer of less than a minute that the app sets for a request as it answers, or later, is work that a death of the process must not lose without a word; off: timers are nobody's work.",
    ['late', 'off'],
    'late',
  ),
  retentionDays: integer('AFTERSPAN_LEDGER_DAYS', 'Days that settled tasks are kept.', 14, { min: 1, max: 3650 }),
  openDays: integer(
    'AFTERSPAN_LEDGER_OPEN_DAYS',
    'Days that an open task of which nothing is heard is waited for, such as a message that a service without Afterspan reads, or that its broker dropped without a word. Then it is unheard, and goes after AFTERSPAN_LEDGER_DAYS more.',
    30,
    { min: 1, max: 3650 },
  ),
  ledgerMegabytes: integer(
    'AFTERSPAN_LEDGER_MB',
    'Most megabytes of the ledger, without what waits for the collector (in PostgreSQL: of its tasks, estimated); the oldest succeeded tasks go first, then what waits, failures last.',
    512,
    {
      min: 8,
      max: 1_000_000,
    },
  ),
  webhookUrl: httpUrl(
    'AFTERSPAN_WEBHOOK_URL',
    'Address to which the patrol posts crashes, and tasks that failed or were lost, as JSON: grouped, at most one post in five seconds.',
  ),
}
