import { globalState, type HealthProbe } from '@afterspan/core/internal'

const MOST_WAITING = 100

/**
 * Adds a question about something that this process depends on. The returned function takes it back, before and after the preload
 * has started health. Without the preload nothing is asked.
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

/** Health from code. */
export const health = { registerProbe }
