import { flag, integer, list, loadSection, oneOf, text } from '@afterspan/core/internal'
import { sharedPolicies, type SharedPolicies } from './fleet.ts'

/** One row per variable of health. */
export const healthOptions = {
  intervalMs: integer(
    'AFTERSPAN_HEALTH_INTERVAL',
    'Milliseconds between two rounds of a probe while all is calm.',
    2000,
    {
      min: 100,
      max: 600_000,
    },
  ),
  timeoutMs: integer('AFTERSPAN_HEALTH_TIMEOUT', 'Milliseconds that one check may take; then it has failed.', 1500, {
    min: 50,
    max: 60_000,
  }),
  format: oneOf(
    'AFTERSPAN_HEALTH_FORMAT',
    'Body of /health where the request names none, by ?format= or Accept: health (draft-inadarei-api-health-check), spring (Spring Boot Actuator) or terminus (@nestjs/terminus, @godaddy/terminus).',
    ['health', 'spring', 'terminus'],
    'health',
  ),
  mount: oneOf(
    'AFTERSPAN_HEALTH_MOUNT',
    "Where health is served. admin: on the admin listener; app: on the app's own HTTP ports too, where only the token opens details, and as grpc.health.v1 on its gRPC servers.",
    ['admin', 'app'],
    'admin',
  ),
  optional: list(
    'AFTERSPAN_HEALTH_OPTIONAL',
    'Names of probes that are optional: they make /health warn and leave /readyz alone.',
  ),
  shared: sharedPolicies(
    'AFTERSPAN_HEALTH_SHARED',
    'What a shared dependency that is down does to /readyz: closed, the default: 503; open: 200 and a warning, so that the load balancer keeps its instances; quorum: open where it is down for most instances of the service, as they say to each other through the ledger of AFTERSPAN_LEDGER_URL, else closed. A word for all, name=open for one check or one kind of server (closed,redis=open). What is the instance’s own trouble, such as a pool that is used up, is 503 all the same.',
  ),
  deadPoolMs: integer(
    'AFTERSPAN_HEALTH_DEAD_POOL',
    'Milliseconds for which a pool must have given nothing to an app that wants something, a client of ioredis or redis no answer, or a consumer must have ended for good, until /livez asks for a restart; of a pool only where a connection beside it works, twice, and the server sees none of the pool’s own at work, of these clients only where a new one works for as long.',
    60_000,
    { min: 1000, max: 3_600_000 },
  ),
  disks: list(
    'AFTERSPAN_HEALTH_DISKS',
    'Paths whose file systems must have room, in bytes and inodes. Without it, that of the ledger.',
  ),
  oldestRequestMs: integer(
    'AFTERSPAN_HEALTH_OLDEST_REQUEST',
    'Milliseconds after which a request without an answer is a warning. 0: never, it is only told; a stream or a long poll is old and well.',
    0,
    { min: 0, max: 86_400_000 },
  ),
  postgresqlStatement: text(
    'AFTERSPAN_HEALTH_POSTGRESQL_STATEMENT',
    'A statement of your own that the probe of each pool of pg runs too, in a transaction that is rolled back, with a timeout for it and its locks: INSERT INTO health (at) VALUES (now()).',
  ),
  consumerStuckMs: integer(
    'AFTERSPAN_HEALTH_CONSUMER_STUCK',
    'Milliseconds for which a consumer may get nowhere while messages wait for it; then it is stuck.',
    60_000,
    { min: 1000, max: 86_400_000 },
  ),
  queueStatus: oneOf(
    'AFTERSPAN_HEALTH_QUEUE_STATUS',
    'What a consumer is that is stuck, or a queue beyond one of its thresholds: a warning, or a fail, which /readyz follows.',
    ['warn', 'fail'],
    'warn',
  ),
  queueWaiting: integer(
    'AFTERSPAN_HEALTH_QUEUE_WAITING',
    'Jobs that may wait in a queue of BullMQ or pg-boss. 0: any number, it is only told.',
    0,
    { min: 0, max: 1_000_000_000 },
  ),
  queueOldestMs: integer(
    'AFTERSPAN_HEALTH_QUEUE_OLDEST',
    'Milliseconds for which the oldest job of a queue of BullMQ or pg-boss may wait. 0: for ever, it is only told.',
    900_000,
    { min: 0, max: 2_592_000_000 },
  ),
  passive: flag(
    'AFTERSPAN_HEALTH_PASSIVE',
    'Whether a dependency that the app’s own calls show to be well is asked only in each fifth round.',
    true,
  ),
  stallMs: integer(
    'AFTERSPAN_HEALTH_STALL',
    'Milliseconds of silence of the main thread after which /livez asks for a restart.',
    30_000,
    { min: 1000, max: 3_600_000 },
  ),
}

export interface HealthSettings {
  readonly intervalMs: number
  readonly timeoutMs: number
  readonly mount: 'admin' | 'app'
  readonly format: 'health' | 'spring' | 'terminus'
  readonly optional: readonly string[]
  readonly passive: boolean
  readonly shared: SharedPolicies
  readonly deadPoolMs: number
  readonly disks: readonly string[]
  readonly oldestRequestMs: number
  readonly consumerStuckMs: number
  readonly queueStatus: 'warn' | 'fail'
  /** 0: any number. */
  readonly queueWaiting: number
  /** 0: for ever. */
  readonly queueOldestMs: number
  /** '' for none. */
  readonly postgresqlStatement: string
  readonly stallMs: number
  /** Of --max-old-space-size, where it was given. */
  readonly oldSpaceLimitMb: number | undefined
}

/** The options as they are set; a bad value is said once and its default used. */
export function healthSettings(
  env: Readonly<Record<string, string | undefined>> = process.env,
  execArgv: readonly string[] = process.execArgv,
): HealthSettings {
  return { ...loadSection(healthOptions, env), oldSpaceLimitMb: oldSpaceLimit(env, execArgv) }
}

/** The last --max-old-space-size wins, as V8 has it; the command line comes after NODE_OPTIONS. */
function oldSpaceLimit(
  env: Readonly<Record<string, string | undefined>>,
  execArgv: readonly string[],
): number | undefined {
  const words = `${env['NODE_OPTIONS'] ?? ''} ${execArgv.join(' ')}`
  const found = [...words.matchAll(/--max[-_]old[-_]space[-_]size[= ](\d{1,9})\b/g)].at(-1)
  return found ? Number(found[1]) : undefined
}
