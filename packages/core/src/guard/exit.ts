import type { EpochMs } from '../contracts/task.ts'
import { inFlight } from '../http/in-flight.ts'
import type { SideThread } from '../side-thread/host.ts'
import { processChannel } from '../tasks/channel.ts'
import { attempt } from './attempt.ts'
import { listenToProcess } from './own-listeners.ts'

export interface ExitDeps {
  readonly now: () => EpochMs
  readonly endOpenSpans: (errorType: string) => void
  readonly sendLastWords: (drainedMs: number) => void
  readonly leaveMetrics: () => void
  /** The app's own callbacks: last, for nobody knows how long they take. */
  readonly tellReports: () => void
  /** Ends what is in flight where the exit follows from an uncaught error; false: it does not. */
  readonly endAsCrash: (code: number) => boolean
}

/** Says goodbye: what is in flight ends here, the journal learns how, and what is left is sent. Once. */
export function createFarewell(deps: ExitDeps): (code: number, signal?: string, drainedMs?: number) => void {
  let isSaid = false
  return (code, signal, drainedMs = 0) => {
    if (isSaid) return
    isSaid = true
    attempt(() => {
      if (signal !== undefined || !deps.endAsCrash(code)) {
        // A copy: what ends is taken out of it.
        for (const request of Array.from(inFlight)) request.endForExit()
      }
      deps.endOpenSpans('process_exit')
      processChannel.publish({ kind: 'exiting', at: deps.now(), code, ...(signal ? { signal } : {}) })
    })
    attempt(deps.leaveMetrics)
    attempt(() => {
      deps.sendLastWords(drainedMs)
    })
    attempt(deps.tellReports)
  }
}

export function watchExit(sayFarewell: (code: number) => void, sideThread: Pick<SideThread, 'leave'>): void {
  listenToProcess('exit', (code: number) => {
    sideThread.leave()
    sayFarewell(code)
  })
}
