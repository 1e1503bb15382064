import { stat } from 'node:fs'
import type { HealthProbe, ProbeResult } from '@afterspan/core/internal'
import { untilAborted } from '../until-aborted.ts'

const INTERVAL_MS = 5000
const SLOW_MS = 500
/** The answer comes by the event loop. Where that stood still, or the process got no CPU, the pool may have been free long since. */
const TURN_MS = 50
const LEAST_TURNS = 3

/**
 * Warns when no thread of libuv's pool (four of them, unless UV_THREADPOOL_SIZE says otherwise) gets free: then files, DNS names and
 * crypto wait while the event loop is idle and everything looks well. Never fails: a restart meets the same files and names.
 */
export function threadPoolProbe(askOnce: () => Promise<unknown> = askForThread): HealthProbe {
  /** One question waits in the pool's queue at most. */
  let pending: Promise<unknown> | undefined
  let since = 0
  /** Of the event loop, while the question is on its way. */
  let turns = 0
  return {
    name: 'thread-pool',
    component: 'system',
    criticality: 'optional',
    intervalMs: INTERVAL_MS,
    async check(signal) {
      if (!pending) {
        since = performance.now()
        turns = 0
        const turning = setInterval(() => turns++, TURN_MS).unref()
        pending = askOnce().finally(() => {
          clearInterval(turning)
          pending = undefined
        })
      }
      // Where the event loop stood still, the end of the time comes before an answer that is there.
      if ((await untilAborted(pending, signal)) === 'late') await new Promise(setImmediate)
      return judgeThreadPool(performance.now() - since, pending !== undefined, turns)
    },
  }
}

/** What a wait means. Pure. */
export function judgeThreadPool(waitedMs: number, isWaiting: boolean, turns: number): ProbeResult {
  const observed = { wait: { value: Math.round(waitedMs * 10) / 10, unit: 'ms' } }
  if (!isWaiting && (waitedMs < SLOW_MS || turns < LEAST_TURNS)) return { status: 'pass', observed }
  return {
    status: 'warn',
    code: 'thread_pool_saturated',
    cause: 'self_recoverable',
    reason: `no thread of the pool became free for ${Math.round(waitedMs)} ms`,
    observed,
  }
}

/** The cheapest that goes through the pool. */
function askForThread(): Promise<void> {
  return new Promise((resolve) => {
    stat('/', () => resolve())
  })
}
