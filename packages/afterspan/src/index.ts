// The public names of Afterspan, listed one by one. Each works without the preload too: then nothing is recorded.
export {
  health,
  httpProbe,
  registerProbe,
  type HealthGroup,
  type Heartbeat,
  type HeartbeatOptions,
  type HttpProbeOptions,
} from '@afterspan/health'
export { metricsHandler, onReport, openTask, runTask, safeHandler, track, AfterspanError } from '@afterspan/core'
export { tasks } from '@afterspan/async-tracker'
export type {
  HealthChange,
  HealthEvidence,
  HealthProbe,
  Incident,
  OpenTask,
  ProbeResult,
  ProbeStatus,
  Receipt,
  TaskOptions,
  TaskRecord,
  TaskScope,
  TaskState,
} from '@afterspan/core'
