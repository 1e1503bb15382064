import type { HealthProbe, ProbeResult } from '@afterspan/core/internal'

const INTERVAL_MS = 5000

export interface OldestRequest {
  readonly count: number
  readonly ageMs: number
  readonly traceId: string
}

/** Tells the oldest request that has no answer yet; warns where it is older than `limitMs`, 0 for never: a stream or a long poll is old and well. */
export function requestsProbe(oldest: () => OldestRequest | undefined, limitMs: number): HealthProbe {
  return {
    name: 'requests',
    component: 'system',
    criticality: 'optional',
    intervalMs: INTERVAL_MS,
    check: async () => judgeRequests(oldest(), limitMs),
  }
}

/** Pure. */
export function judgeRequests(oldest: OldestRequest | undefined, limitMs: number): ProbeResult {
  if (!oldest) return { status: 'pass', observed: { inFlight: { value: 0, unit: 'count' } } }
  const { count, ageMs, traceId } = oldest
  const observed = {
    inFlight: { value: count, unit: 'count' },
    oldest: { value: Math.round(ageMs), unit: 'ms' },
    oldestTrace: { value: traceId },
  }
  if (limitMs === 0 || ageMs < limitMs) return { status: 'pass', observed }
  return {
    status: 'warn',
    code: 'request_overdue',
    cause: 'self_recoverable',
    reason: `a request has waited ${Math.round(ageMs)} ms for its answer`,
    observed,
  }
}
