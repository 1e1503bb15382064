// Node prints the line of the app that threw only for an error whose stack nobody has read before. Where nobody looks at a rejection it
// ends the process, right after the promise jobs: so what is to be told of it waits until then, and is told before the process is gone.

import { listenToProcess } from '../guard/own-listeners.ts'

const waiting: (() => void)[] = []
let isWatching = false

/** Runs `tell` once Node has looked at the rejections of this turn: a moment later, or first of all in the crash that follows. */
export function afterRejections(tell: () => void, onError: (error: unknown) => void): void {
  if (!isWatching) {
    isWatching = true
    // Before the crash itself is told: whose failure it was is known by then.
    listenToProcess('uncaughtExceptionMonitor', tellRejections, true)
    listenToProcess('exit', tellRejections, true)
  }
  const quietly = (): void => {
    try {
      tell()
    } catch (error) {
      onError(error)
    }
  }
  if (waiting.push(quietly) === 1) setImmediate(tellRejections).unref()
}

/** What waits: Node has looked at it, and given it to a handler of the app. */
export function tellRejections(): void {
  for (const tell of waiting.splice(0)) tell()
}
