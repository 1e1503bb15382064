// What is left when the process ends: written to the spool first, if there is one, then sent while the process is held for a
// bounded moment. Whatever the collector did not take waits in the spool for the patrol.
import type { SpanQueue } from '../sdk/otlp/queue.ts'
import type { OtlpSettings } from '../sdk/otlp/settings.ts'
import type { SideThread } from '../side-thread/host.ts'

/** Keeps an export request where it survives the process; what it returns takes it away again. Undefined where nothing could be kept. */
export type Spool = (
  body: Uint8Array,
  holds: { readonly spans: number; readonly isErrors: boolean },
) => (() => void) | undefined

export interface LastWords {
  /** Synchronous; never throws; holds the process for at most the milliseconds that are left of its allowance. */
  send(): void
}

export function createLastWords(options: {
  readonly queue: SpanQueue
  readonly settings: OtlpSettings
  readonly sideThread: SideThread
  readonly spool: () => Spool | undefined
  readonly holdMs: number
}): LastWords {
  // A crash is followed by 'exit': the allowance is one for both.
  let leftMs = options.holdMs
  return {
    send() {
      try {
        const taken = options.queue.takeAll()
        if (!taken) return
        const { body, spans } = taken
        const discard = options.spool()?.(body, { spans, isErrors: true })
        if (leftMs <= 0) return
        const from = performance.now()
        const isSent = options.sideThread.lastWords(body, options.settings, leftMs)
        leftMs -= performance.now() - from
        if (isSent) discard?.()
      } catch {
        // the process is ending: there is nobody left to tell
      }
    },
  }
}
