// The endpoints of health beside a server that answers a constant, beside terminus, and with --against beside others; and what it costs to watch the app's own calls.
import { readFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { join } from 'node:path'
import { setTimeout as wait } from 'node:timers/promises'
import * as postgres from '../test/services/postgres.mjs'
import { startApp } from './child.mjs'
import { contestants } from './contestants.mjs'
import { load } from './load.mjs'
import { otherHealth } from './others.mjs'
import { interleaved, median, spread } from './statistics.mjs'
import { tempDir } from './temp-dir.mjs'

const require = createRequire(import.meta.url)
const CONNECTIONS = 20
const QUERIES = 4_000

export async function benchHealth(collectorUrl, rounds, ms) {
  const endpoints = await benchEndpoints(collectorUrl, rounds, ms)
  const livez = await interleaved(['livez'], Math.min(rounds, 3), () => benchBlocked(collectorUrl))
  const watching = await benchWatching(collectorUrl, rounds)
  const slowest = livez.livez
  return {
    rows: [
      ...endpoints.rows,
      { contestant: '/livez during a block of 4 s, all of them', '99 % within ms': spread(slowest) },
      ...watching.rows,
    ],
    figures: { ...endpoints.figures, livezBlockedMs: median(slowest), ...watching.figures },
  }
}

/** `/readyz`, requests per second and the 99th percentile, with so many probes; `swallowed`: ten of them wait for a server that never answers. */
async function benchEndpoints(collectorUrl, rounds, ms) {
  const kinds = {
    raw: { kind: 'raw' },
    terminus: { kind: 'terminus' },
    ...Object.fromEntries(Object.entries(otherHealth()).map(([name, folder]) => [name, { kind: name, folder }])),
    'afterspan, no probe': { kind: 'afterspan', probes: 0 },
    'afterspan, 10 probes': { kind: 'afterspan', probes: 10 },
    'afterspan, 50 probes': { kind: 'afterspan', probes: 50 },
    'afterspan, 10 swallowed': { kind: 'afterspan', probes: 10, swallows: true },
  }
  const results = await interleaved(Object.keys(kinds), rounds, async (name) => {
    const server = await startHealth(collectorUrl, kinds[name])
    const url = `${server.url}${server.path ?? '/readyz'}`
    await load(url, { connections: CONNECTIONS, ms: ms / 3 })
    const { perSecond, p99, byStatus } = await load(url, { connections: CONNECTIONS, ms })
    await server.stop()
    const { 200: well = 0, ...others } = byStatus
    const notWell = Object.values(others).reduce((sum, count) => sum + count, 0)
    return { perSecond, p99, notWell: notWell / Math.max(1, well + notWell) }
  })
  const ofRaw = (name) => results[name].map((r, i) => r.perSecond / results.raw[i].perSecond)
  const ofOther = (name) => results['afterspan, 50 probes'].map((r, i) => r.perSecond / results[name][i].perSecond)
  const rows = Object.keys(kinds).map((name) => ({
    contestant: `/readyz: ${name}`,
    'requests/s': spread(
      results[name].map((r) => r.perSecond),
      0,
    ),
    'of raw': name === 'raw' ? '' : spread(ofRaw(name), 2),
    'of them not 200': median(results[name].map((r) => r.notWell)).toFixed(2),
    '99 % within ms': spread(
      results[name].map((r) => r.p99),
      2,
    ),
  }))
  const p99 = results['afterspan, 10 swallowed'].map((r, i) => r.p99 / results['afterspan, 10 probes'][i].p99)
  return {
    rows,
    figures: {
      readyz0OfRaw: median(ofRaw('afterspan, no probe')),
      readyz10OfRaw: median(ofRaw('afterspan, 10 probes')),
      readyz50OfRaw: median(ofRaw('afterspan, 50 probes')),
      readyzOfTerminus: median(ofOther('terminus')),
      readyzP99Swallowed: median(p99),
      ...Object.fromEntries(Object.keys(otherHealth()).map((name) => [`readyzOf-${name}`, median(ofOther(name))])),
    },
  }
}

/** The slowest of the answers of /livez while the main thread does nothing else for four seconds. */
async function benchBlocked(collectorUrl) {
  const server = await startHealth(collectorUrl, { kind: 'afterspan', probes: 10 })
  const isBlocked = fetch(`http://127.0.0.1:${server.port}/block`).then(() => false)
  await wait(500)
  let slowest = 0
  while (await Promise.race([isBlocked, wait(50, true)])) {
    const from = performance.now()
    await (await fetch(`${server.url}/livez`)).text()
    slowest = Math.max(slowest, performance.now() - from)
  }
  await server.stop()
  return slowest
}

/** What is done for one call that is watched, and what one query of pg costs the process, in microseconds. */
async function benchWatching(collectorUrl, rounds) {
  if (postgres.missing()) return { rows: [], figures: {} }
  const server = await postgres.start()
  try {
    const { args, env } = contestants(collectorUrl).afterspan
    const results = await interleaved(['query', 'watch'], rounds, async (name) => {
      if (name === 'watch') return { cpuUs: watchOnce() }
      const app = { args, env: { ...env, BENCH_URL: server.url, BENCH_QUERIES: String(QUERIES) } }
      const child = await startApp('pg', app)
      await child.stop()
      return child
    })
    const shares = results.watch.map((r, i) => r.cpuUs / results.query[i].cpuUs)
    const cpu = (name) => spread(results[name].map((r) => r.cpuUs))
    return {
      rows: [
        { contestant: 'a query of pg, everything on', 'CPU µs': cpu('query') },
        { contestant: 'watching it, of that', 'CPU µs': cpu('watch'), 'of raw': `${spread(shares, 3)} of a query` },
      ],
      figures: { passiveWatchOfQuery: median(shares) },
    }
  } finally {
    await server.stop()
  }
}

function watchOnce() {
  const { Traffic } = createRequire(require.resolve('afterspan'))('@afterspan/health/internal')
  const { createContextKey, ROOT_CONTEXT } = createRequire(require.resolve('@afterspan/core'))('@opentelemetry/api')
  const requestKey = createContextKey('afterspan.request')
  const traffic = new Traffic(Date.now)
  const calls = 200_000
  const attributes = { 'db.system.name': 'postgresql', 'server.address': '127.0.0.1', 'server.port': 5432 }
  const run = () => {
    let parent = ROOT_CONTEXT
    for (let i = 0; i < calls; i++) {
      const spanId = String(i)
      // Two calls to a request.
      if (i % 2 === 0)
        parent = ROOT_CONTEXT.setValue(requestKey, { ref: { traceId: 'a', spanId }, route: '/orders/:id', ended: true })
      const span = { kind: 2, attributes, spanContext: () => ({ traceId: 'a', spanId }) }
      traffic.onStart(span, parent)
      traffic.onEnd({ traceId: 'a', spanId, attributes, endMs: i })
    }
  }
  run() // warms up
  const cpu = process.cpuUsage()
  run()
  const { user, system } = process.cpuUsage(cpu)
  return (user + system) / calls
}

/** Listens on its own port where it is bare, else on the admin listener. */
async function startHealth(collectorUrl, { kind, folder, probes = 0, swallows = false }) {
  const addressFile = join(tempDir(), 'address')
  const { args, env } = contestants(collectorUrl)[kind === 'afterspan' ? 'afterspan' : 'bare']
  const child = await startApp('health', {
    args,
    env: {
      ...env,
      AFTERSPAN_ADMIN_ADDRESS_FILE: addressFile,
      OTEL_LOG_LEVEL: 'none',
      BENCH_KIND: kind,
      BENCH_PROBES: String(probes),
      ...(swallows ? { BENCH_SWALLOWS: '1' } : {}),
      ...(folder ? { BENCH_OTHER_FOLDER: folder } : {}),
    },
  })
  if (kind !== 'afterspan') return { ...child, url: `http://127.0.0.1:${child.port}` }
  // One request brings the side thread up.
  await (await fetch(`http://127.0.0.1:${child.port}/`)).text()
  const url = await addressIn(addressFile)
  for (let tries = 0; (await fetch(`${url}/readyz`)).status !== 200; tries++) {
    if (tries > 600) throw new Error(`${url}/readyz does not become 200`)
    await wait(50)
  }
  return { ...child, url }
}

async function addressIn(file) {
  for (let tries = 0; tries < 200; tries++) {
    try {
      const [address] = /^http:\/\/\S+:\d+/.exec(readFileSync(file, 'utf8')) ?? []
      if (address) return address
    } catch {
      // not there yet
    }
    await wait(50)
  }
  throw new Error('no admin listener')
}
