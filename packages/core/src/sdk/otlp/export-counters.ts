import type { Counter, MetricRegistry } from '../../metrics/registry.ts'
import { droppedSpans } from './dropped-spans.ts'
import { exportFailures } from './failures.ts'

/** Of spans. */
export function exportCounters(metrics: MetricRegistry): {
  readonly dropped: Counter
  readonly failures: Counter
  readonly exported: Counter
} {
  return {
    dropped: droppedSpans(metrics),
    failures: exportFailures(metrics),
    exported: metrics.counter('afterspan_spans_exported', 'Spans that the collector took.', [], [[]]),
  }
}
