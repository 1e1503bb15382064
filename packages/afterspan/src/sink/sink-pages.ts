import { printable } from '@afterspan/core/internal'
import type { SpanStore } from './span-store.ts'
import { serviceName, toJson, type StoredSpan } from './stored-span.ts'
import { drawTrace } from './trace-text.ts'

/** What the sink answers to a request. */
export interface SinkReply {
  readonly status: number
  readonly headers: Readonly<Record<string, string>>
  readonly body: string | Uint8Array
}

const NEWEST = 50

/** The page at a path: `/` lists the newest traces, `/traces/<id>` draws one, `/traces/<id>.json` has all of it. Anything else is 404. */
export function sinkPage(path: string, store: SpanStore): SinkReply {
  if (path === '/') return text(200, listTraces(store))
  const [, id = '', json] = /^\/traces\/([0-9a-fA-F]{32})(\.json)?$/.exec(path) ?? []
  if (!id) return text(404, 'not found. / lists the newest traces, POST /v1/traces takes them\n')
  const traceId = id.toLowerCase()
  const spans = store.trace(traceId)
  if (spans.length === 0) return text(404, `no span of trace ${traceId} is here\n`)
  if (!json) return text(200, `${summary(spans)}\n\n${drawTrace(spans)}\n`)
  const headers = { 'content-type': 'application/json', 'x-content-type-options': 'nosniff' }
  return { status: 200, headers, body: `${toJson({ traceId, spans }, 2)}\n` }
}

/** A plain-text reply that no browser takes for anything else. */
export function text(status: number, body: string): SinkReply {
  const headers = { 'content-type': 'text/plain; charset=utf-8', 'x-content-type-options': 'nosniff' }
  return { status, headers, body }
}

function listTraces(store: SpanStore): string {
  const { spans, traces, merged, evicted, refused } = store.counts()
  const lost = evicted + refused === 0 ? '' : `; ${evicted} evicted, ${refused} refused`
  const head = `${count(spans, 'span')} in ${count(traces, 'trace')}; ${merged} merged${lost}`
  const newest = store.newestTraces(NEWEST)
  if (newest.length === 0) return `${head}\n`
  return `${head}\nnewest first; GET /traces/<id> draws one\n\n${newest.map(summary).join('\n')}\n`
}

function summary(spans: readonly StoredSpan[]): string {
  const errors = spans.filter((span) => span.status.code === 'error').length
  const ids = new Set(spans.map((span) => span.spanId))
  const first = spans.reduce((a, b) => (b.startMs < a.startMs ? b : a))
  const root = spans.find((span) => span.parentSpanId === undefined || !ids.has(span.parentSpanId)) ?? first
  const services = [...new Set(spans.map(serviceName))]
  return [
    `${errors > 0 ? '✗' : '·'} ${first.traceId}`,
    count(spans.length, 'span'),
    ...(errors > 0 ? [count(errors, 'error')] : []),
    printable(root.name.slice(0, 100)),
    printable(services.join(', ').slice(0, 100)),
  ].join('  ')
}

function count(n: number, noun: string): string {
  return `${n} ${noun}${n === 1 ? '' : 's'}`
}
