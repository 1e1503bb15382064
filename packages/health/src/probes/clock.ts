import type { HealthProbe, ProbeResult } from '@afterspan/core/internal'

const INTERVAL_MS = 5000
/** Slewing by a time service stays far below this in one interval. */
const STEP_MS = 1000

/** Warns when the clock on the wall was set, or the machine was asleep, since the last round: tokens, caches and times of locks are then off. */
export function clockProbe(wall = Date.now, monotonic = () => performance.now()): HealthProbe {
  let offset: number | undefined
  return {
    name: 'clock',
    component: 'system',
    criticality: 'optional',
    intervalMs: INTERVAL_MS,
    async check() {
      const now = wall() - monotonic()
      const step = offset === undefined ? 0 : now - offset
      offset = now
      return judgeStep(step)
    },
  }
}

/** What a change between the two clocks means. Pure. */
export function judgeStep(stepMs: number): ProbeResult {
  const observed = { step: { value: Math.round(stepMs), unit: 'ms' } }
  if (Math.abs(stepMs) < STEP_MS) return { status: 'pass', observed }
  return {
    status: 'warn',
    code: 'clock_stepped',
    cause: 'self_recoverable',
    reason: `the clock went ${stepMs > 0 ? 'forward' : 'back'} by ${Math.round(Math.abs(stepMs))} ms`,
    observed,
  }
}
