// Whether a request kept what it promised. Pure: what is known of the request and of its tasks in, what is to be counted out.
import { effectiveOutcome, type EffectiveOutcome, type RequestAnswered, type TaskState } from '@afterspan/core/internal'
import { BAD_STATES, OPEN_STATES } from './task-state.ts'

export interface RequestTally {
  readonly answered?: Pick<RequestAnswered, 'hasFailed' | 'outcome' | 'promised' | 'status'>
  /** What it was counted as already; 'own': by its own process, before it promised anything. */
  readonly counted?: EffectiveOutcome | 'own'
  readonly isRecovered: boolean
}

/**
 * What to count now; undefined: nothing yet. `states` are those of all its tasks, `direct` is how many of them it promised itself.
 * `kept` waits for the last promise that is known, `false_success` comes with the first bad end: also after `kept`, of work that showed up later.
 */
export function judgeRequest(
  request: RequestTally,
  states: readonly TaskState[],
  direct: number,
): EffectiveOutcome | undefined {
  const { answered, counted, isRecovered } = request
  if (!answered) return undefined
  const isBroken = states.some((state) => BAD_STATES.has(state))
  if (counted === undefined || counted === 'own') {
    const own = effectiveOutcome(answered)
    if (own !== 'kept') return counted === 'own' ? undefined : own
    if (isBroken) return 'false_success'
    if (counted === 'own') return undefined
    const isComplete = direct >= answered.promised && !states.some((state) => OPEN_STATES.has(state))
    return isComplete ? 'kept' : undefined
  }
  if (counted === 'kept') return isBroken ? 'false_success' : undefined
  if (counted !== 'false_success' || isRecovered || isBroken) return undefined
  return states.some((state) => OPEN_STATES.has(state)) ? undefined : 'recovered'
}
