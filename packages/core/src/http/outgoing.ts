import type { Tracer } from '@opentelemetry/api'
import type { ModuleHooks } from '../instrument/hooks.ts'
import type { MetricRegistry } from '../metrics/registry.ts'
import { once } from '../once.ts'
import { createClientMetrics } from './client-metrics.ts'
import { watchClients } from './client.ts'
import { watchHttp2Clients } from './http2-client.ts'

/** What this process asks others by `http` and `https`; and by `http2`, once the app loads it. */
export function watchOutgoing(
  tracer: () => Tracer,
  metrics: MetricRegistry,
  hooks: Pick<ModuleHooks, 'whenLoaded'>,
  onError: (error: unknown) => void,
): void {
  const measure = createClientMetrics(metrics)
  watchClients(tracer, measure)
  const watchHttp2 = once(() => {
    watchHttp2Clients(tracer, measure)
  })
  hooks.whenLoaded('node:http2', () => {
    try {
      watchHttp2()
    } catch (error) {
      onError(error)
    }
  })
}
