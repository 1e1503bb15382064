// The collector is unwell in some way, and comes back. What arrives, what is dropped, what is said.
import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { get, nodesUnderTest, pollUntil, startPreloaded, type PreloadedApp } from '@afterspan/testing'
import { startOtlpSink, type OtlpSink, type SinkAnswer, type StoredSpan } from 'afterspan/internal'
import { describe, expect, test } from 'vitest'
import { appFile, listening } from './app.ts'

const APP = appFile('export.cjs')
const FAST = { OTEL_BSP_SCHEDULE_DELAY: '20', OTEL_EXPORTER_OTLP_TIMEOUT: '300' }

/** A port on which nobody listens now. */
async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1')
  await new Promise((resolve) => server.once('listening', resolve))
  const { port } = server.address() as AddressInfo
  await new Promise((resolve) => server.close(resolve))
  return port
}
function pathsIn(sink: OtlpSink): string[] {
  return sink.spans().map(({ attributes }) => attributes['url.path'] as string)
}
async function askEach(url: string, paths: readonly string[]): Promise<void> {
  for (const path of paths) await get(url + path)
}
/** The value of each reason of a counter on /metrics. */
async function reasons(app: PreloadedApp, name: string): Promise<Record<string, number>> {
  const { text } = await get(`${await app.adminUrl()}/metrics`)
  const rows = [...text.matchAll(new RegExp(`^${name}_total\\{reason="(\\w+)"[^}]*\\} (\\d+)`, 'gm'))]
  return Object.fromEntries(
    rows.map(([, reason, value]) => [reason!, Number(value)]).filter(([, value]) => value !== 0),
  )
}
function numbered(prefix: string, count: number): string[] {
  return Array.from({ length: count }, (_, n) => `${prefix}${n}`)
}

describe.each(nodesUnderTest())('on Node $major', (node) => {
  test('a collector that is away, with a queue that is too small for it all: everything arrives when it is there', async () => {
    const port = await freePort()
    const env = { ...FAST, OTEL_BSP_MAX_QUEUE_SIZE: '20', OTEL_BSP_MAX_EXPORT_BATCH_SIZE: '5' }
    const app = startPreloaded({ app: APP, node: node.path, sink: { url: `http://127.0.0.1:${port}` }, env })
    const paths = [...numbered('/ok', 60), ...numbered('/fail', 5)]
    await askEach(await listening(app), paths)
    await app.waitForLine(/AFS_EXPORT_FAILED .*ECONNREFUSED/)
    const sink = await startOtlpSink({ port })
    await sink.waitFor(() => paths.every((path) => pathsIn(sink).includes(path)), 45_000)
    expect(pathsIn(sink).sort()).toEqual(paths.sort())
    expect(await reasons(app, 'afterspan_spans_dropped')).toEqual({})
    expect(app.stderr.match(/AFS_EXPORT_FAILED .*ECONNREFUSED/g)!.length).toBeLessThanOrEqual(2)
    await app.stop()
    await sink.close()
  })

  test('a process that ends while the collector is away: the next one on the folder brings its spans', async () => {
    const port = await freePort()
    const sinkAt = { url: `http://127.0.0.1:${port}` }
    const app = startPreloaded({ app: APP, node: node.path, sink: sinkAt, env: FAST })
    await askEach(await listening(app), ['/ok', '/fail'])
    app.signal('SIGTERM')
    expect(await app.exit).toEqual({ code: null, signal: 'SIGTERM' })
    const sink = await startOtlpSink({ port })
    const next = startPreloaded({ app: APP, node: node.path, sink, ledgerDir: app.ledgerDir, env: FAST })
    await askEach(await listening(next), ['/next'])
    await sink.waitFor(() => ['/ok', '/fail', '/next'].every((path) => pathsIn(sink).includes(path)))
    expect(pathsIn(sink).sort()).toEqual(['/fail', '/next', '/ok'])
    await next.stop()
    await sink.close()
  })
})

const SICK: Readonly<Record<string, SinkAnswer>> = {
  'asks to wait (429)': { status: 429, headers: { 'retry-after': '1' } },
  'asks to wait (503)': { status: 503, headers: { 'retry-after': '1' } },
  'has a gateway before it that is unwell (502)': { status: 502 },
  hangs: { status: 200, delayMs: Infinity },
  'answers with a page for people': { status: 200, headers: { 'content-type': 'text/html' }, body: '<h1>hello</h1>' },
}
test.each(Object.entries(SICK))('a collector that %s at first gets every span in the end', async (_, answer) => {
  const sink = await startOtlpSink({ answer: ({ number }) => (number === 1 ? answer : undefined) })
  const app = startPreloaded({ app: APP, sink, env: FAST })
  const url = await listening(app)
  await askEach(url, ['/ok', '/fail'])
  await app.waitForLine(/AFS_EXPORT_FAILED /)
  await sink.waitFor(() => pathsIn(sink).includes('/ok') && pathsIn(sink).includes('/fail'))
  expect(await reasons(app, 'afterspan_spans_dropped')).toEqual({})
  expect((await get(`${url}/ok`)).status).toBe(200)
  await app.stop()
  await sink.close()
})

test('a collector that says 429 with a Retry-After of 0 was asked hundreds of times a second', async () => {
  const asked: number[] = []
  const answer = (): SinkAnswer => {
    asked.push(performance.now())
    return { status: 429, headers: { 'retry-after': '0' } }
  }
  const sink = await startOtlpSink({ answer })
  const app = startPreloaded({ app: APP, sink, env: FAST })
  await askEach(await listening(app), ['/ok'])
  await pollUntil(() => asked.length >= 3)
  expect(asked[1]! - asked[0]!).toBeGreaterThan(700)
  expect(asked[2]! - asked[1]!).toBeGreaterThan(700)
  await app.stop()
  await sink.close()
})

