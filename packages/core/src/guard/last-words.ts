// What is left when the process ends, and on disk already if there is one: sent while the process is held for a bounded moment.
// Whatever the collector did not take waits in the spool for the patrol.
import type { SpanQueue } from '../sdk/otlp/queue.ts'
import type { OtlpSettings } from '../sdk/otlp/settings.ts'
import type { SideThread } from '../side-thread/host.ts'

export interface LastWords {
  /** Synchronous; never throws; holds the process for at most the milliseconds that are left of its allowance; what a drain has taken is taken from it, but for a last try. */
  send(drainedMs?: number): void
}

/** A collector that is well answers in this. */
const LEAST_MS = 80

export function createLastWords(options: {
  readonly queue: SpanQueue
  readonly settings: OtlpSettings
  readonly sideThread: SideThread
  readonly holdMs: number
}): LastWords {
  // A crash is followed by 'exit': the allowance is one for both.
  let leftMs = options.holdMs
  return {
    send(drainedMs = 0) {
      if (drainedMs > 0) leftMs = Math.max(LEAST_MS, leftMs - drainedMs)
      try {
        const taken = options.queue.takeAll()
        if (!taken) return
        const from = performance.now()
        const isSent = leftMs > 0 && options.sideThread.lastWords(taken.body, options.settings, leftMs)
        leftMs -= performance.now() - from
        if (isSent) taken.discard()
        else taken.keep()
      } catch {
        // the process is ending: there is nobody left to tell
      }
    },
  }
}
