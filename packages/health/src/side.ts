import type { SideHost, SideModule } from '@afterspan/core/internal'
import { mountRoutes } from './routes.ts'
import { ASK_FOR_SNAPSHOT, type HealthSideData, type HealthSnapshot } from './snapshot.ts'

/** The side thread's half of health: answers from the last snapshot, so a blocked main thread or a hanging dependency never holds a reply. */
export const start: SideModule['start'] = async (host: SideHost, data: unknown) => {
  const take = mountRoutes(host, data as HealthSideData)
  host.onMessage((message) => {
    if (isSnapshot(message)) take(message)
  })
  // Also after a restart of this thread: the next snapshot could be long in coming.
  host.post(ASK_FOR_SNAPSHOT)
  return { stop: async () => {} }
}

function isSnapshot(message: unknown): message is HealthSnapshot {
  return typeof message === 'object' && message !== null && 'checks' in message && Array.isArray(message.checks)
}
