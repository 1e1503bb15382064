import type { Span, TimeInput } from '@opentelemetry/api'
import type { EncodedSpan } from '../contracts/task.ts'
import { encodeSpan } from './otlp/encode.ts'
import type { SpanData, SpanScope } from './span-data.ts'

let wanted: string | undefined
let captured: EncodedSpan | undefined

/** Ends a span, now unless told, and gives its bytes to the caller instead of the export queue; undefined where the span records nothing. */
export function endCaptured(span: Span, endedAt?: TimeInput): EncodedSpan | undefined {
  wanted = span.spanContext().spanId
  captured = undefined
  try {
    span.end(endedAt)
    return captured
  } finally {
    wanted = undefined
    captured = undefined
  }
}

/** Asked by the provider for each span that ends. */
export function takeCapture(span: SpanData, scope: SpanScope): boolean {
  if (span.spanId !== wanted) return false
  captured = encodeForJournal(span, scope)
  return true
}

/** A span as it travels in the journal. It will be told, whatever the sampler said of its trace. */
export function encodeForJournal(span: SpanData, scope: SpanScope): EncodedSpan {
  return { scope: scope.name, bytes: Buffer.from(encodeSpan({ ...span, flags: 1 })).toString('base64') }
}
