import type { MetricFamily } from '../contracts/service.ts'
import type { ResourceAttributes } from '../contracts/task.ts'

/** The resource as a metric, by OpenTelemetry's compatibility specification: `target_info`. */
export function targetInfo(resource: ResourceAttributes): MetricFamily {
  const labels: Record<string, string> = {}
  for (const [name, value] of Object.entries(resource)) if (value !== undefined) labels[name] = String(value)
  return { name: 'target', type: 'info', help: 'Target metadata', samples: [{ labels, value: 1 }] }
}
