import type { HealthProbe, ProbeResult } from '@afterspan/core/internal'
import { registerProbe } from './register-probe.ts'

/** A loop in the background that says that it goes on. */
export interface Heartbeat {
  /** Called once each round. Costs an addition. */
  beat(): void
  /** The loop has ended as it should: it is no check any more. Harmless twice. */
  stop(): void
}
export interface HeartbeatOptions {
  /** Milliseconds between two beats while all is well. After twice as long without one the check fails. */
  readonly everyMs: number
  /** Default: 'required'. */
  readonly criticality?: HealthProbe['criticality']
  readonly groups?: readonly string[]
  /** true: a loop that has stopped does not come back by itself, and a restart brings it back: then /livez is 503 too. Default: false. */
  readonly restartHelps?: boolean
}

/**
 * A check of a loop that nobody calls and that answers nobody: a poller, a scheduler, a consumer. It counts from this call on. Time in which
 * the whole process stood still, or its main thread was blocked, is not held against the loop. Without the preload it does nothing.
 */
export function heartbeat(name: string, options: HeartbeatOptions): Heartbeat {
  const everyMs = Math.max(1, options.everyMs)
  const intervalMs = Math.min(10_000, Math.max(100, everyMs / 4))
  let beats = 0
  let seen = 0
  let silentMs = 0
  let lookedAt = performance.now()
  const stop = registerProbe({
    name,
    component: 'loop',
    criticality: options.criticality ?? 'required',
    intervalMs,
    ...(options.groups ? { groups: options.groups } : {}),
    async check() {
      const now = performance.now()
      silentMs = beats === seen ? silentMs + Math.min(now - lookedAt, 2 * intervalMs) : 0
      lookedAt = now
      seen = beats
      return judgeHeartbeat({ beats, silentMs, everyMs, restartHelps: options.restartHelps === true })
    },
  })
  return {
    beat() {
      beats++
    },
    stop,
  }
}

/** Pure. */
export function judgeHeartbeat(given: {
  readonly beats: number
  readonly silentMs: number
  readonly everyMs: number
  readonly restartHelps: boolean
}): ProbeResult {
  const { beats, silentMs, everyMs, restartHelps } = given
  const observed = {
    beats: { value: beats, unit: 'count' },
    silent: { value: Math.round(silentMs), unit: 'ms' },
    every: { value: everyMs, unit: 'ms' },
  }
  if (silentMs <= 2 * everyMs) return { status: 'pass', observed }
  return {
    status: 'fail',
    code: 'heartbeat_missed',
    cause: restartHelps ? 'self_wedged' : 'self_recoverable',
    reason: `no beat for ${Math.round(silentMs)} ms; one was to come every ${everyMs} ms`,
    observed,
  }
}
