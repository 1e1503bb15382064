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
  /** optional: at most 'warn', also when it hangs. */
  readonly criticality: 'required' | 'optional'
  readonly groups?: readonly string[]
  readonly timeoutMs?: number
  readonly intervalMs?: number
  readonly rise?: number
  readonly fall?: number
  /** Throwing is 'fail'; the runner converts, so probes need no try/catch. */
  check(signal: AbortSignal): Promise<ProbeResult>
}
