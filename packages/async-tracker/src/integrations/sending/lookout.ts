import { withoutTracing } from '@afterspan/core/internal'

export interface Pace {
  /** After something that no look has seen yet. */
  readonly soonMs: number
  /** At least between two looks because of something new. */
  readonly restMs: number
  /** Between looks while there is something to look for. */
  readonly againMs: number
}
export const PACE: Pace = { soonMs: 1_000, restMs: 5_000, againMs: 10_000 }

/** Looks that may come to nothing, one after the other, before there are none any more. */
const MOST_MISSES = 100

/** Asks a broker now and then what has become of what it was sent: soon after it was sent, and while any of it waits. */
export class Lookout {
  readonly #pace: Pace
  readonly #look: () => Promise<boolean>
  #timer: NodeJS.Timeout | undefined
  #dueAt = Infinity
  #lookedAt = -Infinity
  #isLooking = false
  #isNudged = false
  #misses = 0

  /** `look` says whether there is anything left to look for. Where it rejects, it has not seen anything. */
  constructor(pace: Pace, look: () => Promise<boolean>) {
    this.#pace = pace
    this.#look = look
  }

  /** Something was sent. */
  nudge(): void {
    const { soonMs, restMs } = this.#pace
    this.#isNudged = true
    this.#lookBy(Math.max(performance.now() + soonMs, this.#lookedAt + restMs))
  }
  end(): void {
    clearTimeout(this.#timer)
    this.#dueAt = Infinity
  }

  #lookBy(at: number): void {
    if (this.#isLooking || this.#dueAt <= at) return
    clearTimeout(this.#timer)
    this.#dueAt = at
    this.#timer = withoutTracing(() => setTimeout(() => void this.#run(), Math.max(0, at - performance.now())).unref())
  }
  async #run(): Promise<void> {
    this.#dueAt = Infinity
    this.#isLooking = true
    this.#isNudged = false
    let isMore = true
    try {
      isMore = await withoutTracing(this.#look)
      this.#misses = 0
    } catch {
      // Not permitted, or the connection is gone: what was known stays known.
      this.#misses++
    }
    this.#isLooking = false
    this.#lookedAt = performance.now()
    if ((isMore || this.#isNudged) && this.#misses < MOST_MISSES) this.#lookBy(this.#lookedAt + this.#pace.againMs)
  }
}
