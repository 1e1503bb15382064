/** Any value that OTLP can carry. Integers beyond 2^53 stay whole as bigint. */
export type SpanValue = string | number | bigint | boolean | null | Uint8Array | readonly SpanValue[] | SpanValues
export interface SpanValues {
  readonly [key: string]: SpanValue
}

export type SpanKindName = 'internal' | 'server' | 'client' | 'producer' | 'consumer'
export type StatusName = 'unset' | 'ok' | 'error'

export interface StoredEvent {
  readonly name: string
  readonly atMs: number
  readonly attributes: SpanValues
}
/** The ids of a link are as they came: empty where the sender had no valid context. */
export interface StoredLink {
  readonly traceId: string
  readonly spanId: string
  readonly traceState?: string
  readonly attributes: SpanValues
}
export interface StoredScope {
  readonly name: string
  readonly version?: string
}

/** A span as it was received: ids in lower-case hex, times in epoch milliseconds with fractions. */
export interface StoredSpan {
  readonly traceId: string
  readonly spanId: string
  readonly parentSpanId?: string
  readonly traceState?: string
  readonly name: string
  readonly kind: SpanKindName
  readonly startMs: number
  readonly endMs: number
  readonly attributes: SpanValues
  readonly events: readonly StoredEvent[]
  readonly links: readonly StoredLink[]
  readonly status: { readonly code: StatusName; readonly message?: string }
  readonly resource: SpanValues
  readonly scope: StoredScope
  /** All 32 bits of OTLP: the W3C trace flags are the low eight. */
  readonly flags: number
  /** How much the sender left out; absent where it left out nothing. */
  readonly droppedAttributes?: number
  readonly droppedEvents?: number
  readonly droppedLinks?: number
  /** Another span with this id came before, with other content. */
  readonly duplicateId?: true
}

/** What the resource calls the service; 'unknown_service' where it does not. */
export function serviceName(span: StoredSpan): string {
  const name = span.resource['service.name']
  return typeof name === 'string' ? name : 'unknown_service'
}

/** JSON of anything that holds span values: big integers and not-a-numbers as strings, bytes as base64, as OTLP/JSON writes them. */
export function toJson(value: unknown, indent = 0): string {
  return JSON.stringify(value, jsonValue, indent)
}

function jsonValue(_key: string, value: unknown): unknown {
  if (typeof value === 'bigint') return String(value)
  if (typeof value === 'number' && !Number.isFinite(value)) return String(value)
  return value instanceof Uint8Array ? Buffer.from(value).toString('base64') : value
}
