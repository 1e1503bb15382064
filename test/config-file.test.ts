// OTEL_CONFIG_FILE, read by the official parser that the app has with @opentelemetry/sdk-node.
import { copyFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { get, nodesUnderTest, startPreloaded, tempDir } from '@afterspan/testing'
import { startOtlpSink } from 'afterspan/internal'
import { expect, test } from 'vitest'
import { appFile, listening } from './app.ts'

function fileWith(text: string): string {
  const file = join(tempDir('config'), 'otel.yaml')
  writeFileSync(file, text)
  return file
}
const FILE = `
file_format: "1.0"
resource:
  attributes:
    - { name: service.name, value: "\${SHOP:-nobody}" }
propagator:
  composite: [{ tracecontext: }]
tracer_provider:
  processors:
    - batch:
        schedule_delay: 20
        exporter:
          otlp_http:
            endpoint: \${COLLECTOR}/v1/traces
            headers: [{ name: x-tenant, value: acme }]
meter_provider:
  readers: [{ pull: { exporter: { prometheus/development: } } }]
logger_provider:
  processors: [{ simple: { exporter: { otlp_file/development: } } }]
`

test.each(nodesUnderTest())(
  'a file goes before the variables, and what it has no use for is said: Node $major',
  async (node) => {
    const headers: unknown[] = []
    const sink = await startOtlpSink({
      answer: (request) => {
        headers.push(request.headers['x-tenant'])
        return undefined
      },
    })
    const env = {
      OTEL_CONFIG_FILE: fileWith(FILE),
      COLLECTOR: sink.url,
      SHOP: 'shop',
      OTEL_SERVICE_NAME: 'of the variable',
      OTEL_TRACES_EXPORTER: 'none',
    }
    const app = startPreloaded({ app: appFile('export.cjs'), node: node.path, env })
    await get(`${await listening(app)}/ok`)
    await sink.waitFor((spans) => spans.length > 0)
    expect(sink.spans()[0]!.resource['service.name']).toBe('shop')
    expect(headers[0]).toBe('acme')
    expect((await get(`${await app.adminUrl()}/metrics`)).text).toContain('service_name="shop"')
    expect(app.stderr).toBe(
      '[afterspan] AFS_CONFIG_UNSUPPORTED OTEL_CONFIG_FILE: not acted on is logger_provider.processors[0].simple.exporter.otlp_file/development.\n',
    )
    await app.stop()
    await sink.close()
  },
)

/** As the specification's getting-started.yaml. */
const WITH_DETECTORS = `
file_format: "1.0"
resource:
  detection/development:
    detectors: [{ service: }, { host: }, { process: }]
tracer_provider:
  sampler: { parent_based: { root: { always_on: }, remote_parent_sampled: { always_on: } } }
  processors: [{ batch: { schedule_delay: 20, exporter: { otlp_http: { endpoint: "\${COLLECTOR}/v1/traces" } } } }]
`

test('the detectors of a file were not acted on, and OTEL_SERVICE_NAME, which one of them asks for, was not heard', async () => {
  const sink = await startOtlpSink()
  const env = { OTEL_CONFIG_FILE: fileWith(WITH_DETECTORS), COLLECTOR: sink.url, OTEL_SERVICE_NAME: 'shop' }
  const app = startPreloaded({ app: appFile('export.cjs'), env })
  await get(`${await listening(app)}/ok`)
  await sink.waitFor((spans) => spans.length > 0)
  const { resource } = sink.spans()[0]!
  expect(resource['service.name']).toBe('shop')
  expect(Object.keys(resource)).toEqual(expect.arrayContaining(['host.name', 'process.pid', 'service.instance.id']))
  await app.stop()
  expect(app.stderr).toBe('')
  await sink.close()
})

test('a file can turn all of it off', async () => {
  const sink = await startOtlpSink()
  const env = { OTEL_CONFIG_FILE: fileWith('file_format: "1.0"\ndisabled: true\n') }
  const app = startPreloaded({ app: appFile('export.cjs'), env, sink })
  const { status, headers } = await get(`${await listening(app)}/ok`)
  expect([status, headers['traceresponse']]).toEqual([200, undefined])
  app.signal('SIGTERM')
  await app.exit
  expect([app.stderr, sink.requests()]).toEqual(['', 0])
  await sink.close()
})

test.each([
  ['is not there', () => '/no/such/otel.yaml', /no such file/],
  ['is not valid', () => fileWith('file_format: "1.0"\ntracer_provider: 7\n'), /Invalid OpenTelemetry config file/],
])('a file that %s is said, and the variables are used', async (_, file, why) => {
  const sink = await startOtlpSink()
  const env = { OTEL_CONFIG_FILE: file(), OTEL_BSP_SCHEDULE_DELAY: '20' }
  const app = startPreloaded({ app: appFile('export.cjs'), env, sink })
  await get(`${await listening(app)}/ok`)
  await sink.waitFor((spans) => spans.length > 0)
  expect(app.stderr.split('\n')).toHaveLength(2)
  expect(app.stderr).toMatch(/^\[afterspan\] AFS_CONFIG_INVALID OTEL_CONFIG_FILE=".*" cannot be used: /)
  expect(app.stderr).toMatch(why)
  await app.stop()
  await sink.close()
})

test('without the package that reads it a file is said to need it', async () => {
  const sink = await startOtlpSink()
  const app = join(tempDir('bare'), 'app.cjs')
  copyFileSync(appFile('export.cjs'), app)
  const env = { OTEL_CONFIG_FILE: fileWith(FILE), OTEL_BSP_SCHEDULE_DELAY: '20' }
  const bare = startPreloaded({ app, cwd: tempDir('elsewhere'), env, sink })
  await get(`${await listening(bare)}/ok`)
  await sink.waitFor((spans) => spans.length > 0)
  expect(bare.stderr).toMatch(
    /cannot be used: it is read by the package @opentelemetry\/configuration .*which is not installed/,
  )
  await bare.stop()
  await sink.close()
})
