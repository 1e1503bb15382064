// An uncaught error ends the process. `uncaughtExceptionMonitor` changes neither the exit code nor stderr, and the context of
// the throwing callback is still active in it, so the guilty request is named and the others are linked to it.
import type { EpochMs, TraceRef } from '../contracts/task.ts'
import { inFlight } from '../http/in-flight.ts'
import { hideOwnFrames } from '../instrument/hidden-frames.ts'
import { processChannel } from '../tasks/channel.ts'
import { toFailure } from '../tasks/redact.ts'
import type { Uncaught } from '../tasks/stray-error.ts'
import { findCandidates, findCulprit, type Culprit } from './attribution.ts'
import { watchHandlers } from './broken-handler.ts'
import { listenToProcess } from './own-listeners.ts'

export interface CrashDeps {
  readonly now: () => EpochMs
  /** Ends the spans that are open beside the requests. */
  readonly endOpenSpans: (errorType: string) => void
  /** A request that was already answered is guilty, or a task that was done: its promise is broken now. */
  readonly breakPromise: (uncaught: Uncaught) => void
  /** The app lives on. */
  readonly tellHandled: (uncaught: Uncaught) => void
  /** A span for a crash that no request or task is guilty of; undefined where it is nobody's business. */
  readonly tellCrash: (uncaught: Uncaught) => TraceRef | undefined
  readonly sendLastWords: () => void
  /** A handler of the app's has thrown: the process ends with this code, and nothing else of ours runs. */
  readonly endNow: (exitCode: number) => void
}

export interface Crashes {
  /** Ends what is in flight as a crash does, where the exit with this code is the app's own answer to an uncaught error or a rejection; false: it is not. */
  endAsCrash(exitCode: number): boolean
  /** A handler of the app's is about to hear of a rejection. The returned function says that somebody has caught it after all. */
  rejected(uncaught: Uncaught): () => void
}

/** Node's exit code. */
const HANDLER_THREW = 7
/** A handler of the app's mostly logs, closes what is open and exits. */
const HANDLED_MS = 10_000

export function watchCrashes(deps: CrashDeps): Crashes {
  let handled: (Uncaught & { readonly atMs: number }) | undefined
  let atHandler: Uncaught | undefined
  listenToProcess('uncaughtExceptionMonitor', (error: unknown, origin: string) => {
    hideOwnFrames(error)
    try {
      if (isOfDomain()) return
      const isCrash = isFatal()
      const found = findCulprit(error, origin)
      // What the app's handler for rejections throws is thrown when the request's context has been left.
      const culprit = atHandler?.culprit ?? found
      const uncaught = { error, culprit, candidates: findCandidates(), origin, isCrash }
      if (isCrash) {
        endInFlight(deps, uncaught)
        deps.sendLastWords()
      } else {
        handled = { ...uncaught, atMs: performance.now() }
        note(uncaught)
        deps.tellHandled(uncaught)
        watchHandlers(() => {
          deps.endNow(HANDLER_THREW)
        })
      }
    } catch {
      // the app's own error is the one to be seen
    }
  })
  return {
    endAsCrash(exitCode) {
      if (exitCode === 0 || !handled || performance.now() - handled.atMs > HANDLED_MS) return false
      endInFlight(deps, handled)
      return true
    },
    rejected(uncaught) {
      const mine = { ...uncaught, atMs: performance.now() }
      handled = mine
      atHandler = mine
      // Node calls the handlers of one rejection after the other's, and then what waits for the next tick.
      process.nextTick(() => {
        if (atHandler === mine) atHandler = undefined
      })
      return () => {
        if (handled === mine) handled = undefined
      }
    },
  }
}

/** The app lives on. Should the request that threw not be answered well, its span says why. */
function note({ error, culprit }: Uncaught): void {
  for (const request of inFlight) if (request.ref.spanId === culprit?.ref.spanId) request.blame(error)
}

/** Somebody's domain catches it, as a `catch` would. */
function isOfDomain(): boolean {
  const { domain } = process as { readonly domain?: { listenerCount(event: string): number } | null }
  return domain ? domain.listenerCount('error') > 0 : false
}

/** An app with a handler of its own lives on: nothing is ended for it. */
function isFatal(): boolean {
  return process.listenerCount('uncaughtException') === 0 && !process.hasUncaughtExceptionCaptureCallback()
}

function endInFlight(deps: CrashDeps, uncaught: Uncaught): void {
  const { error, culprit } = uncaught
  const failure = toFailure(error)
  processChannel.publish({ kind: 'crashed', at: deps.now(), failure, ...(culprit ? { culprit: culprit.ref } : {}) })
  if (culprit?.record?.ended || culprit?.isOver) deps.breakPromise(uncaught)
  const guilty = culprit?.ref ?? deps.tellCrash(uncaught)
  const open = [...inFlight]
  for (const request of open) request.endForCrash(roleOf(request.ref, culprit), error, guilty)
  deps.endOpenSpans(failure.type)
}

function roleOf(request: TraceRef, culprit: Culprit | undefined): 'culprit' | 'bystander' | 'unattributed' {
  if (!culprit) return 'unattributed'
  return culprit.ref.spanId === request.spanId ? 'culprit' : 'bystander'
}
