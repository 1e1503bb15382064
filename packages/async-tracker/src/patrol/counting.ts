import type { EffectiveOutcome, RequestAnswered, TaskReason, TaskState } from '@afterspan/core/internal'
import type { CounterRow } from '../ledger/store.ts'
import { labelOf } from '../metric-label.ts'
import type { TaskFacts } from '../task-facts.ts'
import { OPEN_STATES, type DerivedState } from '../task-state.ts'

/** Names of the patrol's counters, without `_total`. They live in the ledger, so that a new patrol goes on from the same value. */
export const TASKS_COUNTER = 'afterspan_tasks'
export const REQUESTS_COUNTER = 'afterspan_requests_effective'

/** Where tasks are sent, of which each has counters of its own. An app may name each task differently: beyond so many they are counted together. */
const MOST_KINDS = 500
export const OTHERS = '_OTHER'

/** By what a counter of tasks is one of a kind. */
export function kindOf({ system = '', destination = '' }: CounterRow['labels']): string {
  return keyOf(system, destination)
}

/** What a batch adds, each counter once. */
export class Counting {
  readonly #kinds: ReadonlySet<string>
  readonly #fresh = new Set<string>()
  readonly #rows = new Map<string, CounterRow & { value: number }>()
  readonly #born = new Set<string>()
  /** Most that is read at one time is of one kind. */
  #last = { one: '', other: '', kind: keyOf('', '') }

  /** `kinds`: those that have counters already. */
  constructor(kinds: ReadonlySet<string> = new Set()) {
    this.#kinds = kinds
  }

  rows(): CounterRow[] {
    return [...this.#rows.values()]
  }

  /** A task that has settled, or has settled anew: lost and then succeeded counts as both. */
  task({ description }: TaskFacts, before: DerivedState | undefined, now: DerivedState): void {
    const system = labelOf(description?.system ?? '')
    const destination = this.#placeOf(system, labelOf(description?.destination ?? ''))
    const kind = this.#kindOf(system, destination)
    const add = (state: TaskState, reason: TaskReason | '', value: number): void => {
      this.#add(`${kind}\0${state}\0${reason}`, value, TASKS_COUNTER, () => ({ system, destination, state, reason }))
    }
    if (!before && !this.#born.has(kind)) {
      this.#born.add(kind)
      // Born at 0: a counter born at 1 has no increase(), so the first loss would never alert.
      add('lost', 'process_killed', 0)
      add('failed', 'retries_exhausted', 0)
      add('succeeded', '', 0)
    }
    if (OPEN_STATES.has(now.state)) return
    // Lost again is counted again; an earlier end of the same kind that is read later is no second one.
    if (before && before.state === now.state && (now.state !== 'lost' || before.settledAt === now.settledAt)) return
    add(now.state, now.reason ?? '', 1)
  }

  request({ route: whole = '', method }: RequestAnswered, outcome: EffectiveOutcome): void {
    const route = labelOf(whole)
    const kind = this.#kindOf(route, method)
    const add = (word: EffectiveOutcome, value: number): void => {
      const labels = (): CounterRow['labels'] => ({ http_route: route, http_request_method: method, outcome: word })
      this.#add(`${kind}\0${word}`, value, REQUESTS_COUNTER, labels)
    }
    add('false_success', 0)
    add('recovered', 0)
    add(outcome, 1)
  }

  #placeOf(system: string, destination: string): string {
    const kind = this.#kindOf(system, destination)
    if (this.#kinds.has(kind) || this.#fresh.has(kind)) return destination
    if (this.#kinds.size + this.#fresh.size >= MOST_KINDS) return OTHERS
    this.#fresh.add(kind)
    return destination
  }

  #kindOf(one: string, other: string): string {
    if (this.#last.one !== one || this.#last.other !== other) this.#last = { one, other, kind: keyOf(one, other) }
    return this.#last.kind
  }

  #add(key: string, value: number, name: string, labels: () => CounterRow['labels']): void {
    const row = this.#rows.get(key)
    if (row) row.value += value
    else this.#rows.set(key, { name, labels: labels(), value })
  }
}

/** The lengths in front: either may contain whatever it likes. */
function keyOf(one: string, other: string): string {
  return `${one.length}.${other.length}.${one}${other}`
}
