import type { Counter, MetricRegistry } from '../../metrics/registry.ts'

const REASONS = [
  'partial_success',
  'queue_full',
  'rejected',
  'spool_full',
  'too_large',
  'unencodable',
  'unsampled_full',
]

/** Wherever they are dropped: one counter, which has these reasons from the start. */
export function droppedSpans(metrics: Pick<MetricRegistry, 'counter'>): Counter {
  const born = REASONS.map((reason) => [reason])
  return metrics.counter('afterspan_spans_dropped', 'Spans that were not delivered, by reason.', ['reason'], born)
}
