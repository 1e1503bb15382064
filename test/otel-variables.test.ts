// Each OTEL_* variable does what OpenTelemetry says of it, seen from outside; what we do not act on is said.
import { readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:http'
import { createServer as createTlsServer } from 'node:https'
import { once } from 'node:events'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import { get, startPreloaded, tempDir, type PreloadedApp } from '@afterspan/testing'
import { startOtlpSink, type OtlpSink, type StoredSpan } from 'afterspan/internal'
import type { IncomingHttpHeaders, IncomingMessage } from 'node:http'
import { describe, expect, test } from 'vitest'
import { appFile, listening } from './app.ts'

const APP = appFile('otel-variables.cjs')
const SECOND = 'c'.repeat(16)
const TRACE = 'ab'.repeat(16)

interface Told {
  readonly app: PreloadedApp
  /** What the app's outgoing request carried. */
  readonly carried: IncomingHttpHeaders
  readonly exports: readonly IncomingHttpHeaders[]
  readonly sink: OtlpSink
  readonly spans: readonly StoredSpan[]
}

/** One request, then an orderly end: everything is exported by then. */
async function tell(env: Record<string, string>, headers: Record<string, string> = {}, path = '/'): Promise<Told> {
  const exports: IncomingHttpHeaders[] = []
  const sink = await startOtlpSink({
    answer: (request) => {
      exports.push(request.headers)
      return undefined
    },
  })
  const app = startPreloaded({ app: APP, sink, env: { AFTERSPAN_EXIT_HOLD_MS: '10000', ...env } })
  const { text } = await get(`${await listening(app)}${path}`, { headers })
  app.signal('SIGTERM')
  await app.exit
  await sink.close()
  return { app, carried: JSON.parse(text) as IncomingHttpHeaders, exports, sink, spans: sink.spans() }
}
const server = (spans: readonly StoredSpan[]): StoredSpan =>
  spans.find(({ kind, attributes }) => kind === 'server' && attributes['url.path'] !== '/called')!

test('limits: attributes, their length, events, links, and the attributes of those', async () => {
  const { app, spans } = await tell(
    {
      OTEL_ATTRIBUTE_COUNT_LIMIT: '7',
      OTEL_ATTRIBUTE_VALUE_LENGTH_LIMIT: '20',
      OTEL_SPAN_EVENT_COUNT_LIMIT: '1',
      OTEL_EVENT_ATTRIBUTE_COUNT_LIMIT: '3',
      OTEL_LINK_ATTRIBUTE_COUNT_LIMIT: '2',
    },
    {},
    `/${'long'.repeat(20)}`,
  )
  expect(app.stderr).toBe('')
  const own = spans.find(({ name }) => name === 'own')!
  expect(Object.keys(own.attributes)).toHaveLength(7)
  expect(own.events.map(({ name, attributes }) => [name, Object.keys(attributes).length])).toEqual([['second', 3]])
  expect(own.links.map(({ attributes }) => Object.keys(attributes).length)).toEqual([2])
  expect([own.droppedAttributes, own.droppedEvents]).toEqual([4, 1])
  const { attributes } = server(spans)
  expect(Object.keys(attributes)).toHaveLength(7)
  expect(attributes['url.path']).toBe('/longlonglonglonglon')
})

test('what is said for spans goes before what is said for all', async () => {
  const { spans } = await tell({
    OTEL_ATTRIBUTE_COUNT_LIMIT: '3',
    OTEL_SPAN_ATTRIBUTE_COUNT_LIMIT: '100',
    OTEL_ATTRIBUTE_VALUE_LENGTH_LIMIT: '4',
    OTEL_SPAN_ATTRIBUTE_VALUE_LENGTH_LIMIT: '50',
    OTEL_SPAN_LINK_COUNT_LIMIT: '0',
  })
  const { attributes, links } = spans.find(({ name }) => name === 'own')!
  expect([Object.keys(attributes).length, attributes['long'], links]).toEqual([11, 'x'.repeat(50), []])
})

test('a delay of 0, by which spans are sent at once, was refused, and a timeout of 0, which is no limit', async () => {
  const sink = await startOtlpSink()
  const env = {
    OTEL_BSP_SCHEDULE_DELAY: '0',
    OTEL_BLRP_SCHEDULE_DELAY: '0',
    OTEL_BSP_EXPORT_TIMEOUT: '0',
    OTEL_EXPORTER_OTLP_TIMEOUT: '0',
  }
  const app = startPreloaded({ app: APP, sink, env })
  await get(await listening(app))
  await sink.waitFor((spans) => spans.some(({ kind }) => kind === 'server'))
  expect(app.stderr).toBe('')
  await app.stop()
  await sink.close()
})

describe('OTEL_PROPAGATORS', () => {
  const b3 = { b3: `${TRACE}-${SECOND}-1` }
  const multi = { 'x-b3-traceid': TRACE, 'x-b3-spanid': SECOND, 'x-b3-sampled': '1' }
  const jaeger = { 'uber-trace-id': `${TRACE}%3A${SECOND}%3A0%3A1`, 'uberctx-tenant': 'acme' }
  const xray = {
    'x-amzn-trace-id': `Self=1-2-3;Root=1-${TRACE.slice(0, 8)}-${TRACE.slice(8)};Parent=${SECOND};Sampled=1`,
  }
  const w3c = { traceparent: `00-${TRACE}-${SECOND}-01`, baggage: 'tenant=acme' }
  test.each([
    { names: 'b3', headers: b3, isContinued: true, carries: ['b3'] },
    { names: 'b3multi', headers: multi, isContinued: true, carries: ['x-b3-sampled', 'x-b3-spanid', 'x-b3-traceid'] },
    { names: 'b3', headers: w3c, isContinued: false, carries: ['b3'] },
    { names: 'tracecontext', headers: w3c, isContinued: true, carries: ['traceparent'] },
    // The last one counts that can be read: their order was that of a list of ours.
    {
      names: 'b3,tracecontext',
      headers: { ...w3c, b3: `${'1'.repeat(32)}-${'2'.repeat(16)}-1` },
      isContinued: true,
      carries: ['b3', 'traceparent'],
    },
    { names: 'jaeger', headers: jaeger, isContinued: true, carries: ['uber-trace-id', 'uberctx-tenant'] },
    { names: 'xray', headers: xray, isContinued: true, carries: ['x-amzn-trace-id'] },
    {
      names: 'xray',
      headers: { 'x-amzn-trace-id': 'Root=1-%zz;Self=1' },
      isContinued: false,
      carries: ['x-amzn-trace-id'],
    },
    { names: 'jaeger', headers: { 'uber-trace-id': '%c0:%:::' }, isContinued: false, carries: ['uber-trace-id'] },
    { names: 'tracecontext,baggage', headers: w3c, isContinued: true, carries: ['baggage', 'traceparent'] },
    { names: 'none', headers: { ...w3c, ...b3 }, isContinued: false, carries: [] },
  ])('$names with $headers', async ({ names, headers, isContinued, carries }) => {
    const { carried, spans, app } = await tell({ OTEL_PROPAGATORS: names }, headers)
    expect(app.stderr).toBe('')
    const { parentSpanId, traceId } = server(spans)
    expect([traceId === TRACE, parentSpanId]).toEqual(isContinued ? [true, SECOND] : [false, undefined])
    expect(
      Object.keys(carried)
        .filter((name) => /^(b3|x-b3|traceparent|baggage|uber|x-amzn)/.test(name))
        .sort(),
    ).toEqual(carries)
  })
})

describe('OTEL_TRACES_SAMPLER', () => {
  test.each([
    { sampler: 'always_off', header: '01', count: 0 },
    { sampler: 'always_on', header: '00', count: 4 },
    { sampler: 'parentbased_always_on', header: '00', count: 0 },
    { sampler: 'parentbased_always_off', header: '01', count: 4 },
    { sampler: 'parentbased_always_off', header: undefined, count: 0 },
    { sampler: 'traceidratio', argument: '0', header: '01', count: 0 },
    { sampler: 'parentbased_traceidratio', argument: '1', header: undefined, count: 4 },
  ])('$sampler of $argument with the flag $header', async ({ sampler, argument = '', header, count }) => {
    const headers = header ? { traceparent: `00-${TRACE}-${SECOND}-${header}` } : undefined
    const { spans } = await tell({ OTEL_TRACES_SAMPLER: sampler, OTEL_TRACES_SAMPLER_ARG: argument }, headers)
    expect(spans).toHaveLength(count)
  })
})

test('OTEL_SERVICE_NAME and OTEL_RESOURCE_ATTRIBUTES, percent-decoded; OTEL_NODE_RESOURCE_DETECTORS chooses', async () => {
  const attributes = 'service.name=other,deployment.environment.name=a%2Cb,service.instance.id=mine'
  const { spans } = await tell({ OTEL_SERVICE_NAME: 'named', OTEL_RESOURCE_ATTRIBUTES: attributes })
  expect(spans[0]!.resource).toMatchObject({
    'service.name': 'named',
    'deployment.environment.name': 'a,b',
    'service.instance.id': 'mine',
    'process.pid': expect.any(Number) as number,
  })
  const few = await tell({ OTEL_RESOURCE_ATTRIBUTES: attributes, OTEL_NODE_RESOURCE_DETECTORS: 'env,host' })
  expect(Object.keys(few.spans[0]!.resource)).toEqual(expect.arrayContaining(['host.name']))
  expect(few.spans[0]!.resource).toMatchObject({ 'service.name': 'other' })
  expect(few.spans[0]!.resource).not.toHaveProperty('process.pid')
})

test('exports: headers, compression, address, and those of traces go before', async () => {
  const sink = await startOtlpSink()
  const { app, exports } = await tell({
    OTEL_EXPORTER_OTLP_HEADERS: 'x-a=1,x-b=2%203',
    OTEL_EXPORTER_OTLP_TRACES_HEADERS: 'x-a=traces',
    OTEL_EXPORTER_OTLP_COMPRESSION: 'none',
    OTEL_EXPORTER_OTLP_TRACES_COMPRESSION: 'gzip',
    OTEL_EXPORTER_OTLP_TRACES_PROTOCOL: 'http/protobuf',
  })
  expect(app.stderr).toBe('')
  expect(exports[0]).toMatchObject({ 'x-a': 'traces', 'x-b': '2 3', 'content-encoding': 'gzip' })
  const elsewhere = await tell({ OTEL_EXPORTER_OTLP_TRACES_ENDPOINT: `${sink.url}/v1/traces` })
  expect([elsewhere.spans.length, sink.spans().length > 0]).toEqual([0, true])
  await sink.close()
})

test('a query in OTEL_EXPORTER_OTLP_ENDPOINT swallowed the path of the signal, and was shown on stderr', async () => {
  const asked: unknown[] = []
  const collector = createServer((request, response) => {
    asked.push(request.url)
    response.writeHead(404).end()
  }).listen(0, '127.0.0.1')
  await once(collector, 'listening')
  const url = `http://127.0.0.1:${(collector.address() as AddressInfo).port}/otlp/?key=secret`
  const app = startPreloaded({ app: APP, sink: { url } })
  await get(await listening(app))
  await app.waitForLine(/AFS_EXPORT_FAILED .*\/otlp\/v1\/traces\?…: http_404/)
  expect(asked[0]).toBe('/otlp/v1/traces?key=secret')
  expect(app.stderr).not.toContain('secret')
  await app.stop()
  collector.close()
})

test('an address with a space or a line feed around it, as a file has it, was refused, and a fragment swallowed the path', async () => {
  const sink = await startOtlpSink()
  for (const address of [` ${sink.url} `, `${sink.url}/\n`, `${sink.url}#part`])
    expect((await tell({ OTEL_EXPORTER_OTLP_ENDPOINT: address })).app.stderr).toBe('')
  expect(sink.spans().filter(({ name }) => name === 'own')).toHaveLength(3)
  await sink.close()
})

test('a collector behind TLS that wants a certificate: CERTIFICATE, CLIENT_CERTIFICATE, CLIENT_KEY', async () => {
  const [cert, key] = ['cert', 'key'].map((kind) => appFile(`certificates/self-signed.${kind}.pem`)) as [string, string]
  const pem = { cert: readFileSync(cert), key: readFileSync(key) }
  const collector = createTlsServer({ ...pem, ca: pem.cert, requestCert: true, rejectUnauthorized: true })
  collector.listen(0, '127.0.0.1')
  await once(collector, 'listening')
  const came = once(collector, 'request') as Promise<[IncomingMessage]>
  const told = tell({
    OTEL_EXPORTER_OTLP_ENDPOINT: `https://localhost:${(collector.address() as AddressInfo).port}`,
    OTEL_EXPORTER_OTLP_CERTIFICATE: cert,
    OTEL_EXPORTER_OTLP_CLIENT_CERTIFICATE: cert,
    OTEL_EXPORTER_OTLP_TRACES_CLIENT_KEY: key,
  })
  expect((await came)[0].url).toBe('/v1/traces')
  collector.closeAllConnections()
  collector.close()
  await told
})

test('OTEL_TRACES_EXPORTER=console prints spans, together with otlp too', async () => {
  const { app, spans } = await tell({ OTEL_TRACES_EXPORTER: 'console,otlp' })
  const printed = app.stdout.split('\n').filter((line) => line.startsWith('{"scope"'))
  expect([printed.length, spans.length]).toEqual([4, 4])
  expect(JSON.parse(printed[0]!)).toMatchObject({ scope: 'app', name: 'own' })
})

test('OTEL_METRICS_EXPORTER=none leaves /health and takes /metrics away', async () => {
  const app = startPreloaded({ app: APP, env: { OTEL_METRICS_EXPORTER: 'none' } })
  await get(await listening(app))
  const admin = await app.adminUrl()
  expect((await get(`${admin}/metrics`)).status).toBe(404)
  expect((await get(`${admin}/livez`)).status).toBe(200)
  await app.stop()
})

test.each([
  { filter: 'trace_based', has: true },
  { filter: 'always_off', has: false },
])('OTEL_METRICS_EXEMPLAR_FILTER=$filter', async ({ filter, has }) => {
  const app = startPreloaded({ app: APP, env: { OTEL_METRICS_EXEMPLAR_FILTER: filter } })
  await get(await listening(app))
  const headers = { accept: 'application/openmetrics-text; version=1.0.0' }
  const { text } = await get(`${await app.adminUrl()}/metrics`, { headers })
  expect(text).toContain('http_server_request_duration_seconds_count')
  expect(/ # \{.*trace_id="/.test(text)).toBe(has)
  expect(app.stderr).toBe('')
  await app.stop()
})

test.each([
  { env: { OTEL_NODE_DISABLED_INSTRUMENTATIONS: 'http,pg' }, names: ['own'], isTraced: false },
  { env: { OTEL_NODE_ENABLED_INSTRUMENTATIONS: 'pg' }, names: ['own'], isTraced: false },
  { env: { OTEL_NODE_ENABLED_INSTRUMENTATIONS: 'http' }, names: ['GET', 'GET', 'GET', 'own'], isTraced: true },
])('instrumentations: $env', async ({ env, names }) => {
  const { app, spans } = await tell(env)
  expect(app.stderr).toBe('')
  expect(spans.map(({ name }) => name).sort()).toEqual(names)
})

test('OTEL_LOG_LEVEL: none silences our lines, debug lets OpenTelemetry speak', async () => {
  const wrong = { OTEL_BSP_SCHEDULE_DELAY: 'soon', OTEL_METRICS_EXEMPLAR_FILTER: 'x' }
  expect((await tell({ ...wrong, OTEL_LOG_LEVEL: 'none' })).app.stderr).toBe('')
  expect((await tell({ OTEL_LOG_LEVEL: 'DEBUG' })).app.stderr).toMatch(/^\[opentelemetry\] debug /m)
})

test('OTEL_LOG_LEVEL=none silences the side thread too', async () => {
  const ledgerDir = tempDir('ledger')
  writeFileSync(join(ledgerDir, 'ledger.db'), 'damaged: no database at all')
  const app = startPreloaded({ app: APP, ledgerDir, env: { OTEL_LOG_LEVEL: 'none' } })
  await app.adminUrl()
  // The new one is made after the line about the old one.
  const both = ['ledger.db', expect.stringMatching(/^ledger\.db\.damaged/)]
  await expect.poll(() => readdirSync(ledgerDir)).toEqual(expect.arrayContaining(both))
  await app.stop()
  expect(app.stderr).toBe('')
})

test('what is not acted on, is not allowed or is a slip is said once, and spans go out all the same', async () => {
  const { app, spans } = await tell({
    OTEL_LOGS_EXPORTER: 'syslog',
    OTEL_METRICS_EXPORTER: 'prometheus,statsd',
    OTEL_METRICS_EXEMPLAR_FILTER: 'always_on',
    OTEL_EXPORTER_OTLP_PROTOCOL: 'http/xml',
    OTEL_TRACES_EXPORTER: 'zipkin',
    OTEL_PROPAGATORS: 'b3,ottrace',
    OTEL_TRACES_SAMPLER: 'jaeger_remote',
    OTEL_EXPORTER_OTLP_CERTIFICATE: '/no/such/file.pem',
    OTEL_EXPORTER_OTLP_TRACES_CLIENT_KEY: '/no/such/key.pem',
    OTEL_TRACES_SAMPLER_ARGS: '0.5',
    OTEL_SDK_DISABLED: '1',
    // A line break, as in a file of secrets, and every export failed; a slip, and nothing made spans.
    OTEL_EXPORTER_OTLP_HEADERS: 'x-a=1,authorization=Bearer a\nb,x b=2,bare,x-c=%zz,',
    OTEL_NODE_ENABLED_INSTRUMENTATIONS: 'htttp',
    OTEL_EXPERIMENTAL_CONFIG_FILE: 'otel.yaml',
    OTEL_PYTHON_LOG_CORRELATION: 'true',
  })
  expect(spans.length).toBeGreaterThan(0)
  expect(app.stderr.trim().split('\n').sort()).toMatchInlineSnapshot(`
    [
      "[afterspan] AFS_CONFIG_INVALID OTEL_EXPORTER_OTLP_CERTIFICATE="/no/such/file.pem" cannot be read (ENOENT): allowed is a PEM file. It is left out until it is one.",
      "[afterspan] AFS_CONFIG_INVALID OTEL_EXPORTER_OTLP_HEADERS="…" is not valid: allowed is key=value pairs that are headers of HTTP. Using "x-a".",
      "[afterspan] AFS_CONFIG_INVALID OTEL_EXPORTER_OTLP_PROTOCOL="http/xml" is not valid: allowed is one of http/protobuf, http/json, grpc. Using "http/protobuf".",
      "[afterspan] AFS_CONFIG_INVALID OTEL_EXPORTER_OTLP_TRACES_CLIENT_KEY="/no/such/key.pem" cannot be read (ENOENT): allowed is a PEM file. It is left out until it is one.",
      "[afterspan] AFS_CONFIG_INVALID OTEL_LOGS_EXPORTER="syslog" is not valid: allowed is otlp, console with commas between them, or none. Using "none".",
      "[afterspan] AFS_CONFIG_INVALID OTEL_METRICS_EXEMPLAR_FILTER="always_on" is not valid: allowed is one of trace_based, always_off. Using "trace_based".",
      "[afterspan] AFS_CONFIG_INVALID OTEL_METRICS_EXPORTER="prometheus,statsd" is not valid: allowed is prometheus, otlp, console with commas between them, or none. Using "prometheus".",
      "[afterspan] AFS_CONFIG_INVALID OTEL_NODE_ENABLED_INSTRUMENTATIONS="htttp" is not valid: allowed is names of instrumentations, such as http, undici, express, pg. It is left out.",
      "[afterspan] AFS_CONFIG_INVALID OTEL_PROPAGATORS="b3,ottrace" is not valid: allowed is tracecontext, baggage, b3, b3multi, jaeger, xray with commas between them, or none. Using "b3".",
      "[afterspan] AFS_CONFIG_INVALID OTEL_SDK_DISABLED="1" is not valid: allowed is true or false. Using false.",
      "[afterspan] AFS_CONFIG_INVALID OTEL_TRACES_EXPORTER="zipkin" is not valid: allowed is otlp, console with commas between them, or none. Using "otlp".",
      "[afterspan] AFS_CONFIG_INVALID OTEL_TRACES_SAMPLER="jaeger_remote" is not valid: allowed is one of always_on, always_off, traceidratio, parentbased_always_on, parentbased_always_off, parentbased_traceidratio. Using "parentbased_always_on".",
      "[afterspan] AFS_CONFIG_UNKNOWN OTEL_TRACES_SAMPLER_ARGS is not a variable of OpenTelemetry; did you mean OTEL_TRACES_SAMPLER_ARG?",
      "[afterspan] AFS_CONFIG_UNSUPPORTED OTEL_EXPERIMENTAL_CONFIG_FILE: the name is OTEL_CONFIG_FILE now.",
    ]
  `)
})

test('in a worker thread nothing of it is said again', async () => {
  const app = startPreloaded({
    app: '-e',
    args: [`new (require('worker_threads').Worker)('', { eval: true })`],
    env: { OTEL_LOGS_EXPORTER: 'syslog', OTEL_BSP_SCHEDULE_DELAY: 'soon' },
  })
  await app.exit
  expect(app.stderr.trim().split('\n')).toHaveLength(2)
})
