import type { EpochMs } from '@afterspan/core/internal'
import type { DropReason } from './outbox.ts'

export interface PatrolTotals {
  torn: number
  /** Whole records that could not be understood. */
  strange: number
  /** Writers whose journal does not say who they are. */
  nameless: number
  readonly undelivered: Record<DropReason, number>
  lastRunAt: EpochMs
  /** The same on the monotonic clock: what is counted from it must not jump with the wall's. */
  sweptAtMs: number
  /** Seconds from the last sign of life to the proof of death, not yet taken by the metrics; at most 1,000. */
  detectionSeconds: number[]
}

export function noTotals(): PatrolTotals {
  return {
    torn: 0,
    strange: 0,
    nameless: 0,
    undelivered: { refused: 0, outbox_full: 0, spool_full: 0 },
    lastRunAt: 0 as EpochMs,
    sweptAtMs: -Infinity,
    detectionSeconds: [],
  }
}
