import { setTimeout as wait } from 'node:timers/promises'
import { contestants } from './contestants.mjs'
import { startApp } from './child.mjs'
import { interleaved, median, spread } from './statistics.mjs'

/**
 * CPU until an Express app listens, and until it has been idle for 1.5 s (the side thread is up by then), against the same app without a
 * preload. `core` and `afterspan` find the code that the start before has kept; "first" are starts that find none.
 */
export async function benchStartup(collectorUrl, rounds) {
  const all = withFirstStarts(contestants(collectorUrl))
  for (const name of ['core', 'afterspan']) await keepCode(all[name])
  const results = await interleaved(Object.keys(all), rounds, async (name) => {
    const app = await startApp('express', all[name])
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
      startupFirstCpuAddedMs: median(added('afterspan, first', 'idleCpuMs')),
      startupCoreFirstCpuAddedMs: median(added('core, first', 'idleCpuMs')),
      startupAutoCpuAddedMs: median(added('auto', 'idleCpuMs')),
      idleRssAddedMb: median(added('afterspan', 'rss')) / 1048576,
    },
  }
}

function withFirstStarts(all) {
  const first = ({ args, env }) => ({ args, env: { ...env, AFTERSPAN_CODE_CACHE: 'off' } })
  return { ...all, 'core, first': first(all.core), 'afterspan, first': first(all.afterspan) }
}

/** It is kept a second after the app listens. */
async function keepCode(contestant) {
  const app = await startApp('express', contestant)
  await wait(2500)
  await app.stop()
}
