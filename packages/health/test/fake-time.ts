import type { Clock, EpochMs } from '@afterspan/core/internal'
import type { Timer } from '../src/timer.ts'

export interface FakeTime {
  readonly clock: Clock
  readonly timer: Timer
  /** Moves the time, running what falls due, in order; promises settle in between. */
  advance(ms: number): Promise<void>
  /** Time passes and nothing runs, as when the event loop is blocked; what fell due runs afterwards, late. */
  block(ms: number): Promise<void>
  /** Waits that are pending. */
  readonly pending: number
}

/** One time for `every` and `after`. */
export function fakeTime(startAt = Date.UTC(2026, 0, 1)): FakeTime {
  const waits = new Set<{ dueAt: number; readonly run: () => void }>()
  let now = 0
  const after: Timer['after'] = (ms, run) => {
    const wait = { dueAt: now + ms, run }
    waits.add(wait)
    return () => {
      waits.delete(wait)
    }
  }
  const every: Clock['every'] = (ms, tick) => {
    let cancel = (): void => {}
    const again = (): void => {
      cancel = after(ms, () => {
        void tick()
        again()
      })
    }
    again()
    return () => cancel()
  }
  const advance = async (ms: number): Promise<void> => {
    const target = now + ms
    await settled()
    for (;;) {
      const next = [...waits].filter((wait) => wait.dueAt <= target).sort((a, b) => a.dueAt - b.dueAt)[0]
      if (!next) break
      waits.delete(next)
      now = Math.max(now, next.dueAt)
      next.run()
      await settled()
    }
    now = target
  }
  return {
    clock: { now: () => (startAt + now) as EpochMs, monotonicMs: () => now, every },
    timer: { after },
    advance,
    block(ms) {
      now += ms
      return advance(0)
    },
    get pending() {
      return waits.size
    },
  }
}

/** All promises that can settle without time have settled. */
export function settled(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve))
}

/** An error of the engine itself fails the test. */
export function onError(error: unknown): never {
  throw error
}
