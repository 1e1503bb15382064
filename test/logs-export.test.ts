// OTEL_LOGS_EXPORTER=otlp: log records of the API, and the lines of loggers, go to the collector.
import { bothFormats, get, nodesUnderTest, pollUntil, startPreloaded, type PreloadedApp } from '@afterspan/testing'
import { startOtlpSink } from 'afterspan/internal'
import { expect, test } from 'vitest'
import { appFile, listening, traceIdOf } from './app.ts'
import { startGrpcCollector } from './grpc-collector.ts'
import { startSignalCollector, type SignalCollector } from './signal-collector.ts'

const API = appFile('logs-api.cjs')

function start(collector: { readonly url: string }, app: string, env: Record<string, string> = {}, node?: string) {
  return startPreloaded({
    app,
    sink: collector,
    ...(node === undefined ? {} : { node }),
    env: {
      OTEL_LOGS_EXPORTER: 'otlp',
      OTEL_EXPORTER_OTLP_PROTOCOL: 'http/json',
      AFTERSPAN_EXIT_HOLD_MS: '5000',
      ...env,
    },
  })
}
async function end(app: PreloadedApp): Promise<void> {
  app.signal('SIGTERM')
  expect(await app.exit).toEqual({ code: null, signal: 'SIGTERM' })
}
/** Every record that came, with its scope; the values of JSON as they are. */
function records({ exports }: SignalCollector): any[] {
  return exports
    .filter(({ signal }) => signal === 'logs')
    .flatMap(({ body }) => body.resourceLogs)
    .flatMap(({ scopeLogs }: any) => scopeLogs)
    .flatMap(({ scope, logRecords }: any) => logRecords.map((record: any) => ({ ...plain(record), scope: scope.name })))
}
function plain({ body, attributes = [], ...rest }: any): any {
  return { ...rest, body: valueOf(body), attributes: mapOf(attributes) }
}
function mapOf(pairs: any[]): any {
  return Object.fromEntries(pairs.map(({ key, value }) => [key, valueOf(value)]))
}
function valueOf(any: any): unknown {
  if (any?.arrayValue) return (any.arrayValue.values ?? []).map(valueOf)
  if (any?.kvlistValue) return mapOf(any.kvlistValue.values ?? [])
  if (any?.intValue !== undefined) return Number(any.intValue)
  return any && Object.values(any)[0]
}

bothFormats(
  'lines of pino, winston and bunyan arrive as their loggers made them, with the ids of their request',
  { cjs: appFile('logs.cjs'), mjs: appFile('logs.mjs') },
  async ({ app, node }) => {
    const collector = await startSignalCollector()
    const running = start(collector, app, {}, node.path)
    const url = await listening(running)
    const traces: Record<string, string> = {}
    for (const kind of ['pino', 'winston', 'bunyan']) traces[kind] = traceIdOf(await get(`${url}/${kind}`))
    await end(running)
    const all = records(collector)
    const of = (kind: string): any[] => all.filter(({ scope, traceId }) => scope === kind && traceId === traces[kind])
    expect(of('pino')).toMatchObject([
      { body: 'text', severityNumber: 9, severityText: 'info', attributes: {} },
      { body: 'with an object', attributes: { a: 1 } },
      {
        body: 'wrong',
        severityNumber: 13,
        attributes: { child: true, 'exception.type': 'Error', 'exception.message': 'wrong' },
      },
      { body: 'with a mixin', attributes: { mine: 1 } },
    ])
    expect(of('winston').map(({ body, severityText, attributes }) => [body, severityText, attributes])).toEqual([
      ['text', 'info', { a: 1 }],
      ['of a child', 'warn', { child: true }],
      ['an object of the app', 'info', {}],
      ['a line of its own', 'info', {}],
    ])
    expect(of('bunyan')).toMatchObject([
      { body: 'text', severityNumber: 9, attributes: { name: 'app', a: 1 } },
      { body: 'of a child', severityNumber: 13, attributes: { child: true } },
    ])
    const outside = all.filter(({ body }) => body === 'outside')
    expect(outside.map(({ scope, traceId }) => [scope, traceId])).toEqual([
      ['pino', undefined],
      ['winston', undefined],
      ['bunyan', undefined],
    ])
    // What the app prints is what it printed before.
    expect(running.stdout).toContain('{"level":30,"a":1,"msg":"with an object"}\n')
    expect(running.stdout).not.toContain('trace_flags')
    expect(running.stderr).toBe('')
    await collector.close()
  },
)

