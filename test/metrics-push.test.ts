// OTEL_METRICS_EXPORTER=otlp: metrics go to the collector, at an interval and when the process ends.
import { bothFormats, get, nodesUnderTest, pollUntil, startPreloaded, type PreloadedApp } from '@afterspan/testing'
import { startOtlpSink } from 'afterspan/internal'
import { expect, test } from 'vitest'
import { appFile, listening } from './app.ts'
import { startGrpcCollector } from './grpc-collector.ts'
import { startSignalCollector, type Export, type SignalCollector } from './signal-collector.ts'

const APP = appFile('metrics-push.cjs')
const OFTEN = { OTEL_METRIC_EXPORT_INTERVAL: '100' }

interface Options {
  readonly collector: { readonly url: string }
  readonly env?: Readonly<Record<string, string>>
  readonly node?: string
  readonly app?: string
  readonly args?: readonly string[]
}
function start({ collector, env = {}, node, app = APP, args = [] }: Options): PreloadedApp {
  return startPreloaded({
    app,
    args,
    sink: collector,
    ...(node === undefined ? {} : { node }),
    env: {
      OTEL_METRICS_EXPORTER: 'otlp',
      OTEL_EXPORTER_OTLP_PROTOCOL: 'http/json',
      OTEL_SERVICE_NAME: 'shop',
      AFTERSPAN_EXIT_HOLD_MS: '5000',
      ...env,
    },
  })
}

/** The metric of a name in one export. */
function metricIn({ signal, body }: Export, name: string): any {
  if (signal !== 'metrics') return undefined
  return body.resourceMetrics
    .flatMap(({ scopeMetrics }: any) => scopeMetrics)
    .flatMap(({ metrics }: any) => metrics)
    .find((metric: any) => metric.name === name)
}
function all({ exports }: SignalCollector, name: string): any[] {
  return exports.flatMap((got) => metricIn(got, name) ?? [])
}

bothFormats(
  'metrics that are pushed are those of the app and our own, by their names in OpenTelemetry, and the last of them at the end',
  { cjs: APP, mjs: appFile('metrics-push.mjs') },
  async ({ app, node }) => {
    const collector = await startSignalCollector()
    const service = start({ collector, app, node: node.path, env: { OTEL_EXPORTER_OTLP_METRICS_HEADERS: 'x-a=b%20c' } })
    const url = await listening(service)
    for (let i = 0; i < 3; i++) await get(`${url}/orders/12`)
    service.signal('SIGTERM')
    expect(await service.exit).toEqual({ code: null, signal: 'SIGTERM' })
    const [pushed, ...more] = collector.exports.filter(({ signal }) => signal === 'metrics')
    expect(more).toEqual([])
    expect(pushed!.headers).toMatchObject({ 'x-a': 'b c', 'content-type': 'application/json' })
    expect(pushed!.body.resourceMetrics[0].resource.attributes).toContainEqual({
      key: 'service.name',
      value: { stringValue: 'shop' },
    })
    expect(metricIn(pushed!, 'http.server.request.duration')).toMatchObject({
      unit: 's',
      histogram: { aggregationTemporality: 2, dataPoints: [{ count: '3' }] },
    })
    const [point] = metricIn(pushed!, 'http.server.request.duration').histogram.dataPoints
    expect(point.attributes).toContainEqual({ key: 'http.response.status_code', value: { intValue: '200' } })
    expect(point.exemplars[0].traceId).toMatch(/^[0-9a-f]{32}$/)
    expect(point.explicitBounds).toHaveLength(point.bucketCounts.length - 1)
    expect(metricIn(pushed!, 'orders')).toMatchObject({
      unit: '{order}',
      sum: { isMonotonic: true, aggregationTemporality: 2, dataPoints: [{ asDouble: 6 }] },
    })
    expect(metricIn(pushed!, 'orders').sum.dataPoints[0].attributes).toContainEqual({
      key: 'express',
      value: { boolValue: true },
    })
    expect(metricIn(pushed!, 'stock')).toMatchObject({
      gauge: { dataPoints: [{ asDouble: 7, attributes: [{ key: 'shelf', value: { intValue: '3' } }] }] },
    })
    expect(metricIn(pushed!, 'nodejs.eventloop.utilization')).toBeDefined()
    expect(service.stderr).toBe('')
    await collector.close()
  },
)

test.each([
  ['a crash', '/crash', { code: 1, signal: null }],
  ['process.exit()', '/exit', { code: 3, signal: null }],
])('the last metrics arrive after %s', async (_what, path, exit) => {
  const collector = await startSignalCollector()
  const service = start({ collector })
  const url = await listening(service)
  await get(url)
  await get(url + path).catch(() => {})
  expect(await service.exit).toEqual(exit)
  expect(all(collector, 'orders')).toMatchObject([{ sum: { dataPoints: [{ asDouble: 2 }] } }])
  await collector.close()
})

