import { createNoopMeter, type Meter, type MeterOptions, type MeterProvider } from '@opentelemetry/api'
import { join } from 'node:path'
import type { ResourceAttributes } from '../contracts/task.ts'
import type { createOtelMetrics } from './otel-bridge.ts'
import type { MetricRegistry } from './registry.ts'

/**
 * The global meter provider from boot on: a meter that is taken before a provider is set stays silent for ever. The SDK behind it
 * is loaded by the first instrument that is made; a meter alone, which every instrumentation takes, does not need it.
 */
export function createMeterProvider(
  bundleDir: string,
  resource: ResourceAttributes,
  registry: MetricRegistry,
): MeterProvider {
  let real: MeterProvider | undefined
  let isFailed = false
  const load = (): MeterProvider | undefined => {
    if (real || isFailed) return real
    try {
      const bundle = require(join(bundleDir, 'otel-metrics.js')) as { createOtelMetrics: typeof createOtelMetrics }
      const bridge = bundle.createOtelMetrics(resource)
      registry.callback(() => bridge.collect())
      real = bridge.provider
    } catch {
      isFailed = true
    }
    return real
  }
  return {
    getMeter: (name: string, version?: string, options?: MeterOptions) =>
      lazyMeter(() => load()?.getMeter(name, version, options) ?? createNoopMeter()),
  }
}

function lazyMeter(make: () => Meter): Meter {
  let made: Meter | undefined
  const meter = (): Meter => (made ??= make())
  return {
    createCounter: (...args) => meter().createCounter(...args),
    createGauge: (...args) => meter().createGauge(...args),
    createHistogram: (...args) => meter().createHistogram(...args),
    createUpDownCounter: (...args) => meter().createUpDownCounter(...args),
    createObservableCounter: (...args) => meter().createObservableCounter(...args),
    createObservableGauge: (...args) => meter().createObservableGauge(...args),
    createObservableUpDownCounter: (...args) => meter().createObservableUpDownCounter(...args),
    addBatchObservableCallback: (...args) => {
      meter().addBatchObservableCallback(...args)
    },
    removeBatchObservableCallback: (...args) => {
      meter().removeBatchObservableCallback(...args)
    },
  }
}
