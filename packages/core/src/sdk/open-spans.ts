import { SpanStatusCode, type Span } from '@opentelemetry/api'
import type { SpanObserver } from './span-observers.ts'

/** Spans that nobody ends would stay for ever: the oldest go first. */
const MOST_OPEN = 50_000
/** What is said of a span that its process did not live to end. */
export const PROCESS_ENDED = 'the process ended before this did'

export interface OpenSpans extends SpanObserver {
  /** Ends every open span that `isOurs` does not claim, because the process ends. */
  endAll(errorType: string, isOurs: (span: Span) => boolean): void
}

/** Spans that are not SERVER spans, from their start to their end: what the guard ends when the process does. */
export function createOpenSpans(): OpenSpans {
  const open = new Map<string, Span>()
  return {
    onStart(span) {
      if (open.size >= MOST_OPEN) open.delete(open.keys().next().value!)
      open.set(span.spanContext().spanId, span as unknown as Span)
    },
    onEnd(span) {
      open.delete(span.spanId)
    },
    endAll(errorType, isOurs) {
      for (const span of open.values()) {
        if (isOurs(span)) continue
        span.setAttribute('error.type', errorType)
        span.setStatus({ code: SpanStatusCode.ERROR, message: PROCESS_ENDED })
        span.end()
      }
    },
  }
}