test.each(nodesUnderTest())(
  'records of the API, within their limits, also those before a crash: Node $major',
  async (node) => {
    const collector = await startSignalCollector()
    const limits = { OTEL_LOGRECORD_ATTRIBUTE_VALUE_LENGTH_LIMIT: '40', OTEL_LOGRECORD_ATTRIBUTE_COUNT_LIMIT: '6' }
    const running = start(collector, API, limits, node.path)
    const url = await listening(running)
    const traceId = traceIdOf(await get(url))
    await get(`${url}/crash`).catch(() => {})
    expect(await running.exit).toEqual({ code: 1, signal: null })
    const [first, circle, older] = records(collector)
    expect(first).toMatchObject({
      scope: 'shop',
      traceId,
      flags: 1,
      severityNumber: 13,
      severityText: 'WARN',
      eventName: 'order.late',
      body: { items: [1, 'two'], late: true },
      droppedAttributesCount: 1,
    })
    expect(first.attributes).toEqual({
      'exception.type': 'TypeError',
      'exception.message': 'no such thing',
      'exception.stacktrace': expect.stringMatching(/^TypeError: no such thing/),
      'order.id': 'o-1',
      weight: 1.5,
      long: 'x'.repeat(40),
    })
    expect([circle.body, older.body, older.traceId]).toEqual(['a circle', 'said the older way', traceId])
    await collector.close()
  },
)

test('a collector that hangs costs bounded memory and no exit; what has no room is counted and said once', async () => {
  const collector = await startSignalCollector(() => true)
  const running = start(collector, API, {
    OTEL_BLRP_MAX_QUEUE_SIZE: '4',
    OTEL_BLRP_SCHEDULE_DELAY: '10',
    OTEL_TRACES_EXPORTER: 'none',
    AFTERSPAN_EXIT_HOLD_MS: '400',
  })
  const url = await listening(running)
  for (let i = 0; i < 4; i++) expect((await get(url)).status).toBe(200)
  const { text } = await get(`${await running.adminUrl()}/metrics`)
  expect(text).toMatch(/^afterspan_log_records_dropped_total\{reason="queue_full"\} 8$/m)
  const from = performance.now()
  await end(running)
  expect(performance.now() - from).toBeLessThan(5_000)
  expect(running.stderr.match(/AFS_EXPORT_FAILED/g)).toHaveLength(1)
  await collector.close()
})

test('a collector that is not available at first gets every record in the end', async () => {
  let refusals = 0
  const collector = await startSignalCollector(({ signal }, response) => {
    if (signal !== 'logs' || refusals++ >= 1) return false
    response.writeHead(503, { 'retry-after': '0' }).end()
    return true
  })
  const running = start(collector, API, { OTEL_BLRP_SCHEDULE_DELAY: '10' })
  await get(await listening(running))
  await collector.waitFor(() => records(collector).length >= 6)
  expect(records(collector).slice(3)).toHaveLength(3)
  await running.stop()
  await collector.close()
})

test('logs by gRPC', async () => {
  const sink = await startOtlpSink()
  const collector = await startGrpcCollector(sink)
  const running = start(collector, API, { OTEL_EXPORTER_OTLP_PROTOCOL: 'grpc', OTEL_BLRP_SCHEDULE_DELAY: '10' })
  await get(await listening(running))
  await pollUntil(() => collector.others.some(({ body }) => body.includes('order.late')), { timeoutMs: 20_000 })
  expect(collector.others[0]!.path).toBe('/opentelemetry.proto.collector.logs.v1.LogsService/Export')
  await running.stop()
  collector.close()
  await sink.close()
})

test('OTEL_LOGS_EXPORTER=console prints a line of JSON for each record; without the variable nothing is sent', async () => {
  const collector = await startSignalCollector()
  const printing = start(collector, API, { OTEL_LOGS_EXPORTER: 'console' })
  await get(await listening(printing))
  await end(printing)
  const lines = printing.stdout.split('\n').filter((line) => line.startsWith('{'))
  expect(lines.map((line) => JSON.parse(line))).toMatchObject([
    { eventName: 'order.late' },
    { body: 'said the older way' },
  ])
  const silent = start(collector, API, { OTEL_LOGS_EXPORTER: '' })
  await get(await listening(silent))
  await end(silent)
  expect(records(collector)).toEqual([])
  await collector.close()
})
