// OTEL_EXPORTER_OTLP_PROTOCOL: the same spans by JSON and by gRPC, also those of a process that is no more.
import { createServer } from 'node:http'
import { get, nodesUnderTest, startPreloaded, type PreloadedApp, type PreloadedOptions } from '@afterspan/testing'
import { drawTrace, startOtlpSink, type OtlpSink } from 'afterspan/internal'
import { describe, expect, test } from 'vitest'
import { appFile, listening } from './app.ts'
import { startGrpcCollector } from './grpc-collector.ts'

const FAST = { OTEL_SERVICE_NAME: 'shop', OTEL_BSP_SCHEDULE_DELAY: '20', OTEL_EXPORTER_OTLP_TIMEOUT: '1000' }
const GRPC = { ...FAST, OTEL_EXPORTER_OTLP_PROTOCOL: 'grpc' }
const UNAVAILABLE = 14
const RESOURCE_EXHAUSTED = 8
const INVALID_ARGUMENT = 3

function start(env: Record<string, string>, options: Partial<PreloadedOptions> = {}): PreloadedApp {
  return startPreloaded({ app: appFile('export.cjs'), env, ...options })
}
function pathsIn(sink: OtlpSink): unknown[] {
  return sink.spans().map(({ attributes }) => attributes['url.path'])
}
async function has(sink: OtlpSink, ...paths: string[]): Promise<void> {
  await sink.waitFor(() => paths.every((path) => pathsIn(sink).includes(path)))
}

describe.each(nodesUnderTest())('on Node $major', (node) => {
  test.each(['http/json', 'grpc'])('%s: what was done and what a crash leaves', async (protocol) => {
    const types = new Set<unknown>()
    const sink = await startOtlpSink({
      answer: ({ headers }) => {
        types.add(headers['content-type'])
        return undefined
      },
    })
    const collector = protocol === 'grpc' ? await startGrpcCollector(sink) : undefined
    const env = { ...FAST, OTEL_EXPORTER_OTLP_PROTOCOL: protocol, AFTERSPAN_EXIT_HOLD_MS: '10000' }
    const app = start(env, {
      app: appFile('ways-to-end.cjs'),
      args: ['timer'],
      node: node.path,
      sink: collector ?? sink,
    })
    const url = await listening(app)
    await get(`${url}/done`)
    await expect(get(`${url}/timer`)).rejects.toThrow(/hang up|reset/)
    expect(await app.exit).toEqual({ code: 1, signal: null })
    await has(sink, '/done', '/timer')
    const crashed = sink.spans().find(({ attributes }) => attributes['url.path'] === '/timer')
    expect(drawTrace([crashed!], { stable: true })).toMatch(/^✗ GET {2}SERVER shop\n {2}RangeError: in a timer$/m)
    // The gRPC collector hands on what it got, which is protobuf.
    expect([...types]).toEqual([protocol === 'grpc' ? 'application/x-protobuf' : 'application/json'])
    collector?.close()
    await sink.close()
  })

  test('gRPC: spans arrive, with metadata and packed; those of a process that was killed come with the next one', async () => {
    const sink = await startOtlpSink()
    const collector = await startGrpcCollector(sink)
    const env = { ...GRPC, OTEL_EXPORTER_OTLP_HEADERS: 'X-Tenant=acme', OTEL_EXPORTER_OTLP_COMPRESSION: 'gzip' }
    const app = start(env, { node: node.path, sink: collector })
    const url = await listening(app)
    await get(`${url}/ok`)
    await has(sink, '/ok')
    const [span] = sink.spans()
    expect(drawTrace([span!], { stable: true, attributes: ['url.path'] })).toBe('· GET  SERVER shop\n  url.path=/ok')
    expect(collector.calls[0]!.metadata).toMatchObject({ 'x-tenant': 'acme' })
    // Each export was traced as a call of the app's, which was then exported, and so on.
    expect(collector.calls[0]!.metadata).not.toHaveProperty('traceparent')
    collector.close() // it is away when the process dies
    await get(`${url}/fail`)
    app.signal('SIGKILL')
    await app.exit
    const back = await startGrpcCollector(sink, { port: collector.port })
    const next = start(GRPC, { node: node.path, sink: back, ledgerDir: app.ledgerDir })
    await get(`${await listening(next)}/next`)
    await has(sink, '/fail', '/next')
    await next.stop()
    back.close()
    await sink.close()
  })
})

