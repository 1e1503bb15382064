import type { EpochMs, ProbeStatus } from '@afterspan/core/internal'

export interface DampeningRules {
  /** Results in a row, each better than the status, until it improves. */
  readonly rise: number
  /** Fails in a row until the status is fail. 1: what a probe calls a fail is hard evidence. */
  readonly fall: number
  /** Warns or fails in a row until the status is warn: what only warns is soft evidence. */
  readonly fallToWarn: number
  /** How long a bad status stays at least, so that nobody sees it flap. Bad news never waits. */
  readonly dwellMs: number
}
export const DEFAULT_RULES: DampeningRules = { rise: 2, fall: 1, fallToWarn: 2, dwellMs: 1000 }

export interface Dampened {
  readonly status: ProbeStatus
  readonly since: EpochMs
  /** Results in a row that were at least this bad, and at most this bad. */
  readonly fails: number
  readonly warns: number
  readonly passes: number
  readonly notFails: number
}

/** The next status after one more result. The first result counts at once. Pure. */
export function dampen(
  before: Dampened | undefined,
  result: ProbeStatus,
  at: EpochMs,
  rules: DampeningRules = DEFAULT_RULES,
): Dampened {
  const runs = {
    fails: result === 'fail' ? (before?.fails ?? 0) + 1 : 0,
    warns: result === 'pass' ? 0 : (before?.warns ?? 0) + 1,
    passes: result === 'pass' ? (before?.passes ?? 0) + 1 : 0,
    notFails: result === 'fail' ? 0 : (before?.notFails ?? 0) + 1,
  }
  const status = before ? next(before, runs, at, rules) : result
  return { status, since: before && before.status === status ? before.since : at, ...runs }
}

type Runs = Pick<Dampened, 'fails' | 'warns' | 'passes' | 'notFails'>

function next(before: Dampened, runs: Runs, at: EpochMs, rules: DampeningRules): ProbeStatus {
  if (before.status !== 'fail' && runs.fails >= rules.fall) return 'fail'
  if (before.status === 'pass') return runs.warns >= rules.fallToWarn ? 'warn' : 'pass'
  // A wall clock that was set back must not freeze a status: any time that cannot be counts as long enough.
  const stayed = at - before.since
  if (stayed >= 0 && stayed < rules.dwellMs) return before.status
  if (runs.passes >= rules.rise) return 'pass'
  return before.status === 'fail' && runs.notFails >= rules.rise ? 'warn' : before.status
}
