import type { EpochMs } from '@afterspan/core/internal'
import type { CheckState, HealthSnapshot } from '../src/snapshot.ts'

/** A check that passes, with what the test changes. */
export function checkState(given: Partial<CheckState> & { readonly name: string }): CheckState {
  return { component: 'component', required: true, status: 'pass', abandoned: 0, ...given }
}

/** The same before its first result. */
export function unanswered(given: Partial<CheckState> & { readonly name: string }): CheckState {
  const { status: _, ...rest } = checkState(given)
  return rest
}

export function snapshotOf(checks: readonly CheckState[], started = true): HealthSnapshot {
  return { at: 1_767_225_600_000 as EpochMs, everyMs: 2000, started, checks }
}
