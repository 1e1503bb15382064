import { setTimeout as wait } from 'node:timers/promises'
import { contestants } from './contestants.mjs'
import { startApp } from './child.mjs'
import { interleaved, median, spread } from './statistics.mjs'

/**
 * CPU until an Express app listens, and until it has been idle for 1.5 s (the side thread is up by then), against the same app without a
 * preload. `core` and `afterspan` find the code that the start before has kept; "first" are starts that find none.
 */
export async function benchStartup(collectorUrl, rounds, { app: file = 'express', env: own = {}, first = true } = {}) {
  const all = first ? withFirstStarts(contestants(collectorUrl)) : contestants(collectorUrl)
  for (const contestant of Object.values(all)) Object.assign(contestant, { env: { ...contestant.env, ...own } })
  for (const name of ['core', 'afterspan']) await keepCode(file, all[name])
  const results = await interleaved(Object.keys(all), rounds, async (name) => {
    const app = await startApp(file, all[name])
    await wait(1500)
    const idle = await app.usage()
    await app.stop()
    return { listenCpuMs: app.cpuMs, idleCpuMs: idle.cpuMs, wallMs: app.wallMs, rss: idle.rss }
  })
  const added = (name, key) => results[name].map((r, i) => r[key] - results.bare[i][key])
  const rows = Object.keys(all).map((name) => ({
    contestant: name,
    'CPU ms to listen': spread(results[name].map((r) => r.listenCpuMs)),
    added: name === 'bare' ? '' : spread(added(name, 'listenCpuMs')),
    'added, 1.5 s later': name === 'bare' ? '' : spread(added(name, 'idleCpuMs')),
    'RSS MB added, idle': name === 'bare' ? '' : spread(added(name, 'rss').map((b) => b / 1048576)),
  }))
  return {
    rows,
    figures: {
      startupCpuAddedMs: median(added('afterspan', 'idleCpuMs')),
      startupCoreCpuAddedMs: median(added('core', 'idleCpuMs')),
      ...(first
        ? {
            startupFirstCpuAddedMs: median(added('afterspan, first', 'idleCpuMs')),
            startupCoreFirstCpuAddedMs: median(added('core, first', 'idleCpuMs')),
          }
        : {}),
      startupAutoCpuAddedMs: median(added('auto', 'idleCpuMs')),
      idleRssAddedMb: median(added('afterspan', 'rss')) / 1048576,
      idleRssCoreAddedMb: median(added('core', 'rss')) / 1048576,
    },
  }
}

function withFirstStarts(all) {
  const first = ({ args, env }) => ({ args, env: { ...env, AFTERSPAN_CODE_CACHE: 'off' } })
  return { ...all, 'core, first': first(all.core), 'afterspan, first': first(all.afterspan) }
}

/** It is kept a second after the app listens. */
async function keepCode(file, contestant) {
  const app = await startApp(file, contestant)
  await wait(2500)
  await app.stop()
}
