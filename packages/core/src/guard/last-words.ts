// What is left when the process ends, and on disk already if there is one: sent while the process is held for a bounded moment.
// Whatever spans the collector did not take wait in the spool for the patrol.
import type { OtlpSettings } from '../sdk/otlp/settings.ts'
import type { SideThread } from '../side-thread/host.ts'

/** One request to a collector. */
export interface LastBody {
  readonly body: Uint8Array
  readonly settings: OtlpSettings
  /** Leaves it to the patrol, where there is a disk. */
  keep(): void
  /** The collector has it. */
  discard(): void
}

export interface LastWords {
  /** Synchronous; never throws; holds the process for at most the milliseconds that are left of its allowance; what a drain has taken is taken from it, but for a last try. */
  send(drainedMs?: number, isEnd?: boolean): void
}

/** What one kind of telemetry has left, encoded. `isEnd`: it is the last time that it is asked; a crash asks before. Until `answerUntil` the answer to what is under way may be waited for. */
export type LastSource = (isEnd: boolean, answerUntil: number) => LastBody | undefined

/** A collector that is well answers in this. */
const LEAST_MS = 80
/** So long an export that is under way is waited for before it is sent again. */
const ANSWER_MS = 50

export function createLastWords(options: {
  readonly sources: readonly LastSource[]
  readonly sideThread: Pick<SideThread, 'lastWords'>
  readonly holdMs: number
}): LastWords {
  // A crash is followed by 'exit': the allowance is one for both.
  let leftMs = options.holdMs
  return {
    send(drainedMs = 0, isEnd = true) {
      if (drainedMs > 0) leftMs = Math.max(LEAST_MS, leftMs - drainedMs)
      try {
        const from = performance.now()
        const answerUntil = from + Math.min(ANSWER_MS, leftMs / 2)
        const taken = options.sources.flatMap((take) => safely(take, isEnd, answerUntil) ?? [])
        leftMs -= performance.now() - from
        if (taken.length === 0) return
        const sendFrom = performance.now()
        const sent = leftMs > 0 ? options.sideThread.lastWords(taken, leftMs) : []
        leftMs -= performance.now() - sendFrom
        taken.forEach((one, i) => {
          if (sent[i] === true) one.discard()
          else one.keep()
        })
      } catch {
        // the process is ending: there is nobody left to tell
      }
    },
  }
}

function safely(take: LastSource, isEnd: boolean, answerUntil: number): LastBody | undefined {
  try {
    return take(isEnd, answerUntil)
  } catch {
    return undefined
  }
}
