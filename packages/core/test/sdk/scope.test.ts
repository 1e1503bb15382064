import { encodeLog, encodeLogs } from '../../src/logs/export/encode-logs.ts'
import type { LogEntry } from '../../src/logs/export/log-entry.ts'
import { setLoggerProvider } from '../../src/logs/export/logger-provider.ts'
import { encodeSpan, encodeTraceRequest } from '../../src/sdk/otlp/encode.ts'
import { otlpJson } from '../../src/sdk/otlp/otlp-json.ts'
import type { SpanData, SpanScope } from '../../src/sdk/span-data.ts'
import { createTracerProvider } from '../../src/sdk/tracer-provider.ts'
import { logs } from '@opentelemetry/api'
import { AlwaysOnSampler } from '@opentelemetry/sdk-trace'
import { afterEach, expect, test } from 'vitest'

const LIMITS = { attributes: 128, valueLength: 4096, events: 8, eventAttributes: 8, links: 8, linkAttributes: 8 }
/** What JavaScript lets an app pass. */
const ODD = [
  { given: [5], scope: { name: '5' } },
  { given: ['shop', 1.2], scope: { name: 'shop', version: '1.2' } },
  { given: ['shop', null, null], scope: { name: 'shop' } },
  { given: [Object.create(null)], scope: { name: '' } },
] as const

afterEach(() => logs.disable())

function scopeOfSpans(given: readonly unknown[]): unknown {
  const told: { scope: SpanScope; span: SpanData }[] = []
  const provider = createTracerProvider({
    sampler: new AlwaysOnSampler(),
    limits: LIMITS,
    deliver: (scope, span) => told.push({ scope, span }),
  })
  const tracer = provider.getTracer(...(given as [string]))
  tracer.startSpan('work').end()
  const [{ scope, span } = expect.unreachable()] = told
  const body = encodeTraceRequest({}, [{ scope, spans: [encodeSpan(span)] }])
  return JSON.parse(otlpJson(body)).resourceSpans[0].scopeSpans[0]
}

function scopeOfLogs(given: readonly unknown[]): unknown {
  let entry: LogEntry | undefined
  setLoggerProvider((make) => (entry = make()))
  logs.getLogger(...(given as [string])).emit({ body: 'hello' })
  const { scope } = entry!
  const body = encodeLogs({}, [{ scope, bytes: encodeLog(entry!, LIMITS) }])
  return JSON.parse(otlpJson(body, 'logs')).resourceLogs[0].scopeLogs[0]
}

test.each(ODD)(
  'a tracer that is named by $given does not end the process as its spans are sent',
  ({ given, scope }) => {
    expect(scopeOfSpans(given)).toMatchObject({ scope })
  },
)

test.each(ODD)(
  'a logger that is named by $given does not end the process as its records are sent',
  ({ given, scope }) => {
    const told = scopeOfLogs(given) as { readonly scope: object }
    expect(told.scope).toEqual(Object.fromEntries(Object.entries(scope).filter(([, value]) => value !== '')))
  },
)

test('the schema of a scope is sent with its spans and records', () => {
  const given = ['shop', '1', { schemaUrl: 'https://example.test/1' }]
  expect(scopeOfSpans(given)).toMatchObject({ schemaUrl: 'https://example.test/1' })
  expect(scopeOfLogs(given)).toMatchObject({ schemaUrl: 'https://example.test/1' })
})
