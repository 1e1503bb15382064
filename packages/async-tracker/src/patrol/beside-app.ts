// What the side thread loads once there is something to patrol: its own bundle, so that a service that promised nothing does not pay for it.
import type { ErrorCode, SideHost } from '@afterspan/core/internal'
import { patrolMetrics } from './metrics.ts'
import { PatrolService, type PatrolServiceSettings } from './service.ts'

export interface BesideApp {
  readonly service: PatrolService
  readonly metrics: ReturnType<typeof patrolMetrics>
}

export function patrolBesideApp(host: SideHost, settings: PatrolServiceSettings): BesideApp {
  const service = new PatrolService(settings, host.clock, (code: ErrorCode, message: string) => {
    host.say(code, message)
  })
  service.start()
  return { service, metrics: patrolMetrics(service) }
}
