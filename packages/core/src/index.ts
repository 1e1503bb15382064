// The public names of @afterspan/core. They work without the preload too: then nothing is recorded.
export { AfterspanError, ERROR_CODES, type ErrorCode } from './errors.ts'
export { openTask, type OpenTask } from './tasks/open-task.ts'
export { runTask, track } from './tasks/run-task.ts'
export { metricsHandler } from './admin/metrics-handler.ts'
export { safeHandler } from './guard/handlers.ts'
export { onReport } from './reporters/on-report.ts'
export type { TaskOptions, TaskScope } from './tasks/scope.ts'
export type { AttemptInfo, Carrier, Integration, TaskDraft, TaskKit } from './contracts/integration.ts'
export type { Cause, HealthChange, HealthEvidence, HealthProbe, ProbeResult, ProbeStatus } from './contracts/probe.ts'
export type { Incident, Reporter } from './contracts/reporter.ts'
export type {
  AttemptRecord,
  EffectiveOutcome,
  EpochMs,
  Evidence,
  Receipt,
  TaskFailure,
  TaskFlags,
  TaskId,
  TaskReason,
  TaskRecord,
  TaskState,
  TraceRef,
  WorkerRef,
} from './contracts/task.ts'
