import { globalState, type HealthChange } from '@afterspan/core/internal'

const MOST_LISTENERS = 100

/**
 * Calls the listener on the main thread soon after the status of a check has changed: not for each result, and not while dampening holds a
 * result back. What it throws or rejects with is said once (AFS_HEALTH_LISTENER) and harms nothing. The returned function ends it. Without
 * the preload it is never called; beyond 100 listeners neither.
 */
export function onChange(listener: (change: HealthChange) => unknown): () => void {
  const listeners = (globalState().healthListeners ??= new Set())
  // A function of its own for each call: the same listener twice is two listeners.
  const own: typeof listener = (change) => listener(change)
  if (listeners.size < MOST_LISTENERS) listeners.add(own)
  return () => {
    listeners.delete(own)
  }
}

/** Tells all of them; what goes wrong in one is `onError`'s. */
export function tellListeners(change: HealthChange, onError: (error: unknown) => void): void {
  for (const listener of globalState().healthListeners ?? []) {
    try {
      // An async function is a listener too: its rejection must not become the app's unhandled one.
      const returned = listener(change)
      if (returned instanceof Promise) returned.catch(onError)
    } catch (error) {
      onError(error)
    }
  }
}
