import type { SideHost, SideModule } from '@afterspan/core/internal'
import { mountRoutes } from './routes.ts'
import { takeMainStack } from './stall/main-stack.ts'
import { watchStalls } from './stall/stall-watch.ts'
import { ASK_FOR_SNAPSHOT, type HealthSideData, type HealthSnapshot } from './snapshot.ts'

/** The side thread's half of health: answers from the last snapshot, so a blocked main thread or a hanging dependency never holds a reply. */
export const start: SideModule['start'] = async (host: SideHost, data: unknown) => {
  const given = data as HealthSideData
  const stalls = watchStalls({
    clock: host.clock,
    mainSilentMs: () => host.mainSilentMs(),
    takeStack: () => takeMainStack(host),
    onEnd: () => {},
  })
  const take = mountRoutes(host, given, stalls)
  host.onMessage((message) => {
    if (isSnapshot(message)) take(message)
  })
  // Also after a restart of this thread: the next snapshot could be long in coming.
  host.post(ASK_FOR_SNAPSHOT)
  return {
    async stop() {
      stalls.stop()
    },
  }
}

function isSnapshot(message: unknown): message is HealthSnapshot {
  return typeof message === 'object' && message !== null && 'checks' in message && Array.isArray(message.checks)
}
