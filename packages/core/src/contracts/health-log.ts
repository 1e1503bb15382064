import type { HealthChange } from './probe.ts'

/** Where changes of health are kept so that they survive the process. Must not throw; called once for each change. */
export interface HealthLog {
  add(change: HealthChange): void
}
