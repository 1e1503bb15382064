export interface TaskScope {
  /** Aborts at the deadline. */
  readonly signal: AbortSignal
  /** Says that the work is alive; progress is a number from 0 to 1. */
  heartbeat(progress?: number): void
}
export interface TaskOptions {
  readonly deadlineMs?: number
  readonly attributes?: Readonly<Record<string, string | number | boolean>>
}
