import * as postgres from '../test/services/postgres.mjs'
import * as redis from '../test/services/redis.mjs'
import { startApp } from './child.mjs'
import { contestants } from './contestants.mjs'
import { interleaved, median, spread } from './statistics.mjs'

const LIBRARIES = {
  bullmq: { service: redis, jobs: 3_000, env: ({ port }) => ({ BENCH_PORT: String(port) }) },
  'pg-boss': { service: postgres, jobs: 1_000, env: ({ url }) => ({ BENCH_URL: url }) },
}

/** Jobs per second through a queue, with and without Afterspan. Where the server is not on this machine, the library is left out. */
export async function benchQueues(collectorUrl, rounds) {
  const rows = []
  const figures = {}
  for (const [app, { service, jobs, env }] of Object.entries(LIBRARIES)) {
    if (service.missing()) continue
    const server = await service.start()
    try {
      const all = contestants(collectorUrl)
      const results = await interleaved(['bare', 'afterspan'], rounds, async (name) => {
        const { args, env: own } = all[name]
        const child = await startApp(app, { args, env: { ...own, ...env(server), BENCH_JOBS: String(jobs) } })
        await child.stop()
        return child
      })
      const ratios = results.afterspan.map((r, i) => r.perSecond / results.bare[i].perSecond)
      for (const name of ['bare', 'afterspan'])
        rows.push({
          library: app,
          contestant: name,
          'jobs/s': spread(
            results[name].map((r) => r.perSecond),
            0,
          ),
          'CPU µs/job': spread(
            results[name].map((r) => r.cpuUs),
            0,
          ),
          'of bare': name === 'bare' ? '' : spread(ratios, 2),
        })
      figures[`${app}OfBare`] = median(ratios)
    } finally {
      await server.stop()
    }
  }
  return { rows, figures }
}
