import type { Clock, HealthProbe, ModuleHook } from '@afterspan/core/internal'
import type { HealthSettings } from './options.ts'
import { mysqlHook } from './probes/mysql.ts'
import { natsHooks } from './probes/nats.ts'
import { nodeRedisHook } from './probes/node-redis.ts'
import { postgresJsHook } from './probes/postgres-js.ts'
import { postgresqlHook } from './probes/postgresql.ts'
import { redisHook } from './probes/redis.ts'
import type { FoundProbe } from './registry.ts'

/** One for each library whose clients become probes as the app makes them. */
export function clientHooks(
  add: (probe: HealthProbe | FoundProbe, madeAt: string | undefined) => unknown,
  clock: Pick<Clock, 'monotonicMs'>,
  onRejected: (why: string) => void,
  settings: Pick<HealthSettings, 'deadPoolMs' | 'postgresqlStatement' | 'timeoutMs'>,
): readonly ModuleHook[] {
  return [
    postgresqlHook(add, clock, onRejected, {
      deadMs: settings.deadPoolMs,
      timeoutMs: settings.timeoutMs,
      statement: settings.postgresqlStatement,
    }),
    postgresJsHook(add, clock, onRejected),
    redisHook(add, onRejected),
    mysqlHook(add, onRejected),
    nodeRedisHook(add, onRejected),
    ...natsHooks(add, onRejected),
  ]
}
