// A rejection that nobody handles ends the process, unless the app has a handler for it: then it is told here. A listener counts
// as a handler, so ours is there only while the app has one. One for 'rejectionHandled' would take Node's warning away: what is
// handled late is seen by the emit of `process`, and that is watched only for a while after a rejection was told.
import { tellRejections } from '../tasks/after-rejections.ts'
import { processChannel } from '../tasks/channel.ts'
import type { StrayError } from '../tasks/stray-error.ts'
import { listenToProcess } from './own-listeners.ts'

/** So long may somebody take to handle it after all, before it is called a failure. */
const GRACE_MS = 1_000
const MOST_WAITING = 1_000
/** So long after it was told it can still be withdrawn. */
const LATE_MS = 600_000
const EVENT = 'unhandledRejection'

/** `announce` returns undefined where it is nobody's business, or was told already. */
export function watchRejections({ announce }: { readonly announce: (error: unknown) => StrayError | undefined }): void {
  const waiting = new Set<StrayError>()
  const late = watchLate()
  const ours = (reason: unknown, promise: Promise<unknown>): void => {
    try {
      tellRejections() // what a task has failed with is no second failure
      const stray = announce(reason)
      if (!stray) return
      late.add(promise, {
        ...stray,
        withdraw() {
          waiting.delete(stray)
          stray.withdraw()
        },
      })
      if (waiting.size >= MOST_WAITING) {
        stray.fail()
        return
      }
      waiting.add(stray)
      setTimeout(() => {
        if (waiting.delete(stray)) stray.fail()
      }, GRACE_MS).unref()
    } catch {
      // nothing of ours is worth an error in the app's handler
    }
  }
  processChannel.subscribe((event) => {
    const { kind } = event as { readonly kind: string }
    if (kind !== 'exiting' && kind !== 'crashed') return
    for (const stray of waiting) stray.fail()
    waiting.clear()
  })
  listenWithTheApp(ours)
}

/** Listens while somebody else does, and before them: their handler may end the process. */
function listenWithTheApp(ours: (reason: unknown, promise: Promise<unknown>) => void): void {
  let isListening = false
  const listen = (): void => {
    if (isListening) return
    isListening = true
    listenToProcess(EVENT, ours, true)
  }
  listenToProcess('newListener', (event: string | symbol, listener: unknown) => {
    if (event === EVENT && listener !== ours) listen()
  })
  listenToProcess('removeListener', (event: string | symbol, listener: unknown) => {
    if (event !== EVENT) return
    if (listener === ours) isListening = false
    else if (isListening && process.listenerCount(EVENT) === 1) process.removeListener(EVENT, ours)
  })
  if (process.listenerCount(EVENT) > 0) listen()
}

/** Withdraws what is handled after all. */
function watchLate(): { add(promise: object, stray: StrayError): void } {
  const told = new WeakMap<object, StrayError>()
  let until = 0
  const watch = (): void => {
    const before = Object.getOwnPropertyDescriptor(process, 'emit')
    const emit = process.emit as (...args: unknown[]) => boolean
    const watched = function (this: NodeJS.Process, ...args: unknown[]): boolean {
      if (args[0] === 'rejectionHandled') told.get(args[1] as object)?.withdraw()
      return emit.apply(this, args)
    }
    Object.defineProperty(process, 'emit', { value: watched, configurable: true, enumerable: false, writable: true })
    const stop = (): void => {
      if (performance.now() < until) setTimeout(stop, until - performance.now()).unref()
      else {
        until = 0
        // Where somebody has put theirs over it, it stays below.
        if ((process.emit as unknown) !== watched) return
        if (before) Object.defineProperty(process, 'emit', before)
        else Reflect.deleteProperty(process, 'emit')
      }
    }
    setTimeout(stop, LATE_MS).unref()
  }
  return {
    add(promise, stray) {
      told.set(promise, stray)
      const isWatched = until > 0
      until = performance.now() + LATE_MS
      if (!isWatched) watch()
    },
  }
}
