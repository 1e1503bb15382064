import * as postgres from '../test/services/postgres.mjs'
import * as redis from '../test/services/redis.mjs'
import { startApp } from './child.mjs'
import { contestants, telemetryOfQueue } from './contestants.mjs'
import { interleaved, median, spread } from './statistics.mjs'

const LIBRARIES = {
  bullmq: { service: redis, others: ['bullmq-otel'], env: ({ port }) => ({ BENCH_PORT: String(port) }) },
  'pg-boss': { service: postgres, others: [], env: ({ url }) => ({ BENCH_URL: url }) },
}
/** A job that does nothing shows the cost, one that works a little what a service has of it. */
const JOBS = [
  { job: 'empty', suffix: '', env: {}, jobs: { bullmq: 3_000, 'pg-boss': 1_000 } },
  { job: '½ ms of work', suffix: 'Working', env: { BENCH_WORK: '1' }, jobs: { bullmq: 1_500, 'pg-boss': 500 } },
]
/** So many times the jobs that are measured go before them: whoever has more code has more to compile, on the same two cores. */
const WARM_UP = { short: 2, long: 5 }

/** Jobs per second through a queue, with and without Afterspan; in the short form of empty jobs alone. Where the server is not on this machine, the library is left out. */
export async function benchQueues(collectorUrl, rounds, isShort) {
  const rows = []
  const figures = {}
  for (const [library, { service, others, env }] of Object.entries(LIBRARIES)) {
    if (service.missing()) continue
    const server = await service.start()
    try {
      for (const { job, suffix, env: more, jobs } of isShort ? JOBS.slice(0, 1) : JOBS) {
        const warmUp = jobs[library] * (isShort ? WARM_UP.short : WARM_UP.long)
        const settings = { ...env(server), ...more, BENCH_JOBS: String(jobs[library]), BENCH_WARM_UP: String(warmUp) }
        const names = ['bare', 'afterspan', ...others]
        const all = { ...contestants(collectorUrl), 'bullmq-otel': telemetryOfQueue(collectorUrl) }
        const results = await interleaved(names, rounds, (name) => runOnce(library, all[name], settings))
        const ratios = (name, of) => results[name].map((r, i) => r.perSecond / results[of][i].perSecond)
        for (const name of names) rows.push(row({ library, job, name }, results[name], ratios(name, 'bare')))
        figures[`${library}${suffix}OfBare`] = median(ratios('afterspan', 'bare'))
        for (const other of others) figures[`${library}${suffix}OfOtel`] = median(ratios('afterspan', other))
      }
    } finally {
      await server.stop()
    }
  }
  return { rows, figures }
}

async function runOnce(app, { args, env }, settings) {
  const child = await startApp(app, { args, env: { ...env, ...settings } })
  await child.stop()
  return child
}

function row({ library, job, name }, results, ratios) {
  const of = (key) =>
    spread(
      results.map((r) => r[key]),
      0,
    )
  return {
    library,
    job,
    contestant: name,
    'jobs/s': of('perSecond'),
    'CPU µs/job': of('cpuUs'),
    'of bare': name === 'bare' ? '' : spread(ratios, 2),
  }
}
