import type { Incident } from '../contracts/reporter.ts'
import { globalState } from '../global-state.ts'

const MOST_LISTENERS = 100

/**
 * Calls the listener once for each incident that this thread sees: it crashed (`crash`), `safeHandler` caught an error
 * (`handler_error`), a task that it promised or ran failed for good (`task_failed`) or is lost (`task_lost`). It is called a turn
 * later, outside of every request, with plain data: `at` in epoch ms, `trace`, `route`, `failure` (redacted), `taskId`. Of a crash
 * it is called while the process exits: only what it does synchronously still happens. What it throws or rejects with is said once
 * (AFS_REPORT_FAILED) and harms nothing; a promise is not waited for. The returned function ends it. Without the preload it is
 * never called; beyond 100 listeners neither.
 */
export function onReport(listener: (incident: Incident) => unknown): () => void {
  const state = globalState()
  const listeners = (state.reportListeners ??= new Set())
  // A function of its own for each call: the same listener twice is two listeners.
  const own: typeof listener = (incident) => listener(incident)
  if (listeners.size < MOST_LISTENERS) listeners.add(own)
  state.watchReports?.()
  return () => {
    listeners.delete(own)
  }
}