test('deltas at an interval add up, beside a scrape that has the totals', async () => {
  const collector = await startSignalCollector()
  const env = {
    ...OFTEN,
    OTEL_METRICS_EXPORTER: 'prometheus,otlp',
    OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE: 'delta',
    OTEL_EXPORTER_OTLP_METRICS_DEFAULT_HISTOGRAM_AGGREGATION: 'base2_exponential_bucket_histogram',
  }
  const service = start({ collector, env })
  const url = await listening(service)
  const sum = (name: string): number =>
    all(collector, name).reduce((n: number, { sum: { dataPoints } }) => n + dataPoints[0].asDouble, 0)
  for (let n = 1; n <= 3; n++) {
    await get(url)
    await collector.waitFor(() => sum('orders') === 2 * n)
  }
  expect(all(collector, 'orders').every(({ sum: own }) => own.aggregationTemporality === 1)).toBe(true)
  const prices = all(collector, 'price').map((metric) => metric.exponentialHistogram.dataPoints[0])
  expect(prices.reduce((n: number, { count }) => n + Number(count), 0)).toBe(3)
  const requests = all(collector, 'http.server.request.duration').map((metric) => metric.histogram.dataPoints[0])
  expect(requests.reduce((n: number, { count }) => n + Number(count), 0)).toBe(3)
  const { text } = await get(`${await service.adminUrl()}/metrics`)
  expect(text).toMatch(/^orders_total\{.*kind="book".*\} 6$/m)
  expect(service.stderr).toBe('')
  await service.stop()
  await collector.close()
})

test.each(nodesUnderTest())('a collector that hangs holds no exit and costs no app: Node $major', async (node) => {
  const collector = await startSignalCollector(() => true)
  const service = start({
    collector,
    node: node.path,
    env: { ...OFTEN, OTEL_TRACES_EXPORTER: 'none', AFTERSPAN_EXIT_HOLD_MS: '400' },
  })
  const url = await listening(service)
  await collector.waitFor(({ length }) => length > 0)
  expect((await get(url)).status).toBe(200)
  service.signal('SIGTERM')
  const from = performance.now()
  expect(await service.exit).toEqual({ code: null, signal: 'SIGTERM' })
  expect(performance.now() - from).toBeLessThan(5_000)
  await collector.close()
})

test('what a collector refuses is counted and said once, and it is tried again', async () => {
  let refusals = 0
  const collector = await startSignalCollector(({ signal }, response) => {
    if (signal !== 'metrics' || refusals++ >= 3) return false
    response.writeHead(refusals === 1 ? 503 : 400).end()
    return true
  })
  const service = start({ collector, env: { ...OFTEN, OTEL_METRICS_EXPORTER: 'otlp,prometheus' } })
  const url = await listening(service)
  await get(url)
  await collector.waitFor(() => all(collector, 'orders').length > 4)
  const { text } = await get(`${await service.adminUrl()}/metrics`)
  expect(text).toMatch(/^afterspan_data_points_dropped_total\{reason="rejected"\} [1-9]/m)
  expect(text).toMatch(/^afterspan_data_points_exported_total [1-9]/m)
  expect(text).toMatch(/^afterspan_export_failures_total\{reason="http_400"\} 2$/m)
  await service.stop()
  expect(service.stderr.replaceAll(collector.url, 'URL')).toBe(
    [
      '[afterspan] AFS_EXPORT_FAILED URL/v1/metrics: http_503, for metrics. The next ones say the same.',
      '[afterspan] AFS_EXPORT_FAILED URL/v1/metrics: http_400, for metrics. They are dropped.',
      '',
    ].join('\n'),
  )
  await collector.close()
})

test('metrics by gRPC', async () => {
  const sink = await startOtlpSink()
  const collector = await startGrpcCollector(sink)
  const service = start({ collector, env: { ...OFTEN, OTEL_EXPORTER_OTLP_PROTOCOL: 'grpc' } })
  await get(await listening(service))
  await pollUntil(() => collector.others.some(({ body }) => body.includes('orders')), { timeoutMs: 20_000 })
  expect(collector.others[0]!.path).toBe('/opentelemetry.proto.collector.metrics.v1.MetricsService/Export')
  expect(service.stderr).toBe('')
  await service.stop()
  collector.close()
  await sink.close()
})

test('OTEL_METRICS_EXPORTER=console prints a line of JSON for each metric', async () => {
  const collector = await startSignalCollector()
  const service = start({ collector, env: { OTEL_METRICS_EXPORTER: 'console' } })
  await get(await listening(service))
  service.signal('SIGTERM')
  await service.exit
  const lines = service.stdout.split('\n').filter((line) => line.startsWith('{"scope"'))
  const orders = lines.map((line) => JSON.parse(line)).find(({ name }) => name === 'orders')
  expect(orders).toMatchObject({ scope: 'shop', unit: '{order}', dataPoints: [{ value: 2 }] })
  expect(collector.exports.map(({ signal }) => signal)).not.toContain('metrics')
  await collector.close()
})

test('a tool that measured nothing pushes nothing', async () => {
  const collector = await startSignalCollector()
  const tool = start({ collector, app: '-e', args: ['1 + 1'] })
  expect(await tool.exit).toEqual({ code: 0, signal: null })
  expect(collector.exports).toEqual([])
  await collector.close()
})
