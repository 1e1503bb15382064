// Several processes or threads of one service answer a scrape as one: whichever is asked, also when some have died.
import { createServer, type AddressInfo } from 'node:net'
import { get, pollUntil, startPreloaded, tempDir, type PreloadedApp } from '@afterspan/testing'
import { afterEach, expect, test } from 'vitest'
import { appFile, listening } from './app.ts'

const apps: PreloadedApp[] = []
afterEach(async () => {
  await Promise.all(apps.splice(0).map((app) => app.stop()))
})

const ledgerDir = tempDir('ledger')
/** Each test is a service of its own: they share the machine's folder. */
let services = 0

function start(mode: string, env: Record<string, string> = {}): PreloadedApp {
  const app = startPreloaded({
    app: appFile('many.cjs'),
    ledgerDir,
    env: { MODE: mode, OTEL_SERVICE_NAME: `many-${process.pid}-${services}`, ...env },
  })
  apps.push(app)
  return app
}

/** Answers of `url` until `wanted` of them said something else each. */
async function answers(url: string, wanted: number): Promise<{ readonly asked: number; readonly by: Set<string> }> {
  const by = new Set<string>()
  let asked = 0
  await pollUntil(async () => {
    by.add((await get(url)).text)
    asked++
    return by.size >= wanted
  })
  return { asked, by }
}

/** The sum of a metric's series. */
function sumOf(text: string, name: string): number {
  const values = text.split('\n').filter((line) => line.startsWith(`${name}{`) || line.startsWith(`${name} `))
  return values.reduce((sum, line) => sum + Number(line.split(' ').at(-1)), 0)
}
const REQUESTS = 'http_server_request_duration_seconds_count'
const pids = (text: string): string[] =>
  [...text.matchAll(/^process_resident_memory_bytes\{process_pid="(\d+)"\}/gm)].map(([, pid]) => pid!).sort()
const membersIn = (text: string): number =>
  Number(/^afterspan_metrics_members\{state="answered"\} (\d+)$/m.exec(text)?.[1])

/** What is scraped at `url`, once that many processes and threads are in it. */
function scraped(url: string, members: number): Promise<string> {
  return pollUntil(async () => {
    const { text } = await get(url)
    return membersIn(text) === members ? text : undefined
  })
}

test("cluster: the primary and its workers answer as one on the app's port and on the admin listener, and a killed worker leaves its counters", async () => {
  services++
  const app = start('cluster')
  const url = await listening(app)
  const { asked, by } = await answers(url, 2)
  const text = await scraped(`${url}/metrics`, 3)
  expect(sumOf(text, REQUESTS)).toBe(asked)
  expect(pids(text)).toEqual([String(app.pid), ...by].sort())
  const again = await get(`${await app.adminUrl()}/metrics`)
  expect(sumOf(again.text, REQUESTS)).toBe(asked)

  const [victim] = by
  process.kill(Number(victim), 'SIGKILL')
  await app.waitForLine(new RegExp(`^gone ${victim}$`))
  const after = await scraped(`${url}/metrics`, 2)
  expect(sumOf(after, REQUESTS)).toBe(asked)
  expect(pids(after)).not.toContain(victim)
  expect(app.stderr).toBe('')
})

test('two processes of one service on one port: the second waits in silence, answers through the first, and takes the port when the first is killed', async () => {
  services++
  const port = String(await freePort())
  const first = start('alone', { OTEL_EXPORTER_PROMETHEUS_PORT: port })
  const urls = [await listening(first)]
  const admin = await first.adminUrl()
  const second = start('alone', { OTEL_EXPORTER_PROMETHEUS_PORT: port })
  urls.push(await listening(second))
  for (const url of urls) await get(url)
  expect(sumOf(await scraped(`${admin}/metrics`, 2), REQUESTS)).toBe(2)
  expect(sumOf(await scraped(`${urls[1]}/metrics`, 2), REQUESTS)).toBe(2)

  process.kill(first.pid!, 'SIGKILL')
  await first.exit
  const text = await pollUntil(async () => (await get(`${admin}/metrics`)).text)
  expect(sumOf(text, REQUESTS)).toBe(2)
  expect(pids(text)).toEqual([String(second.pid)])
  expect(second.stderr).toBe('')
})

test('worker threads: their requests are in the answer of the process, and the process itself is told once', async () => {
  services++
  const app = start('threads')
  const ports = await Promise.all([1, 2, 3].map((n) => nthPort(app, n)))
  for (const port of ports) await get(`http://127.0.0.1:${port}/`)
  const text = await scraped(`${await app.adminUrl()}/metrics`, 3)
  expect(sumOf(text, REQUESTS)).toBe(3)
  expect(pids(text)).toEqual([String(app.pid)])
  expect(text).toMatch(/^nodejs_eventloop_utilization\S*thread_id="1"\} /m)
  for (const port of ports) expect(sumOf((await get(`http://127.0.0.1:${port}/metrics`)).text, REQUESTS)).toBe(3)
})

test('AFTERSPAN_METRICS_SHARE=process: each process tells its own numbers alone', async () => {
  services++
  const app = start('cluster', { AFTERSPAN_METRICS_SHARE: 'process' })
  const url = await listening(app)
  const { by } = await answers(url, 2)
  const { text } = await get(`${url}/metrics`)
  expect(pids(text)).toEqual([])
  expect(text).not.toContain('afterspan_metrics_members')
  expect(by.size).toBe(2)
})

test('the handler is mounted in Express, Fastify, Koa, hapi and Hono as the page tells it', async () => {
  services++
  const app = startPreloaded({ app: appFile('metrics-mounts.cjs'), ledgerDir })
  apps.push(app)
  const [, told] = await app.waitForLine(/^ports (.*)$/)
  const answers = await Promise.all(
    told!.split(' ').map(async (entry) => {
      const [name, port] = entry.split('=')
      const { status, text } = await get(`http://127.0.0.1:${port}/metrics`)
      return [name, status, /^target_info\{/m.test(text)]
    }),
  )
  expect(answers).toEqual(['express', 'fastify', 'koa', 'hapi', 'hono'].map((name) => [name, 200, true]))
  expect(app.stderr).toBe('')
})

test('the handler without the preload says so', async () => {
  const { metricsHandler } = (await import('afterspan')) as typeof import('afterspan')
  const { createServer: createHttpServer } = await import('node:http')
  const server = createHttpServer(metricsHandler()).listen(0, '127.0.0.1')
  await new Promise((resolve) => server.once('listening', resolve))
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/`
  const [asked, posted] = [await get(url), await get(url, { method: 'POST' })]
  server.close()
  expect([asked.status, posted.status]).toEqual([503, 405])
})

async function nthPort(app: PreloadedApp, n: number): Promise<string> {
  return pollUntil(() => [...app.stdout.matchAll(/^listening (\d+)$/gm)][n - 1]?.[1])
}

async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1')
  await new Promise((resolve) => server.once('listening', resolve))
  const { port } = server.address() as AddressInfo
  await new Promise((resolve) => server.close(resolve))
  return port
}
