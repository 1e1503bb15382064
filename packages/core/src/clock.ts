import type { Clock } from './contracts/service.ts'
import type { EpochMs } from './contracts/task.ts'

/** The real clock. Ticks of one `every` never overlap, and none of its timers keeps the process alive. */
export const systemClock: Clock = {
  now: () => Date.now() as EpochMs,
  monotonicMs: () => performance.now(),
  every(ms, tick) {
    let isRunning = false
    let isOver = false
    const timer = setInterval(() => {
      if (isRunning || isOver) return
      isRunning = true
      tick()
        .catch(() => {}) // a tick that can fail says so itself
        .finally(() => {
          isRunning = false
        })
    }, ms)
    timer.unref()
    return () => {
      isOver = true
      clearInterval(timer)
    }
  },
}

/** Milliseconds, about 25 days. A timer that is to wait longer fires at once: https://nodejs.org/api/timers.html#settimeoutcallback-delay-args */
export const LONGEST_TIMER_MS = 2 ** 31 - 1
