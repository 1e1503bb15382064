import { stat } from 'node:fs'
import type { HealthProbe, ProbeResult } from '@afterspan/core/internal'
import { untilAborted } from '../until-aborted.ts'

const INTERVAL_MS = 5000
const SLOW_MS = 500

/**
 * Warns when no thread of libuv's pool (four of them, unless UV_THREADPOOL_SIZE says otherwise) gets free: then files, DNS names and
 * crypto wait while the event loop is idle and everything looks well. Never fails: a restart meets the same files and names.
 */
export function threadPoolProbe(askOnce: () => Promise<unknown> = askForThread): HealthProbe {
  /** One question waits in the pool's queue at most. */
  let pending: Promise<unknown> | undefined
  let since = 0
  return {
    name: 'thread-pool',
    component: 'system',
    criticality: 'optional',
    intervalMs: INTERVAL_MS,
    async check(signal) {
      if (!pending) {
        since = performance.now()
        pending = askOnce().finally(() => {
          pending = undefined
        })
      }
      const answer = await untilAborted(pending, signal)
      return judgeThreadPool(performance.now() - since, answer === 'late')
    },
  }
}

/** What a wait means. Pure. */
export function judgeThreadPool(waitedMs: number, isWaiting: boolean): ProbeResult {
  const observed = { wait: { value: Math.round(waitedMs * 10) / 10, unit: 'ms' } }
  if (!isWaiting && waitedMs < SLOW_MS) return { status: 'pass', observed }
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
