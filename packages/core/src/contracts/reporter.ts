import type { HealthChange } from './probe.ts'
import type { EpochMs, TaskFailure, TaskId, TraceRef } from './task.ts'

/** Where crashes, failed and lost tasks and health changes are told: OTLP, webhook, Sentry, a callback. Never on the request's path. */
export interface Reporter {
  readonly name: string
  report(incident: Incident): Promise<void>
}
export interface Incident {
  readonly kind: 'crash' | 'handler_error' | 'task_failed' | 'task_lost' | 'health_changed'
  readonly at: EpochMs
  readonly trace?: TraceRef
  readonly route?: string
  readonly failure?: TaskFailure
  readonly taskId?: TaskId
  /** Of `health_changed` alone. */
  readonly health?: HealthChange
}
