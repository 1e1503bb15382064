// Would a restart help? Clients that have given nothing for long are compared with a new one, made as theirs: only where that works, and
// has for as long, is the fault this process's. A client that waits for its next try has had that time too.
import type { ProbeResult } from '@afterspan/core/internal'

const LEAST_PAUSE_MS = 500
/** Experiments in a row that must agree, the first and the last of them as long apart as the clients must have been bad. */
const AGREE = 3

/** Follows the results of the clients of one server. */
export class FreshControl {
  readonly #isSilent: (result: ProbeResult) => boolean
  readonly #now: () => number
  readonly #deadMs: number
  #agreed = 0
  #wellSince = 0
  #isRunning = false
  #lastAt = Number.NEGATIVE_INFINITY

  /** `isSilent`: nothing comes from the clients; what a server says, it would say to a new one. */
  constructor(isSilent: (result: ProbeResult) => boolean, now: () => number, deadMs: number) {
    this.#isSilent = isSilent
    this.#now = now
    this.#deadMs = deadMs
  }

  /** The result, with what the experiments have shown so far. `experiment` rejects where a new client is no better. */
  judge(result: ProbeResult, experiment: () => Promise<unknown>): ProbeResult {
    if (!this.#isSilent(result)) {
      this.#agreed = 0
      return result
    }
    const now = this.#now()
    const pauseMs = Math.max(LEAST_PAUSE_MS, this.#deadMs / 4)
    if (!this.#isRunning && now - this.#lastAt >= pauseMs) void this.#run(experiment, now)
    const wellMs = now - this.#wellSince
    if (this.#agreed < AGREE || wellMs < this.#deadMs) return result
    const reason = `a new client has been answered for ${Math.round(wellMs)} ms, and those of the app have not: ${result.reason}`
    return { ...result, cause: 'self_wedged', reason }
  }

  async #run(experiment: () => Promise<unknown>, startedAt: number): Promise<void> {
    this.#isRunning = true
    this.#lastAt = startedAt
    try {
      await experiment()
      if (this.#agreed++ === 0) this.#wellSince = startedAt
    } catch {
      this.#agreed = 0
    }
    this.#isRunning = false
  }
}
