import { WAITING_STATES } from '../task-silence.ts'
import { labelOf } from '../metric-label.ts'
import type { CounterRow, TaskRow } from './store.ts'

/** In SQL: written out, not bound, so that an index of some states can be used. */
export const IS_WAITING = `state IN (${WAITING_STATES.map((state) => `'${state}'`).join(', ')})`
/** Of a row that goes, what `forgotten` wants: null where its end is known. */
export const FORGOTTEN_ROW = `CASE WHEN ${IS_WAITING} THEN row END AS row`

/** Without `_total`. Lives in the ledger, as those of counting.ts do. */
export const FORGOTTEN_COUNTER = 'afterspan_tasks_forgotten'

/** What open tasks that go add to the counter, by where they were sent. */
export function forgotten(tasks: readonly Pick<TaskRow, 'facts'>[]): CounterRow[] {
  const counts = new Map<string, CounterRow & { value: number }>()
  for (const { facts } of tasks) {
    const system = labelOf(facts.description?.system ?? '')
    const destination = labelOf(facts.description?.destination ?? '')
    const key = `${system.length}.${system}${destination}`
    const known = counts.get(key)
    if (known) known.value++
    else counts.set(key, { name: FORGOTTEN_COUNTER, labels: { system, destination }, value: 1 })
  }
  return [...counts.values()]
}
