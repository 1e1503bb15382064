// A handler of 'uncaughtException' that throws ends the process with code 7 and without an 'exit'. Nothing is caught for it: Node would
// then name this file as the place of the throw.
import { hideFramesOf } from '../instrument/hidden-frames.ts'

type Emit = (this: NodeJS.Process, ...args: unknown[]) => boolean

/** In the monitor of an uncaught error, just before the handlers hear of it. */
export function watchHandlers(onThrow: () => void): void {
  const before = Object.getOwnPropertyDescriptor(process, 'emit')
  const emit = process.emit as Emit
  const stop = (): void => {
    // Where somebody has put theirs over it, it stays below.
    if ((process.emit as unknown) !== watched) return
    if (before) Object.defineProperty(process, 'emit', before)
    else Reflect.deleteProperty(process, 'emit')
  }
  let isHeard = false
  const watched: Emit = function (...args) {
    if (isHeard || args[0] !== 'uncaughtException') return emit.apply(this, args)
    isHeard = true
    stop()
    const show = hideFramesOf(__filename)
    let hasReturned = false
    try {
      const isHandled = emit.apply(this, args)
      hasReturned = true
      return isHandled
    } finally {
      if (hasReturned) show()
      else onThrow()
    }
  }
  Object.defineProperty(process, 'emit', { value: watched, configurable: true, enumerable: false, writable: true })
  // A capture callback takes the place of the handlers.
  process.nextTick(() => {
    isHeard = true
    stop()
  })
}
