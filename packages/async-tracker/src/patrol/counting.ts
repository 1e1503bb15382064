import type { EffectiveOutcome, RequestAnswered, TaskReason, TaskState } from '@afterspan/core/internal'
import type { CounterRow } from '../ledger/store.ts'
import type { TaskFacts } from '../task-facts.ts'
import { OPEN_STATES, type DerivedState } from '../task-state.ts'

/** Names of the patrol's counters, without `_total`. They live in the ledger, so that a new patrol goes on from the same value. */
export const TASKS_COUNTER = 'afterspan_tasks'
export const REQUESTS_COUNTER = 'afterspan_requests_effective'

type Counters = Map<string, CounterRow>

function add(counters: Counters, name: string, labels: Readonly<Record<string, string>>, value: number): void {
  const key = `${name} ${JSON.stringify(labels)}`
  counters.set(key, { name, labels, value: (counters.get(key)?.value ?? 0) + value })
}

/** A task that has settled, or has settled anew: lost and then succeeded counts as both. */
export function countTask(
  counters: Counters,
  { description }: TaskFacts,
  before: DerivedState | undefined,
  now: DerivedState,
): void {
  const { system = '', destination = '' } = description ?? {}
  const labels = (state: TaskState, reason: TaskReason | undefined): Record<string, string> => ({
    system,
    destination,
    state,
    reason: reason ?? '',
  })
  if (!before) {
    // Born at 0: a counter born at 1 has no increase(), so the first loss would never alert.
    add(counters, TASKS_COUNTER, labels('lost', 'process_killed'), 0)
    add(counters, TASKS_COUNTER, labels('failed', 'retries_exhausted'), 0)
    add(counters, TASKS_COUNTER, labels('succeeded', undefined), 0)
  }
  if (OPEN_STATES.has(now.state)) return
  // Lost again is counted again; an earlier end of the same kind that is read later is no second one.
  if (before && before.state === now.state && (now.state !== 'lost' || before.settledAt === now.settledAt)) return
  add(counters, TASKS_COUNTER, labels(now.state, now.reason), 1)
}

export function countRequest(
  counters: Counters,
  { route = '', method }: RequestAnswered,
  outcome: EffectiveOutcome,
): void {
  const labels = (word: EffectiveOutcome): Record<string, string> => ({
    http_route: route,
    http_request_method: method,
    outcome: word,
  })
  add(counters, REQUESTS_COUNTER, labels('false_success'), 0)
  add(counters, REQUESTS_COUNTER, labels('recovered'), 0)
  add(counters, REQUESTS_COUNTER, labels(outcome), 1)
}
