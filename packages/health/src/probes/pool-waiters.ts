// A library's own pool over single connections of a driver. The connections have a check of their own; here it is judged who waits in the pool,
// which they cannot show. Nothing is asked.
import type { ProbeResult } from '@afterspan/core/internal'
import { LONG_WAIT_MS, withWaiters } from './pool-control.ts'

export interface PoolLook {
  readonly connections: number
  readonly idle: number
  readonly max: number
  readonly waiting: number
  readonly oldestWaiterMs: number
  /** How often a connection was handed out, or came back. */
  readonly moves: number
  /** Of the longest held connection. */
  readonly held: NonNullable<ProbeResult['observed']>
}

/** As long as a question of a probe may wait. */
const EXHAUSTED_MS = LONG_WAIT_MS * 1.5

/** Of one pool. */
export class PoolWaiters {
  /** The moves there had been when it was found exhausted. */
  #exhaustedAfter: number | undefined

  judge(look: PoolLook): ProbeResult {
    const { connections, idle, max, oldestWaiterMs, moves, waiting } = look
    const count = (value: number): { value: number; unit: string } => ({ value, unit: 'count' })
    const observed = {
      connections: count(connections),
      idle: count(idle),
      waiting: count(waiting),
      max: count(max),
      ...(oldestWaiterMs > 0 ? { oldestWaiter: { value: Math.round(oldestWaiterMs), unit: 'ms' } } : {}),
      ...look.held,
    }
    const isFull = idle === 0 && connections >= max
    // Who waited has given up, and whoever comes next will wait as long: nothing has come back.
    const isStill = isFull && moves === this.#exhaustedAfter
    const isLong = oldestWaiterMs >= EXHAUSTED_MS
    if (!isLong && !isStill) {
      this.#exhaustedAfter = undefined
      return withWaiters({ status: 'pass', observed }, oldestWaiterMs)
    }
    this.#exhaustedAfter = moves
    const reason = isFull
      ? `no connection became free: ${connections} of ${max} are busy, ${waiting} requests wait`
      : `${waiting} requests wait for a connection that is being made`
    return isFull
      ? { status: 'fail', code: 'pool_exhausted', cause: 'self_recoverable', reason, observed }
      : { status: 'fail', code: 'timeout', cause: 'dependency', reason, observed }
  }
}
