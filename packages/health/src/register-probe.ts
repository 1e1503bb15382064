import { globalState, type HealthProbe } from '@afterspan/core/internal'

const MOST_WAITING = 100

/**
 * Adds a question about something that this process depends on, which health then asks on its schedule. The returned function takes it
 * back, before and after the preload has started health; harmless twice. Never throws: a probe that cannot be taken is said once
 * (AFS_PROBE_REJECTED). Without the preload nothing is asked.
 */
export function registerProbe(probe: HealthProbe): () => void {
  const state = globalState()
  if (state.registerProbe) return state.registerProbe(probe)
  if (state.waitingProbes.length < MOST_WAITING) state.waitingProbes.push(probe)
  let removed = false
  return () => {
    if (removed) return
    removed = true
    const at = state.waitingProbes.indexOf(probe)
    if (at >= 0) state.waitingProbes.splice(at, 1)
    // Health has taken it over: the same probe again is the same registration, which this ends.
    else state.registerProbe?.(probe)()
  }
}
