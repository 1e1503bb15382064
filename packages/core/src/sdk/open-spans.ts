import { SpanStatusCode, type Span } from '@opentelemetry/api'
import { LinkedList, type Links } from '../linked-list.ts'
import type { RecordedSpan } from './recorded-span.ts'
import type { SpanObserver } from './span-observers.ts'

/** Spans that nobody ends would stay for ever: the oldest go first. */
const MOST_OPEN = 50_000
/** What is said of a span that its process did not live to end. */
export const PROCESS_ENDED = 'the process ended before this did'

interface OpenSpan extends Links<OpenSpan> {
  readonly span: RecordedSpan
}

export interface OpenSpans extends SpanObserver<OpenSpan> {
  /** Ends every open span that `isOurs` does not claim, because the process ends. */
  endAll(errorType: string, isOurs: (span: Span) => boolean): void
}

/** Spans that are not SERVER spans, from their start to their end: what the guard ends when the process does. */
export function createOpenSpans(): OpenSpans {
  const open = new LinkedList<OpenSpan>()
  return {
    onStart(span) {
      if (open.size >= MOST_OPEN) open.remove(open.first!)
      const mark: OpenSpan = { span, before: undefined, after: undefined, isIn: false }
      open.add(mark)
      return mark
    },
    onEnd(_span, _scope, mark) {
      open.remove(mark)
    },
    endAll(errorType, isOurs) {
      for (const { span: recorded } of open.all()) {
        const span = recorded as unknown as Span
        if (isOurs(span)) continue
        span.setAttribute('error.type', errorType)
        span.setStatus({ code: SpanStatusCode.ERROR, message: PROCESS_ENDED })
        span.end()
      }
    },
  }
}
