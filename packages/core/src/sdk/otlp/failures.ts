import type { Counter, MetricRegistry } from '../../metrics/registry.ts'

/** Of all signals. */
export function exportFailures(metrics: Pick<MetricRegistry, 'counter'>): Counter {
  return metrics.counter(
    'afterspan_export_failures',
    'Exports that failed, by reason. A failed export is retried where that can help.',
    ['reason'],
  )
}
