// What becomes of an error that nobody caught: told once, whichever way it is met, of whoever can be named.
import type { EpochMs } from '../contracts/task.ts'
import { inFlight } from '../http/in-flight.ts'
import { isAbort } from '../tasks/aborted.ts'
import { announceStray, type StrayDeps, type StrayError, type Uncaught } from '../tasks/stray-error.ts'
import { isTold } from '../tasks/told-failures.ts'

/** Errors of nobody's in a minute that get a row; more are counted alone. */
const MOST_A_MINUTE = 100
const MINUTE_MS = 60_000

export interface Strays {
  /** It ends the process. */
  crash(uncaught: Uncaught): void
  /** A handler of the app's has it. */
  handled(uncaught: Uncaught): void
  /** A handler of the app's has it, and somebody may still catch it. */
  rejected(uncaught: Uncaught): StrayError | undefined
}

export function createStrays(
  deps: StrayDeps & {
    readonly serves: () => boolean
    readonly unattributed: { add(n: number): void }
    /** A span alone, in the trace of who is guilty: what failed has been told. */
    readonly tellCrash: (uncaught: Uncaught) => void
  },
): Strays {
  const known = new WeakSet<object>()
  const isNew = (error: unknown): boolean => {
    if (typeof error !== 'object' || error === null) return true
    if (known.has(error)) return false
    known.add(error)
    return true
  }
  const mayTell = limited(deps.now)
  const announce = (uncaught: Uncaught): StrayError | undefined => {
    if (!isNew(uncaught.error)) return undefined
    if (isTold(uncaught.error, uncaught.culprit?.ref.traceId)) {
      if (uncaught.isCrash && uncaught.culprit) deps.tellCrash(uncaught)
      return undefined
    }
    if (!uncaught.culprit) {
      if (!deps.serves()) return undefined
      deps.unattributed.add(1)
      if (!mayTell()) return undefined
    }
    return announceStray(deps, uncaught)
  }
  return {
    crash(uncaught) {
      announce(uncaught)?.fail()
    },
    handled(uncaught) {
      // A rejection is told where that is watched, unless the app has no handler but this one.
      if (uncaught.origin === 'unhandledRejection' && process.listenerCount('unhandledRejection') > 0) return
      announce(uncaught)?.fail()
    },
    rejected(uncaught) {
      const { error, culprit } = uncaught
      const stray = announce(uncaught)
      // Should the request not be answered well, its span says why.
      const request = [...inFlight].find(({ ref }) => ref.spanId === culprit?.ref.spanId)
      if (!stray || !request || isAbort(error)) return stray
      request.hasThrown(error)
      return {
        fail: stray.fail,
        withdraw() {
          request.forgive(error)
          stray.withdraw()
        },
      }
    },
  }
}

function limited(now: () => EpochMs): () => boolean {
  let since = -Infinity
  let told = 0
  return () => {
    if (now() - since >= MINUTE_MS) {
      since = now()
      told = 0
    }
    return ++told <= MOST_A_MINUTE
  }
}
