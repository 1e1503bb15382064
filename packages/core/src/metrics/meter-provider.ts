import { createNoopMeter, type Meter, type MeterOptions, type MeterProvider } from '@opentelemetry/api'
import { join } from 'node:path'
import { requireKept } from '../code-cache.ts'
import type { ResourceAttributes } from '../contracts/task.ts'
import { say } from '../diag.ts'
import { scopeOf } from '../sdk/scope.ts'
import { guardedMeter, type OnTrouble } from './guarded-meter.ts'
import { createLastMeasured } from './last-measured.ts'
import type { createOtelMetrics, PushChoice } from './otel-bridge.ts'
import type { PushScope } from './push/metric-data.ts'
import type { MetricRegistry } from './registry.ts'

/** What the app's meters have measured, for who pushes it. */
export interface AppMeters {
  isUsed(): boolean
  scopes(): Promise<readonly PushScope[]>
  scopesNow(): readonly PushScope[]
}

/**
 * The global meter provider from boot on: a meter that is taken before a provider is set stays silent for ever. The SDK behind it
 * is loaded by the first instrument that is made; a meter alone, which every instrumentation takes, does not need it.
 */
export function createMeterProvider(
  bundleDir: string,
  resource: ResourceAttributes,
  registry: MetricRegistry,
  push: PushChoice | undefined,
): { readonly provider: MeterProvider; readonly meters: AppMeters } {
  const lastMeasured = registry.hasExemplars ? createLastMeasured() : undefined
  let real: MeterProvider | undefined
  let pushed: ReturnType<typeof createOtelMetrics>['pushed']
  let isFailed = false
  const load = (): MeterProvider | undefined => {
    if (real || isFailed) return real
    try {
      const bundle = requireKept(join(bundleDir, 'otel-metrics.js')) as { createOtelMetrics: typeof createOtelMetrics }
      const bridge = bundle.createOtelMetrics(resource, { push, lastMeasured })
      registry.callback(() => bridge.collect(), false)
      pushed = bridge.pushed
      real = bridge.provider
    } catch (error) {
      isFailed = true
      say('AFS_BOOT_FAILED', `the app's own metrics are not kept: ${describe(error)}. The app runs without them.`)
    }
    return real
  }
  const onTrouble = troubleCounter(registry)
  return {
    provider: {
      getMeter: (given: string, versioned?: string, options?: MeterOptions) => {
        const { name, version } = scopeOf(given, versioned)
        const make = (): Meter => load()?.getMeter(name, version, options) ?? createNoopMeter()
        const watch = lastMeasured && lastMeasured.watch.bind(undefined, { name, version })
        return guardedMeter(make, { onTrouble, ...(watch ? { watch } : {}) })
      },
    },
    meters: {
      isUsed: () => real !== undefined,
      scopes: () => pushed?.collect() ?? Promise.resolve([]),
      scopesNow: () => pushed?.collectNow() ?? [],
    },
  }
}

/** Counted each time, said once for each reason. */
function troubleCounter(registry: MetricRegistry): OnTrouble {
  const counter = (): { add(value: number, reason: string): void } =>
    registry.counter(
      'afterspan_measurements_refused',
      "Measurements of the app's own instruments that were not taken: a callback threw or hung, or a value was refused.",
      ['reason'],
    )
  return (reason, why) => {
    counter().add(1, reason)
    say('AFS_METRIC_REFUSED', `${WORDS[reason]} (${describe(why)}). It costs only its own series.`, reason)
  }
}

const WORDS = {
  callback_failed: 'a callback of an observable instrument of the app threw or rejected',
  callback_hangs: 'a callback of an observable instrument of the app did not answer',
  refused: 'an instrument of the app was given a value or attributes that cannot be kept',
} as const

function describe(error: unknown): string {
  try {
    return error instanceof Error ? error.message : String(error)
  } catch {
    return 'an error that cannot be read'
  }
}
