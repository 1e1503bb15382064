// What becomes of an error that nobody caught: told once, whichever way it is met, of whoever can be named.
import type { EpochMs } from '../contracts/task.ts'
import { inFlight } from '../http/in-flight.ts'
import type { Counter, MetricRegistry } from '../metrics/registry.ts'
import { isAbort } from '../tasks/aborted.ts'
import { announceStray, type StrayDeps, type StrayError, type Uncaught } from '../tasks/stray-error.ts'
import { isTold } from '../tasks/told-failures.ts'

/** Errors of nobody's in a minute that get a row; more are counted alone. */
const MOST_A_MINUTE = 100
const MINUTE_MS = 60_000
/** Of one request or task: what a loop leaves behind by the thousand would hold up the app, and its promise is broken long since. */
const MOST_OF_ONE = 100
const MOST_KNOWN = 1_000
/** Of one error, which a module may make once and throw for ever. */
const MOST_TRACES = 1_000

export interface Strays {
  /** It ends the process. */
  crash(uncaught: Uncaught): void
  /** A handler of the app's has it. */
  handled(uncaught: Uncaught): void
  /** A framework has it, of a request that was answered. */
  behind(uncaught: Uncaught): void
  /** A handler of the app's has it, and somebody may still catch it. */
  rejected(uncaught: Uncaught): StrayError | undefined
}

export interface StrayCounters {
  readonly unattributed: Pick<Counter, 'add'>
  /** What gets no row. */
  readonly untold: Pick<Counter, 'add'>
}

export function strayCounters(metrics: MetricRegistry): StrayCounters {
  return {
    unattributed: metrics.counter('afterspan_unattributed', 'Uncaught errors of which nobody can say whose they are.'),
    untold: metrics.counter(
      'afterspan_untold_errors',
      'Uncaught errors without a row: more than 100 of one request or task, or in a minute of nobody.',
    ),
  }
}

export function createStrays(
  deps: StrayDeps & {
    readonly serves: () => boolean
    readonly counters: StrayCounters
    /** A span alone, in the trace of who is guilty: what failed has been told. */
    readonly tellCrash: (uncaught: Uncaught) => void
  },
): Strays {
  const isNew = oncePerTrace()
  const mayHaveRow = rowLimits(deps)
  const announce = (uncaught: Uncaught): StrayError | undefined => {
    if (!isNew(uncaught) || uncaught.culprit?.isToldElsewhere) return undefined
    if (uncaught.culprit && !mayHaveRow(uncaught)) return undefined
    if (isTold(uncaught.error, uncaught.culprit?.ref.traceId)) {
      if (uncaught.isCrash && uncaught.culprit) deps.tellCrash(uncaught)
      return undefined
    }
    if (!uncaught.culprit) {
      if (!deps.serves()) return undefined
      deps.counters.unattributed.add(1)
      if (!mayHaveRow(uncaught)) return undefined
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
    behind(uncaught) {
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

/** Several may have waited for one promise, or get one error when what they share is closed: it is told once in the trace of each. */
function oncePerTrace(): (uncaught: Pick<Uncaught, 'error' | 'culprit'>) => boolean {
  const toldIn = new WeakMap<object, Set<string>>()
  return ({ error, culprit }) => {
    if (typeof error !== 'object' || error === null) return true
    const traces = toldIn.get(error)
    const traceId = culprit?.ref.traceId
    if (!traces) toldIn.set(error, new Set(traceId ? [traceId] : []))
    else {
      // Told as nobody's, it is not told as somebody's too.
      if (traceId === undefined || traces.size === 0 || traces.has(traceId)) return false
      if (traces.size >= MOST_TRACES) traces.delete(traces.values().next().value!)
      traces.add(traceId)
    }
    return true
  }
}

/** A crash has one in any case. */
function rowLimits({ now, counters }: Pick<StrayDeps, 'now'> & { readonly counters: StrayCounters }) {
  const mayTell = limited(now)
  const mayTellOf = limitedEach()
  return ({ culprit, isCrash }: Uncaught): boolean => {
    const may = culprit ? isCrash || mayTellOf(culprit.ref.spanId) : mayTell()
    if (!may) counters.untold.add(1)
    return may
  }
}

/** Of those that were heard of lately. */
function limitedEach(): (id: string) => boolean {
  const told = new Map<string, number>()
  return (id) => {
    const number = (told.get(id) ?? 0) + 1
    told.delete(id)
    told.set(id, number)
    if (told.size > MOST_KNOWN) told.delete(told.keys().next().value!)
    return number <= MOST_OF_ONE
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
