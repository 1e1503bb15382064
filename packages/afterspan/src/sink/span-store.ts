import { hash } from 'node:crypto'
import type { StoredSpan } from './stored-span.ts'

export interface SpanStore {
  /** The span as it is kept, or undefined where nothing was: it was there already, or its own trace fills the store. */
  add(span: StoredSpan): StoredSpan | undefined
  /** Oldest trace first; inside a trace in order of arrival. */
  spans(): readonly StoredSpan[]
  /** In order of arrival; empty for a trace that is not known. */
  trace(traceId: string): readonly StoredSpan[]
  /** The trace that began last comes first. */
  newestTraces(most: number): readonly (readonly StoredSpan[])[]
  counts(): SpanStoreCounts
  clear(): void
}
export interface SpanStoreCounts {
  readonly spans: number
  readonly traces: number
  /** Resent spans that were there already. */
  readonly merged: number
  /** Spans of old traces that had to go. */
  readonly evicted: number
  /** Spans that were not taken: their own trace fills the store. */
  readonly refused: number
}

interface Trace {
  readonly spans: StoredSpan[]
  readonly byId: Map<string, SameId>
  bytes: number
}
/** What was seen under one span id. Content is compared only from the second arrival on: nearly always there is none. */
interface SameId {
  readonly first: StoredSpan
  contents?: Set<string>
}

interface Contents {
  readonly maxSpans: number
  readonly maxBytes: number
  readonly traces: Map<string, Trace>
  spans: number
  bytes: number
  merged: number
  evicted: number
  refused: number
}

const MAX_SPANS = 20_000
const MAX_BYTES = 128 * 1024 * 1024

/**
 * Spans in memory, by trace. Bounded by number and by (roughly counted) bytes: the trace that began first goes first. A resend
 * of the same content is merged, as Jaeger does; other content under a known id is kept beside it and marked.
 */
export function createSpanStore(
  limits: { readonly maxSpans?: number | undefined; readonly maxBytes?: number | undefined } = {},
): SpanStore {
  const traces = new Map<string, Trace>()
  const { maxSpans = MAX_SPANS, maxBytes = MAX_BYTES } = limits
  const contents: Contents = { maxSpans, maxBytes, traces, spans: 0, bytes: 0, merged: 0, evicted: 0, refused: 0 }
  return {
    add: (span) => add(contents, span),
    spans: () => [...traces.values()].flatMap((trace) => trace.spans),
    trace: (traceId) => [...(traces.get(traceId)?.spans ?? [])],
    newestTraces: (most) =>
      [...traces.values()]
        .slice(-most)
        .reverse()
        .map((trace) => [...trace.spans]),
    counts() {
      const { spans, merged, evicted, refused } = contents
      return { spans, traces: traces.size, merged, evicted, refused }
    },
    clear() {
      traces.clear()
      contents.spans = 0
      contents.bytes = 0
    },
  }
}

function add(contents: Contents, span: StoredSpan): StoredSpan | undefined {
  const known = contents.traces.get(span.traceId)
  const sameId = known?.byId.get(span.spanId)
  if (sameId && isKnownContent(sameId, span)) {
    contents.merged++
    return undefined
  }
  const bytes = roughBytes(span)
  if (!makeRoom(contents, span.traceId, bytes)) {
    contents.refused++
    return undefined
  }
  const kept: StoredSpan = sameId ? { ...span, duplicateId: true } : span
  const trace = known ?? { spans: [], byId: new Map<string, SameId>(), bytes: 0 }
  if (!known) contents.traces.set(span.traceId, trace)
  if (!sameId) trace.byId.set(span.spanId, { first: span })
  else sameId.contents?.add(contentOf(span))
  trace.spans.push(kept)
  trace.bytes += bytes
  contents.bytes += bytes
  contents.spans++
  return kept
}

/** False where only the span's own trace is left to make room. */
function makeRoom(contents: Contents, forTrace: string, bytes: number): boolean {
  const hasRoom = (): boolean => contents.spans < contents.maxSpans && contents.bytes + bytes <= contents.maxBytes
  for (const [id, trace] of contents.traces) {
    if (hasRoom()) break
    if (id === forTrace) continue
    contents.traces.delete(id)
    contents.spans -= trace.spans.length
    contents.bytes -= trace.bytes
    contents.evicted += trace.spans.length
  }
  return hasRoom()
}

function isKnownContent(seen: SameId, span: StoredSpan): boolean {
  seen.contents ??= new Set([contentOf(seen.first)])
  return seen.contents.has(contentOf(span))
}

/** The same for the same span, in whatever order its attributes came and in whichever format. */
function contentOf(span: StoredSpan): string {
  return hash('sha256', JSON.stringify(canonical(span)), 'base64')
}

function canonical(value: unknown): unknown {
  if (typeof value === 'bigint') return ['int', String(value)]
  if (typeof value === 'number') return Number.isFinite(value) ? value : ['double', String(value)]
  if (value instanceof Uint8Array) return ['bytes', Buffer.from(value).toString('base64')]
  if (Array.isArray(value)) return ['list', ...value.map(canonical)]
  if (typeof value !== 'object' || value === null) return value
  return Object.entries(value)
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([key, of]) => [key, canonical(of)])
}

/** What a span costs, to the order of magnitude. The resource is left out: the spans of one request share it. */
function roughBytes(span: StoredSpan): number {
  return 400 + span.name.length + roughly(span.attributes) + roughly(span.events) + roughly(span.links)
}

function roughly(value: unknown): number {
  if (typeof value === 'string') return 24 + value.length
  if (value instanceof Uint8Array) return 100 + value.length
  if (typeof value !== 'object' || value === null) return 16
  let bytes = 56
  if (Array.isArray(value)) for (const item of value) bytes += roughly(item)
  else for (const [key, of] of Object.entries(value)) bytes += key.length + 16 + roughly(of)
  return bytes
}
