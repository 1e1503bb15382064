// What the side thread loads once there is something to patrol: its own bundle, so that a service that promised nothing does not pay for it.
import type { ErrorCode, Incident, SideHost } from '@afterspan/core/internal'
import { grouped } from '../report/incidents.ts'
import { patrolMetrics } from './metrics.ts'
import { PatrolService, type PatrolServiceSettings } from './service.ts'

/** To the tracker's half on the main thread. */
export interface FromPatrol {
  readonly kind: 'incidents'
  readonly incidents: readonly Incident[]
}

export interface BesideApp {
  readonly service: PatrolService
  readonly metrics: ReturnType<typeof patrolMetrics>
}

export function patrolBesideApp(host: SideHost, settings: PatrolServiceSettings): BesideApp {
  const say = (code: ErrorCode, message: string): void => {
    host.say(code, message)
  }
  // The app's own callbacks, and its Sentry, are on the main thread.
  const tell = (incidents: readonly Incident[]): void => {
    host.post({ kind: 'incidents', incidents: grouped(incidents) } satisfies FromPatrol)
  }
  const service = new PatrolService(settings, host.clock, say, tell)
  service.start()
  return { service, metrics: patrolMetrics(service) }
}
