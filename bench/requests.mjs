import autocannon from 'autocannon'
import { contestants } from './contestants.mjs'
import { startApp } from './child.mjs'
import { interleaved, median, spread } from './statistics.mjs'

/**
 * CPU of the server process per request, after a warm-up, by the process's own account. With a rate so many requests a second arrive,
 * whoever serves them; without one each contestant gets as many as it can answer, and the slower it is, the more of its writes have to
 * wake a client that waits.
 */
export async function benchRequests(collectorUrl, rounds, requests, { app, path, env: own = {}, rate }) {
  const all = contestants(collectorUrl)
  const results = await interleaved(Object.keys(all), rounds, async (name) => {
    const { args, env } = all[name]
    const server = await startApp(app, { args, env: { ...env, ...own } })
    const url = `http://127.0.0.1:${server.port}${path}`
    await autocannon({ url, connections: 20, amount: Math.ceil(requests / 3) })
    const before = await server.usage()
    const load = await autocannon({ url, connections: 20, amount: requests, ...(rate ? { overallRate: rate } : {}) })
    const after = await server.usage()
    await server.stop()
    if (load.non2xx > 0 || load.errors > 0)
      throw new Error(`${name}: ${load.non2xx} answers were not 2xx, ${load.errors} errors`)
    return { cpuUs: ((after.cpuMs - before.cpuMs) * 1000) / requests, rss: after.rss }
  })
  const added = (name) => results[name].map((r, i) => r.cpuUs - results.bare[i].cpuUs)
  const ratios = (name) => added(name).map((value, i) => value / added('auto')[i])
  const rows = Object.keys(all).map((name) => ({
    contestant: name,
    'CPU µs/request': spread(results[name].map((r) => r.cpuUs)),
    added: name === 'bare' ? '' : spread(added(name)),
    'of what auto adds': name === 'bare' ? '' : spread(ratios(name), 2),
    'RSS MB after': spread(results[name].map((r) => r.rss / 1048576)),
  }))
  return {
    rows,
    figures: {
      requestOfAuto: median(ratios('afterspan')),
      requestCoreOfAuto: median(ratios('core')),
      rssAddedMb: median(results.afterspan.map((r, i) => r.rss - results.bare[i].rss)) / 1048576,
    },
  }
}
