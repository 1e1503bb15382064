import type { EpochMs, TraceRef } from './task.ts'

/** The words of draft-inadarei-api-health-check. */
export type ProbeStatus = 'pass' | 'warn' | 'fail'
/** Would a restart of this process help? Only 'self_wedged' may turn /livez. */
export type Cause = 'dependency' | 'self_recoverable' | 'self_wedged'
export interface ProbeResult {
  readonly status: ProbeStatus
  readonly cause?: Cause
  /** A word from a fixed table: 'timeout', 'read_only', '53300' ... Public, so never a driver's own text. */
  readonly code?: string
  /** For the authorised body; scrubbed of hosts, users and connection strings. */
  readonly reason?: string
  readonly observed?: Readonly<Record<string, { readonly value: number | string | boolean; readonly unit?: string }>>
}
export interface HealthProbe {
  /** 'orders-db'. */
  readonly name: string
  /** 'postgresql'. */
  readonly component: string
  /** required: /readyz follows it. optional: at most 'warn', also when it hangs. Default: 'required'. */
  readonly criticality?: 'required' | 'optional'
  /** Names under which several checks are asked together: /readyz/<group>, /health/<group>. */
  readonly groups?: readonly string[]
  /** Milliseconds that one check may take, 10 to 60000; then it has failed. Default: AFTERSPAN_HEALTH_TIMEOUT. */
  readonly timeoutMs?: number
  /** Milliseconds between two checks while all is calm, 100 to 3600000. Default: AFTERSPAN_HEALTH_INTERVAL. */
  readonly intervalMs?: number
  /** Good results in a row until a bad status improves. Default: 2. */
  readonly rise?: number
  /** Fails in a row until the status is fail. Default: 1. */
  readonly fall?: number
  /** Throwing is 'fail'; the runner converts, so probes need no try/catch. */
  check(signal: AbortSignal): Promise<ProbeResult>
}

/** Work of the app's own that met with the trouble, or that went well again. */
export interface HealthEvidence {
  /** The request; work that belongs to none is named by its own span. */
  readonly trace: TraceRef
  readonly route?: string
  /** Its `error.type`. */
  readonly error?: string
  /** It had no answer yet, for so long. */
  readonly waitingMs?: number
}

/** The status of one check has become another one, after dampening. */
export interface HealthChange {
  readonly name: string
  readonly component: string
  readonly required: boolean
  /** Absent: the first result of all, and it was no pass. */
  readonly from?: ProbeStatus
  /** As it counts for the whole: of an optional check at most warn. */
  readonly to: ProbeStatus
  /** Of the result that changed it; the reason is scrubbed of hosts, users and addresses. */
  readonly code?: string
  readonly reason?: string
  /** Of the status that it leaves. */
  readonly previousCode?: string
  readonly cause?: Cause
  /** What the probe measured when it turned. */
  readonly observed?: NonNullable<ProbeResult['observed']>
  readonly at: EpochMs
  /** When the status that it leaves began. */
  readonly since?: EpochMs
  /** `file:line` of the code that made the client. */
  readonly madeAt?: string
  /** At most eight, failed work before work that waits. */
  readonly evidence?: readonly HealthEvidence[]
  /** The span that tells of the change. */
  readonly trace?: TraceRef
}
