import { monitorEventLoopDelay, performance, type EventLoopUtilization, type IntervalHistogram } from 'node:perf_hooks'
import type { HealthProbe, ProbeResult } from '@afterspan/core/internal'

const INTERVAL_MS = 5000
/** Node's histogram has the time between two ticks of its timer, so that much of each value is no delay. */
const RESOLUTION_MS = 50
/** Delay beyond this at the 99th percentile of a window is what callers notice. */
const DELAY_MS = 500
const SATURATED = 0.95

export interface LoopWindow {
  readonly p99Ms: number
  readonly maxMs: number
  /** Share of the window in which the loop was busy, 0 to 1. */
  readonly utilization: number
}

/** Warns when the event loop was late or saturated since the last round. Never fails: a busy process does not get better by being taken out. */
export function eventLoopProbe(sample: () => LoopWindow = loopSampler()): HealthProbe {
  return {
    name: 'event-loop',
    component: 'system',
    criticality: 'optional',
    intervalMs: INTERVAL_MS,
    check: async () => judgeLoop(sample()),
  }
}

/** What a window means. Pure. */
export function judgeLoop(window: LoopWindow): ProbeResult {
  const observed = {
    utilization: { value: round(window.utilization, 3) },
    delayP99: { value: round(window.p99Ms, 1), unit: 'ms' },
    delayMax: { value: round(window.maxMs, 1), unit: 'ms' },
  }
  if (window.p99Ms >= DELAY_MS)
    return {
      status: 'warn',
      code: 'event_loop_delay',
      cause: 'self_recoverable',
      reason: `the event loop was ${Math.round(window.p99Ms)} ms late at the 99th percentile`,
      observed,
    }
  if (window.utilization >= SATURATED)
    return {
      status: 'warn',
      code: 'event_loop_saturated',
      cause: 'self_recoverable',
      reason: `the event loop was busy for ${Math.round(window.utilization * 100)} % of the time`,
      observed,
    }
  return { status: 'pass', observed }
}

/** Starts to measure at the first round, so that start-up pays nothing. */
function loopSampler(): () => LoopWindow {
  let delay: IntervalHistogram | undefined
  let before: EventLoopUtilization | undefined
  return () => {
    if (!delay) {
      delay = monitorEventLoopDelay({ resolution: RESOLUTION_MS })
      delay.enable()
    }
    const now = performance.eventLoopUtilization()
    const utilization = before ? performance.eventLoopUtilization(now, before).utilization : 0
    before = now
    const late = (nanos: number): number => Math.max(0, nanos / 1e6 - RESOLUTION_MS)
    const window =
      delay.count === 0 ? { p99Ms: 0, maxMs: 0 } : { p99Ms: late(delay.percentile(99)), maxMs: late(delay.max) }
    delay.reset()
    return { ...window, utilization }
  }
}

function round(value: number, digits: number): number {
  return Math.round(value * 10 ** digits) / 10 ** digits
}
