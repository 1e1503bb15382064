import type { CounterRow, TaskRow } from './store.ts'

/** Without `_total`. Lives in the ledger, as those of counting.ts do. */
export const FORGOTTEN_COUNTER = 'afterspan_tasks_forgotten'

/** What open tasks that go add to the counter, by where they were sent; from the rows as they are stored. */
export function forgotten(rows: readonly (string | null)[]): CounterRow[] {
  const counts = new Map<string, CounterRow & { value: number }>()
  for (const row of rows) {
    if (row === null) continue
    const { system = '', destination = '' } = (JSON.parse(row) as TaskRow).facts.description ?? {}
    const key = `${system.length}.${system}${destination}`
    const known = counts.get(key)
    if (known) known.value++
    else counts.set(key, { name: FORGOTTEN_COUNTER, labels: { system, destination }, value: 1 })
  }
  return [...counts.values()]
}
