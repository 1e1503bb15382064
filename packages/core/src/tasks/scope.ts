// What the code of a task is given, with the preload and without.
import { LONGEST_TIMER_MS } from '../clock.ts'

export interface TaskScope {
  /** Aborts at the deadline, with a TimeoutError; without a deadline never. */
  readonly signal: AbortSignal
  /** Says that the work is alive; progress is a number from 0 to 1. At most four in a second are kept. */
  heartbeat(progress?: number): void
}
export interface TaskOptions {
  /** From now, in milliseconds. Then the task is overdue, and its signal aborts; the work itself is not ended. */
  readonly deadlineMs?: number | undefined
  readonly attributes?: Readonly<Record<string, string | number | boolean>> | undefined
}

/** A scope, and what ends it: its timer must not outlive the work. */
export interface LiveScope {
  readonly scope: TaskScope
  end(): void
}

const BEAT_MS = 250

/** `beat` is called for each heartbeat that is kept. No deadline, or one that is no number, never aborts. */
export function createScope(
  options: TaskOptions | undefined,
  beat?: (progress: number | undefined) => void,
): LiveScope {
  const controller = new AbortController()
  const deadlineMs: unknown = options?.deadlineMs
  let timer: NodeJS.Timeout | undefined
  if (typeof deadlineMs === 'number' && deadlineMs <= LONGEST_TIMER_MS)
    timer = setTimeout(
      () => {
        controller.abort(new DOMException('the deadline of the task has passed', 'TimeoutError'))
      },
      Math.max(0, deadlineMs),
    ).unref() // of a negative one Node warns on the app's stderr
  let beatAt = -Infinity
  return {
    scope: {
      signal: controller.signal,
      heartbeat(progress) {
        if (!beat || performance.now() - beatAt < BEAT_MS) return
        beatAt = performance.now()
        beat(Number.isFinite(progress) ? Math.min(1, Math.max(0, progress!)) : undefined)
      },
    },
    end() {
      clearTimeout(timer)
    },
  }
}
