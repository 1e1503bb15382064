import type { ProbeStatus } from '@afterspan/core/internal'
import { isOfTheDependency } from './fleet.ts'
import type { CheckState, HealthSnapshot } from './snapshot.ts'

export type Endpoint = 'health' | 'readyz' | 'startupz'

export interface JudgedCheck {
  readonly state: CheckState
  /** What the check means for the whole: an optional one is at most warn. Absent while nothing is known. */
  readonly status: ProbeStatus | undefined
  readonly excluded: boolean
}
export interface Verdict {
  /** 200 or 503. */
  readonly ok: boolean
  readonly status: ProbeStatus
  /** Why it is 503 although no check says so. */
  readonly code?: 'draining' | 'starting' | 'stale'
  readonly checks: readonly JudgedCheck[]
}

/** What one endpoint says of a snapshot; without one, of a process that has said nothing yet. Pure. */
export function judge(
  endpoint: Endpoint,
  snapshot: HealthSnapshot | undefined,
  given: { readonly stale?: boolean; readonly exclude?: ReadonlySet<string> } = {},
): Verdict {
  const checks = (snapshot?.checks ?? []).map((state): JudgedCheck => ({
    state,
    status: effectiveStatus(state),
    excluded: given.exclude?.has(state.name) ?? false,
  }))
  const starting: Verdict = { ok: false, status: 'fail', code: 'starting', checks }
  if (endpoint === 'startupz') {
    // Here a check matters only until it has answered, whatever it answered.
    if (snapshot?.started) return { ok: true, status: 'pass', checks: [] }
    return { ...starting, checks: checks.filter((check) => check.state.required && check.status === undefined) }
  }
  // Whatever the checks say: whoever balances the load is to look elsewhere.
  if (snapshot?.draining) return { ok: false, status: 'fail', code: 'draining', checks }
  // A stalled main thread cannot vouch for anything, whatever was true when it last spoke.
  if (given.stale) return { ok: false, status: 'fail', code: 'stale', checks }
  if (!snapshot?.started) return starting
  const counted = checks.filter((check) => !check.excluded)
  const status = worst(counted.map((check) => check.status))
  return { ok: status !== 'fail', status, checks }
}

/** The snapshot of one group's checks alone; undefined where nothing belongs to it. */
export function groupOf(snapshot: HealthSnapshot | undefined, name: string): HealthSnapshot | undefined {
  const checks = snapshot?.checks.filter((check) => check.groups?.includes(name)) ?? []
  return snapshot && checks.length > 0 ? { ...snapshot, checks } : undefined
}

/**
 * An optional check is at most warn, also when it hangs: a timeout comes here as a fail like any other. So is a required one whose
 * dependency is shared, where the policy is to stay in the load balancer.
 */
export function effectiveStatus(state: CheckState): ProbeStatus | undefined {
  if (state.status !== 'fail' || (state.required && !(state.isOpen && isOfTheDependency(state)))) return state.status
  return 'warn'
}

/** Each required check has had a result, good or bad: from then on the process is up, and what it says is known. */
export function allAnswered(checks: readonly CheckState[]): boolean {
  return checks.every((check) => !check.required || check.status !== undefined)
}

function worst(statuses: readonly (ProbeStatus | undefined)[]): ProbeStatus {
  if (statuses.includes('fail')) return 'fail'
  return statuses.includes('warn') ? 'warn' : 'pass'
}
