// docs/telemetry.md says what comes out, and what comes out is in it.
import { globSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { get, pollUntil, repositoryRoot, startPreloaded, tempDir } from '@afterspan/testing'
import { startOtlpSink } from 'afterspan/internal'
import { beforeAll, expect, test } from 'vitest'
import { appFile, listening } from './app.ts'

const root = repositoryRoot()
const page = readFileSync(join(root, 'docs/telemetry.md'), 'utf8')

/** Rows of the table under a heading, cells as they stand. */
function rowsOf(heading: string): string[][] {
  const section = page.split(`## ${heading}\n`)[1]!.split('\n## ')[0]!
  return section
    .split('\n')
    .filter((line) => line.startsWith('| `'))
    .map((line) =>
      line
        .split('|')
        .slice(1, -1)
        .map((cell) => cell.trim()),
    )
}
const ticked = (cell = ''): string[] => [...cell.matchAll(/`([^`]+)`/g)].map(([, name]) => name!)

const spanRows = rowsOf('Spans').map(([name, kind]) => ({ name: ticked(name)[0]!, kind: kind! }))
const attributes = new Set(rowsOf('Attributes of spans').map(([name]) => ticked(name)[0]!))
const metrics = new Map(
  rowsOf('Metrics').map(([name, type, labels]) => [ticked(name)[0]!, { type, labels: ticked(labels) }]),
)

interface Emitted {
  readonly spans: readonly {
    readonly name: string
    readonly kind: string
    readonly attributes: readonly string[]
    readonly text: string
  }[]
  readonly metrics: string
}
let emitted: Emitted

beforeAll(async () => {
  const sink = await startOtlpSink()
  const ledgerDir = tempDir('ledger')
  const env = { OTEL_SERVICE_NAME: `telemetry-${process.pid}` }
  const start = () => startPreloaded({ app: appFile('telemetry.cjs'), sink, ledgerDir, env })
  const first = start()
  const url = await listening(first)
  const admin = await first.adminUrl()
  await get(`${admin}/metrics`) // from now on the loop and the collections are watched
  for (const path of ['works?password=1', 'asks', 'throws', 'breaks', 'hangs', 'nowhere']) await get(`${url}/${path}`)
  await get(`${url}/works`, { method: 'PROPFIND', headers: { 'user-agent': 'test' } })
  const text = await pollUntil(async () => {
    const { text: now } = await get(`${admin}/metrics`)
    return /outcome="kept"\} [1-9]/.test(now) && /state="failed"/.test(now) && now.includes('eventloop_delay') && now
  })
  // It dies with a request and a task on its hands; the next one tells what became of them.
  await get(`${url}/crash`).catch(() => {})
  await first.exit
  const second = start()
  await get(`${await listening(second)}/asks`)
  const [, metricsAfter] = await Promise.all([
    sink.waitFor((spans) => spans.some(({ name }) => name.startsWith('lost ') || name === 'hangs')),
    pollUntil(async () => {
      const { text: now } = await get(`${await second.adminUrl()}/metrics`)
      return /state="lost"\S* [1-9]/.test(now) && now
    }),
  ])
  await second.stop()
  const spans = sink.spans().map(({ name, kind, attributes: its, events, scope }) => ({
    name,
    kind: kind.toUpperCase(),
    attributes:
      scope.name === 'afterspan'
        ? [...Object.keys(its), ...events.flatMap((event) => Object.keys(event.attributes))]
        : [],
    text: `${kind} ${name}`,
  }))
  emitted = { spans, metrics: `${text}\n${metricsAfter}` }
  await sink.close()
})

test('each span has a row', () => {
  const isTold = ({ name, kind }: { name: string; kind: string }): boolean =>
    spanRows.some((row) => row.kind === kind && pattern(row.name).test(name))
  expect(emitted.spans.filter((span) => !isTold(span)).map(({ text }) => text)).toEqual([])
  // The run has them all but those that need a broker.
  const seen = new Set(emitted.spans.map(({ kind }) => kind))
  expect([...seen].sort()).toEqual(['CLIENT', 'INTERNAL', 'SERVER'])
})

test('each attribute of ours has a row', () => {
  const seen = new Set(emitted.spans.flatMap((span) => span.attributes))
  expect(Array.from(seen).filter((name) => !attributes.has(name))).toEqual([])
  expect(seen.size).toBeGreaterThan(20)
})

test('each metric has a row, with its type and its labels', () => {
  const wrong: string[] = []
  let type = ''
  let name = ''
  for (const line of emitted.metrics.split('\n')) {
    const declared = /^# TYPE (\S+) (\S+)/.exec(line)
    if (declared) [, name = '', type = ''] = declared
    const row = metrics.get(name)
    if (declared && !row) wrong.push(`${name} has no row`)
    if (declared && row && row.type !== (name === 'target_info' ? 'info' : type)) wrong.push(`${name} is a ${type}`)
    if (line.startsWith('#') || line === '' || !row || name === 'target_info') continue
    for (const [, label] of line.matchAll(/[{,]([a-zA-Z0-9_]+)="/g))
      if (!row.labels.includes(label!) && label !== 'le') wrong.push(`${name} has no label ${label!} in its row`)
  }
  expect([...new Set(wrong)]).toEqual([])
})

test('outgoing requests of node:http and of fetch are one metric', () => {
  const counts = emitted.metrics
    .split('\n')
    .filter((line) => line.startsWith('http_client_request_duration_seconds_count'))
  expect(counts.some((line) => line.includes('otel_scope_name="@opentelemetry/instrumentation-undici"'))).toBe(true)
  expect(counts.some((line) => !line.includes('otel_scope') && line.includes('http_response_status_code="200"'))).toBe(
    true,
  )
})

test('each row is of something that the run emits, or that the sources name', () => {
  const sources = globSync('packages/*/src/**/*.ts', { cwd: root })
    .map((file) => readFileSync(join(root, file), 'utf8'))
    .join('\n')
  const isNamed = (name: string): boolean => sources.includes(`'${name}'`)
  const isMetric = (name: string): boolean =>
    emitted.metrics.includes(`# TYPE ${name} `) || isNamed(name) || isNamed(name.replace(/_total$/, ''))
  const isAttribute = (name: string): boolean =>
    emitted.spans.some((span) => span.attributes.includes(name)) || isNamed(name)
  expect([...metrics.keys()].filter((name) => !isMetric(name))).toEqual([])
  expect([...attributes].filter((name) => !isAttribute(name))).toEqual([])
})

test('alerts and dashboard ask for metrics and labels that there are', () => {
  const files = ['afterspan.rules.yml', 'grafana-dashboard.json'].map((file) =>
    readFileSync(join(root, 'docs/prometheus', file), 'utf8'),
  )
  const asked = new Set(
    files.flatMap((text) => text.match(/\b(?:afterspan|http_server|process|nodejs|v8js)_[a-z0-9_]+/g) ?? []),
  )
  const known = new Set<string>()
  for (const [name, { type, labels }] of metrics) {
    known.add(name)
    for (const label of labels) known.add(label)
    if (type === 'histogram') for (const suffix of ['_bucket', '_sum', '_count']) known.add(name + suffix)
  }
  expect([...asked].filter((name) => !known.has(name))).toEqual([])
  expect(asked.size).toBeGreaterThan(5)
})

function pattern(name: string): RegExp {
  const placed = name.replace('{http.request.method}', '[A-Z]+').replace('{http.route}', '/\\S*')
  return new RegExp(`^${placed.replace(/\{[^}]+\}/g, '.+')}$`)
}
