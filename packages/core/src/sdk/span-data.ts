import type { Attributes } from '@opentelemetry/api'

/** OTLP's numbers, which are the API's plus one. */
export const OTLP_KIND = { internal: 1, server: 2, client: 3, producer: 4, consumer: 5 } as const

/** A finished span as plain data: what the encoder takes, from whoever made the span. Times are epoch milliseconds with fractions. */
export interface SpanData {
  readonly traceId: string
  readonly spanId: string
  readonly parentSpanId?: string | undefined
  readonly traceState?: string | undefined
  readonly name: string
  readonly kind: 1 | 2 | 3 | 4 | 5
  readonly startMs: number
  readonly endMs: number
  readonly attributes: Attributes
  readonly events?:
    | readonly { readonly name: string; readonly atMs: number; readonly attributes?: Attributes }[]
    | undefined
  readonly links?:
    | readonly {
        readonly traceId: string
        readonly spanId: string
        readonly traceState?: string | undefined
        readonly attributes?: Attributes
      }[]
    | undefined
  /** 0 unset, 1 ok, 2 error. */
  readonly status?: { readonly code: 0 | 1 | 2; readonly message?: string | undefined } | undefined
  readonly droppedAttributes?: number
  readonly droppedEvents?: number
  readonly droppedLinks?: number
  /** W3C trace flags. */
  readonly flags?: number
}
export interface SpanScope {
  readonly name: string
  readonly version?: string
  readonly schemaUrl?: string
}
