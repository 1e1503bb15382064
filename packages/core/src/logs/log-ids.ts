import { context, isSpanContextValid, trace } from '@opentelemetry/api'

/** What a log line carries: the names are OpenTelemetry's for formats that are not OTLP. */
export interface LogIds {
  readonly trace_id: string
  readonly span_id: string
  readonly trace_flags: string
}

/** Of the active span; undefined outside of one. */
export function activeIds(): LogIds | undefined {
  const span = trace.getSpan(context.active())?.spanContext()
  if (!span || !isSpanContextValid(span)) return undefined
  return { trace_id: span.traceId, span_id: span.spanId, trace_flags: `0${(span.traceFlags & 1).toString(16)}` }
}
