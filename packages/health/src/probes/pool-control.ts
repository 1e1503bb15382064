// Would a restart help? A pool that has given nothing for long is asked about at the server, over one connection beside it: only where the
// server takes a new connection, and none of the pool's own does anything, is the fault this process's. See docs/decisions/health-liveness.md.
import type { ProbeResult } from '@afterspan/core/internal'
import { networkCode } from '../codes.ts'

/** Fails of a pool, or of the way to its server; what the server itself refuses is no sign of either. */
const DEAD: ReadonlySet<string | undefined> = new Set(['pool_exhausted', 'timeout', 'connection_lost'])
const LEAST_PAUSE_MS = 2000
/** While it is only asked whether the server is there. */
const BESIDE_EVERY_MS = 5000
/** A request that waits this long for a connection while the probe gets one is no emergency, and no good sign. */
export const LONG_WAIT_MS = 1000
/** Experiments in a row that must agree. */
const AGREE = 2

/** What is known of how an app uses a pool. */
export interface PoolUse {
  /** How long ago a client was last handed to the app, or came back from it. */
  readonly stillMs: number
  /** How long ago the app last wanted one; 0 while it waits for one. */
  readonly unaskedMs: number
}
/** What is known of a client of the pool that the app holds, before the server is asked. */
export interface HeldClient {
  /** As the server told it at the start of the connection. */
  readonly pid: number | undefined
  /** A statement was sent and has not ended, or waits to be sent. */
  readonly isBusy: boolean
}

/** Follows the results of one pool's checks, and makes the experiment when they have been bad for long. */
export class PoolControl {
  readonly #use: PoolUse
  readonly #now: () => number
  readonly #deadMs: number
  #badSince: number | undefined
  #agreed = 0
  /** A new connection was not answered either. */
  #isServerGone = false
  #isRunning = false
  #lastAt = Number.NEGATIVE_INFINITY
  #besideAt = Number.NEGATIVE_INFINITY

  /** `deadMs`: how long a pool must have given nothing to an app that wants something. */
  constructor(use: PoolUse, now: () => number, deadMs: number) {
    this.#use = use
    this.#now = now
    this.#deadMs = deadMs
  }

  /**
   * The result, with what the experiments have shown so far. `experiment` rejects where the server is not well, and says else whether the pool is
   * wedged. One is made also as soon as the pool is used up: while a server is frozen, statements that it does not answer use up each pool.
   */
  judge(result: ProbeResult, experiment: () => Promise<boolean>): ProbeResult {
    const now = this.#now()
    if (result.status !== 'fail' || !DEAD.has(result.code)) {
      this.#badSince = undefined
      this.#agreed = 0
      this.#isServerGone = false
      return result
    }
    this.#badSince ??= now
    const isDead = this.#isDead(now)
    if (!isDead) this.#agreed = 0
    const isUsedUp = result.code === 'pool_exhausted'
    const isDue = isDead ? now - this.#lastAt >= LEAST_PAUSE_MS : isUsedUp && now - this.#besideAt >= BESIDE_EVERY_MS
    if (isDue && !this.#isRunning) void this.#run(experiment, isDead)
    if (isUsedUp && this.#isServerGone) {
      const reason = `${result.reason}; a new connection is not answered either`
      return { ...result, code: 'timeout', cause: 'dependency', reason }
    }
    if (this.#agreed < AGREE) return result
    return {
      ...result,
      code: 'pool_dead',
      cause: 'self_wedged',
      reason: `the pool has given nothing for ${Math.round(this.#use.stillMs)} ms; a connection beside it works, and none of its own does anything`,
    }
  }

  /** Bad in every round, nothing handed out or back, and somebody wants something. */
  #isDead(now: number): boolean {
    const { stillMs, unaskedMs } = this.#use
    return now - this.#badSince! >= this.#deadMs && stillMs >= this.#deadMs && unaskedMs < this.#deadMs
  }

  async #run(experiment: () => Promise<boolean>, isDead: boolean): Promise<void> {
    this.#isRunning = true
    this.#besideAt = this.#now()
    if (isDead) this.#lastAt = this.#besideAt
    try {
      const isWedged = await experiment()
      this.#agreed = isWedged && isDead ? this.#agreed + 1 : 0
      this.#isServerGone = false
    } catch (error) {
      this.#agreed = 0
      this.#isServerGone = isOfTheWay(error)
    }
    this.#isRunning = false
  }
}

/** Nobody answered, or the network did. That there is no room for one more says nothing of those that are there. */
function isOfTheWay(error: unknown): boolean {
  return (error instanceof Error && error.message === 'late') || networkCode(error) !== undefined
}

/** What the server's answer means: true where no held client does anything. Pure. */
export function isWedged(
  held: readonly HeldClient[],
  server: { readonly pid: number | undefined; readonly own: number; readonly active: readonly number[] },
): boolean {
  // One without a number has never been connected.
  const sent = held.filter((client) => client.isBusy && client.pid !== undefined)
  // A pooler between us has numbers of its own: nobody can say what becomes of a statement that was sent through it.
  if (sent.length > 0 && server.pid !== server.own) return false
  const active = new Set<number | undefined>(server.active)
  return !sent.some(({ pid }) => active.has(pid))
}

/** What goes on, and will not for long. */
export function withWaiters(result: ProbeResult, waitedMs: number): ProbeResult {
  if (waitedMs < LONG_WAIT_MS) return result
  const reason = `requests wait ${Math.round(waitedMs)} ms for a connection of the pool`
  return { ...result, status: 'warn', code: 'pool_saturated', cause: 'self_recoverable', reason }
}
