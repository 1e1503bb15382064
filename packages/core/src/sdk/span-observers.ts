import type { Context } from '@opentelemetry/api'
import type { SpanData, SpanScope } from './span-data.ts'
import type { RecordedSpan } from './recorded-span.ts'

/** Sees every span that is not a SERVER span of ours, as it starts and as it ends. Must not throw and must be cheap; in onEnd it may still add attributes. */
export interface SpanObserver<Mark = unknown> {
  /** What it gives back is handed to its `onEnd`, so that it need not be looked up. */
  onStart(span: RecordedSpan, parent: Context): Mark
  /** True: the observer sees to it that the span is told; it is not queued. */
  onEnd(span: SpanData, scope: SpanScope, mark: Mark): boolean | void
}
export const spanObservers: SpanObserver[] = []
export function addSpanObserver(observer: SpanObserver): void {
  spanObservers.push(observer)
}
