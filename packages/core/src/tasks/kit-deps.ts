import type { Tracer } from '@opentelemetry/api'
import type { EpochMs } from '../contracts/task.ts'

/** What the kit is made of. */
export interface KitDeps {
  readonly tracer: () => Tracer
  readonly now: () => EpochMs
  /** What went wrong inside the kit: counted and said by whoever made it. */
  readonly onError: (error: unknown) => void
}
