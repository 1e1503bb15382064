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
  /** So many of one kind, failure and route at once; the rest is of the newest. Absent: one. */
  readonly count?: number
  /** Of whose process it is told, where that has died and another tells it. */
  readonly service?: string
  /** Of `health_changed` alone. */
  readonly health?: HealthChange
}
