import type { EffectiveOutcome, TraceRef } from '../contracts/task.ts'

/** Requests that ended within the same second, and are not in the counter yet: a promise that is made right after the response takes its request out again, and the patrol counts it. The requests themselves are not kept. */
export interface PendingCounts {
  readonly since: number
  readonly entries: Map<string, PendingEntry>
  /** The one that was counted last: the next request is mostly of its kind, and needs no key to be built. */
  last?: PendingEntry
  isCounted: boolean
}
export interface PendingEntry {
  readonly route: string
  readonly method: string
  readonly outcome: EffectiveOutcome
  requests: number
  /** Of the newest of them. */
  trace: TraceRef
}