test.each([
  ['is not available', { code: UNAVAILABLE }],
  ['has no room and says when it will', { code: RESOURCE_EXHAUSTED, retrySeconds: 1 }],
  ['hangs', 'never'],
] as const)('a gRPC collector that %s at first gets every span in the end', async (_, trouble) => {
  const sink = await startOtlpSink()
  const collector = await startGrpcCollector(sink, { answer: ({ number }) => (number === 1 ? trouble : undefined) })
  const app = start(GRPC, { sink: collector })
  await get(`${await listening(app)}/ok`)
  await app.waitForLine(/AFS_EXPORT_FAILED .*: (?:grpc_unavailable|grpc_resource_exhausted|timeout)\. Retrying/)
  await has(sink, '/ok')
  expect(collector.calls.length).toBeGreaterThan(1)
  await app.stop()
  collector.close()
  await sink.close()
})

test('what a gRPC collector does not want is dropped and counted', async () => {
  const sink = await startOtlpSink()
  const collector = await startGrpcCollector(sink, { answer: () => ({ code: INVALID_ARGUMENT }) })
  const app = start(GRPC, { sink: collector })
  await get(`${await listening(app)}/ok`)
  await app.waitForLine(/AFS_EXPORT_FAILED .*: grpc_invalid_argument\. Those spans are dropped/)
  const { text } = await get(`${await app.adminUrl()}/metrics`)
  expect(text).toContain('afterspan_spans_dropped_total{reason="rejected"} 1\n')
  await app.stop()
  collector.close()
  await sink.close()
})

test('a gRPC collector that found an export too large got nothing of it: it gets it in parts', async () => {
  const sink = await startOtlpSink()
  const collector = await startGrpcCollector(sink, { mostBytes: 1_500 })
  const app = start({ ...GRPC, OTEL_BSP_SCHEDULE_DELAY: '500' }, { sink: collector })
  const url = await listening(app)
  const paths = Array.from({ length: 20 }, (_, n) => `/ok${n}`)
  for (const path of paths) await get(url + path)
  await has(sink, ...paths)
  expect(pathsIn(sink)).toHaveLength(paths.length)
  expect(app.stderr).toMatch(/AFS_EXPORT_FAILED .*: grpc_too_large\. What was refused is sent again in halves/)
  await app.stop()
  collector.close()
  await sink.close()
})

test('gRPC to a port that speaks HTTP/1 is said, and costs the app nothing', async () => {
  const server = createServer((_, response) => response.end()).listen(0, '127.0.0.1')
  await new Promise((resolve) => server.once('listening', resolve))
  const { port } = server.address() as { port: number }
  const app = start(
    { ...GRPC, OTEL_EXPORTER_OTLP_ENDPOINT: `127.0.0.1:${port}`, OTEL_EXPORTER_OTLP_INSECURE: 'true' },
    { sink: { url: '' } },
  )
  const url = await listening(app)
  await get(`${url}/ok`)
  await app.waitForLine(/AFS_EXPORT_FAILED http:\/\/127\.0\.0\.1:\d+: not_grpc\. Retrying/)
  expect((await get(`${url}/ok`)).status).toBe(200)
  await app.stop()
  server.closeAllConnections()
  server.close()
})

test('gRPC by TLS: with the certificate of the collector, and a word on why not without it', async () => {
  const sink = await startOtlpSink()
  const collector = await startGrpcCollector(sink, { certificate: appFile('certificates/self-signed') })
  const address = `localhost:${collector.port}`
  const env = { ...GRPC, OTEL_EXPORTER_OTLP_ENDPOINT: address }
  const certificate = appFile('certificates/self-signed.cert.pem')
  const app = start({ ...env, OTEL_EXPORTER_OTLP_CERTIFICATE: certificate }, { sink: collector })
  await get(`${await listening(app)}/ok`)
  await has(sink, '/ok')
  expect(app.stderr).toBe('')
  await app.stop()
  const stranger = start(env, { sink: collector })
  await get(`${await listening(stranger)}/ok`)
  await stranger.waitForLine(/AFS_EXPORT_FAILED https:\/\/localhost:\d+: DEPTH_ZERO_SELF_SIGNED_CERT\. Retrying/)
  await stranger.stop()
  collector.close()
  await sink.close()
})

test('an address without a scheme is refused where it is not for gRPC', async () => {
  const app = start({ ...FAST, OTEL_EXPORTER_OTLP_ENDPOINT: 'localhost:4317' }, { sink: { url: '' } })
  const [line] = await app.waitForLine(/AFS_CONFIG_INVALID OTEL_EXPORTER_OTLP_ENDPOINT=.*/)
  expect(line).toContain('"localhost:4317" is for gRPC alone')
  await app.stop()
})
