// An uncaught error ends the process. `uncaughtExceptionMonitor` changes neither the exit code nor stderr, and the context of
// the throwing callback is still active in it, so the guilty request is named and the others are linked to it.
import type { EpochMs, TraceRef } from '../contracts/task.ts'
import { inFlight } from '../http/in-flight.ts'
import { processChannel } from '../tasks/channel.ts'
import { toFailure } from '../tasks/redact.ts'
import { findCulprit, type Culprit } from './attribution.ts'

export interface CrashDeps {
  readonly now: () => EpochMs
  /** Ends the spans that are open beside the requests. */
  readonly endOpenSpans: (errorType: string) => void
  /** A request that was already answered is guilty: its promise is broken now. */
  readonly breakPromise: (culprit: Culprit, error: unknown, origin: string) => void
  readonly sendLastWords: () => void
}

export function watchCrashes(deps: CrashDeps): void {
  process.on('uncaughtExceptionMonitor', (error: unknown, origin: string) => {
    try {
      if (!isFatal()) return
      crash(deps, error, origin)
    } catch {
      // the app's own error is the one to be seen
    }
  })
}

/** An app with a handler of its own lives on: nothing is ended for it. */
function isFatal(): boolean {
  return process.listenerCount('uncaughtException') === 0 && !process.hasUncaughtExceptionCaptureCallback()
}

function crash(deps: CrashDeps, error: unknown, origin: string): void {
  const culprit = findCulprit()
  const failure = toFailure(error)
  processChannel.publish({ kind: 'crashed', at: deps.now(), failure, ...(culprit ? { culprit: culprit.ref } : {}) })
  if (culprit?.record?.ended) deps.breakPromise(culprit, error, origin)
  const open = [...inFlight]
  for (const request of open) request.endForCrash(roleOf(request.ref, culprit), error, culprit?.ref)
  deps.endOpenSpans(failure.type)
  deps.sendLastWords()
}

function roleOf(request: TraceRef, culprit: Culprit | undefined): 'culprit' | 'bystander' | 'unattributed' {
  if (!culprit) return 'unattributed'
  return culprit.ref.spanId === request.spanId ? 'culprit' : 'bystander'
}
