/** Waits without keeping the process alive. */
export interface Timer {
  /** The returned function ends the wait. */
  after(ms: number, run: () => void): () => void
}

/** Timers by Node, unref'd, each started in the context that `detached` gives: never in a request's. What throws is told to `onError`, never to the app. */
export function nodeTimer(detached: <R>(fn: () => R) => R, onError: (error: unknown) => void): Timer {
  return {
    after(ms, run) {
      const guarded = (): void => {
        try {
          run()
        } catch (error) {
          onError(error)
        }
      }
      const timer = detached(() => setTimeout(guarded, ms).unref())
      return () => {
        clearTimeout(timer)
      }
    },
  }
}