test('while a collector is slow, an export was larger than OTEL_BSP_MAX_EXPORT_BATCH_SIZE', async () => {
  const sizes: number[] = []
  let isSlow = true
  const answer = ({ spans }: { readonly spans: readonly unknown[] }): SinkAnswer | undefined => {
    sizes.push(spans.length)
    return isSlow ? { status: 503, headers: { 'retry-after': '1' } } : undefined
  }
  const sink = await startOtlpSink({ answer })
  const app = startPreloaded({ app: APP, sink, env: { ...FAST, OTEL_BSP_MAX_EXPORT_BATCH_SIZE: '10' } })
  const paths = numbered('/ok', 95)
  await askEach(await listening(app), paths)
  isSlow = false
  await sink.waitFor(() => paths.every((path) => pathsIn(sink).includes(path)))
  expect(Math.max(...sizes)).toBe(10)
  await app.stop()
  await sink.close()
})

test.each([404, 500])('a collector that refuses with %i for a while still gets the errors', async (status) => {
  let isWell = false
  const sink = await startOtlpSink({ answer: () => (isWell ? undefined : { status }) })
  const app = startPreloaded({ app: APP, sink, env: FAST })
  await askEach(await listening(app), ['/ok', '/fail'])
  await pollUntil(async () => (await reasons(app, 'afterspan_spans_dropped'))['rejected'] === 1)
  isWell = true
  await sink.waitFor(() => pathsIn(sink).includes('/fail'))
  expect(pathsIn(sink)).toEqual(['/fail'])
  expect(app.stderr).toContain(`http_${status}`)
  await app.stop()
  await sink.close()
})

/** As a proxy does that takes bodies of a certain size: no more than three spans, and '/huge' not even alone. */
function takesLittle({ spans }: { readonly spans: readonly StoredSpan[] }): SinkAnswer | undefined {
  const isHuge = spans.some(({ attributes }) => attributes['url.path'] === '/huge')
  return spans.length > 3 || isHuge ? { status: 413 } : undefined
}

test('a collector that found an export too large (413) got nothing of it: it gets it in parts', async () => {
  const sink = await startOtlpSink({ answer: takesLittle })
  const app = startPreloaded({ app: APP, sink, env: { ...FAST, OTEL_BSP_SCHEDULE_DELAY: '500' } })
  const paths = [...numbered('/ok', 20), '/fail']
  await askEach(await listening(app), [...paths, '/huge'])
  await sink.waitFor(() => paths.every((path) => pathsIn(sink).includes(path)))
  await pollUntil(async () => (await reasons(app, 'afterspan_spans_dropped'))['too_large'] === 1)
  expect(await reasons(app, 'afterspan_spans_dropped')).toEqual({ too_large: 1 })
  expect(pathsIn(sink).sort()).toEqual(paths.sort())
  expect(app.stderr.match(/AFS_EXPORT_FAILED .*: http_413\./g)).toHaveLength(1)
  await app.stop()
  await sink.close()
})

test('what a process leaves at its end is too large for the collector (413): it arrives in parts', async () => {
  const sink = await startOtlpSink({ answer: takesLittle })
  const env = { OTEL_BSP_SCHEDULE_DELAY: '60000', AFTERSPAN_EXIT_HOLD_MS: '10000' }
  const app = startPreloaded({ app: APP, sink, env })
  const paths = numbered('/ok', 10)
  await askEach(await listening(app), [...paths, '/huge'])
  app.signal('SIGTERM')
  expect(await app.exit).toEqual({ code: null, signal: 'SIGTERM' })
  expect(pathsIn(sink).sort()).toEqual(paths.sort())
  await sink.close()
})

test('what a collector takes but in part is counted and said once', async () => {
  const body = JSON.stringify({ partialSuccess: { rejectedSpans: '1', errorMessage: 'too old' } })
  const answer = { status: 200, headers: { 'content-type': 'application/json' }, body }
  const sink = await startOtlpSink({ answer: () => answer })
  const app = startPreloaded({ app: APP, sink, env: FAST })
  await askEach(await listening(app), ['/ok'])
  await pollUntil(async () => (await reasons(app, 'afterspan_spans_dropped'))['partial_success'] === 1)
  expect(app.stderr).toContain('too old')
  await app.stop()
  await sink.close()
})

test.each([
  ['that speaks no TLS', 'https'],
  ['that answers garbage', 'garbage'],
])('a collector %s is said once, and costs the app nothing', async (_, kind) => {
  const server = kind === 'https' ? createServer() : garbage()
  const { port } = (await opened(server)).address() as AddressInfo
  const url = `${kind === 'https' ? 'https' : 'http'}://127.0.0.1:${port}`
  const app = startPreloaded({ app: APP, sink: { url }, env: FAST })
  const base = await listening(app)
  await askEach(base, ['/ok', '/ok', '/fail'])
  await app.waitForLine(/AFS_EXPORT_FAILED /)
  expect((await get(`${base}/ok`)).status).toBe(200)
  await app.stop()
  server.closeAllConnections()
  server.close()
})

async function opened(server: Server): Promise<Server> {
  await new Promise<void>((resolve) => {
    server.listen(0, '127.0.0.1', resolve)
  })
  return server
}
function garbage(): Server {
  return createServer().on('connection', (socket) => socket.end('220 mail.example ESMTP\r\n'))
}
