import type { ResourceAttributes } from '../contracts/task.ts'
import { createNoopMeter, type Meter, type MeterOptions, type MeterProvider } from '@opentelemetry/api'
import { join } from 'node:path'
import type { MetricRegistry } from './registry.ts'
import type { createOtelMetrics } from './otel-bridge.ts'

/** The global meter provider from boot on: a meter that is taken before a provider is set stays silent for ever. The SDK behind it is loaded at the first meter. */
export function createMeterProvider(
  bundleDir: string,
  resource: ResourceAttributes,
  registry: MetricRegistry,
): MeterProvider {
  let real: MeterProvider | undefined
  let failed = false
  return {
    getMeter(name: string, version?: string, options?: MeterOptions): Meter {
      if (!real && !failed) {
        try {
          const bridge = (
            require(join(bundleDir, 'otel-metrics.js')) as { createOtelMetrics: typeof createOtelMetrics }
          ).createOtelMetrics(resource)
          registry.callback(() => bridge.collect())
          real = bridge.provider
        } catch {
          failed = true
        }
      }
      return real ? real.getMeter(name, version, options) : createNoopMeter()
    },
  }
}
