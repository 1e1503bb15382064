// Express with a database and a cache, both traced: what most services are made of.
import * as postgres from '../test/services/postgres.mjs'
import * as redis from '../test/services/redis.mjs'
import { benchRequests } from './requests.mjs'
import { benchStartup } from './startup.mjs'

/** Where one of the servers is not on this machine, nothing is measured. */
export async function benchStack(collectorUrl, rounds, requests, rate) {
  if (redis.missing() ?? postgres.missing()) return { rows: [], figures: {} }
  const servers = [await redis.start(), await postgres.start()]
  try {
    const env = { BENCH_REDIS: servers[0].url, BENCH_POSTGRES: servers[1].url }
    const parts = [await benchStartup(collectorUrl, rounds, { app: 'stack', env, first: false })]
    for (const path of ['/redis/7', '/both/7'])
      parts.push(await benchRequests(collectorUrl, rounds, requests, { app: 'stack', path, env, rate }))
    const [{ figures: startup }, { figures: cached }, { figures: both }] = parts
    return {
      rows: parts.flatMap(({ rows }, i) =>
        rows.map((row) => ({ measured: ['start-up', 'redis', 'redis + pg'][i], ...row })),
      ),
      figures: {
        stackStartupCpuAddedMs: startup.startupCpuAddedMs,
        stackRedisRequestOfAuto: cached.requestOfAuto,
        stackBothRequestOfAuto: both.requestOfAuto,
      },
    }
  } finally {
    for (const server of servers) await server.stop()
  }
}
