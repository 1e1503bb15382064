import type { Clock, EpochMs } from '@afterspan/core/internal'

export interface FakeClock extends Clock {
  /** Moves the time, running each tick that falls due, in order and one after another; rejects with the first tick that rejected, after all have run. */
  advance(ms: number): Promise<void>
}

interface Timer {
  dueAt: number
  isRunning: boolean
  readonly ms: number
  readonly tick: () => Promise<unknown>
}

/** A clock that stands still until the test moves it. As with the real one, a tick that is still running when it falls due again is skipped. */
export function fakeClock(startAt = Date.UTC(2026, 0, 1)): FakeClock {
  const timers = new Set<Timer>()
  let now = startAt
  return {
    now: () => now as EpochMs,
    monotonicMs: () => now - startAt,
    every(ms, tick) {
      if (!(ms > 0)) throw new Error(`a clock cannot tick every ${ms} ms`)
      const timer: Timer = { dueAt: now + ms, isRunning: false, ms, tick }
      timers.add(timer)
      return () => {
        timers.delete(timer)
      }
    },
    async advance(ms) {
      const target = now + ms
      const failures: unknown[] = []
      for (let timer = firstDue(timers, target); timer; timer = firstDue(timers, target)) {
        now = Math.max(now, timer.dueAt)
        timer.dueAt += timer.ms
        await run(timer, failures)
      }
      now = Math.max(now, target)
      if (failures.length > 0) throw failures[0]
    },
  }
}

/** Of timers due at the same time, the one that was set first: a Set keeps that order. */
function firstDue(timers: ReadonlySet<Timer>, target: number): Timer | undefined {
  let first: Timer | undefined
  for (const timer of timers) if (timer.dueAt <= target && (!first || timer.dueAt < first.dueAt)) first = timer
  return first
}

async function run(timer: Timer, failures: unknown[]): Promise<void> {
  if (timer.isRunning) return
  timer.isRunning = true
  try {
    await timer.tick()
  } catch (error) {
    failures.push(error)
  } finally {
    timer.isRunning = false
  }
}
