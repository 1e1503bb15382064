// What is too old or too much goes. A day of which nothing is needed any more is dropped as a table.
import type { EpochMs } from '@afterspan/core/internal'
import type { Query } from './postgres-rows.ts'
import { partitionOf } from './postgres-schema.ts'

const BATCH = 1_000
/** Indexes, page headers and dead rows come to about as much again as the rows: an estimate, since no engine tells the size of what is alive. */
const OVERHEAD = 2

export async function prunePostgres(
  query: Query,
  { before, maxBytes }: { readonly before: EpochMs; readonly maxBytes: number },
  today: string,
): Promise<number> {
  const count = async (text: string, values: readonly unknown[]): Promise<number> =>
    Number((await query(`WITH gone AS (${text} RETURNING 1) SELECT count(*) AS n FROM gone`, values))[0]!['n'])
  let removed = await count('DELETE FROM afterspan.task WHERE settled_at < $1', [before])
  await query(
    'DELETE FROM afterspan.request r WHERE at < $1 AND NOT EXISTS (SELECT 1 FROM afterspan.task WHERE request_key = r.key)',
    [before],
  )
  await query('DELETE FROM afterspan.process WHERE dead_at < $1', [before])
  await query(
    'DELETE FROM afterspan.joined j WHERE NOT EXISTS (SELECT 1 FROM afterspan.task WHERE task_id = j.task_id)',
  )
  const size = async (): Promise<number> => {
    const [row] = await query('SELECT coalesce(sum(octet_length(row)), 0) AS n FROM afterspan.task')
    return Number(row!['n']) * OVERHEAD
  }
  let bytes = await size()
  for (const states of [
    ['succeeded', 'cancelled'],
    ['failed', 'lost'],
  ]) {
    while (bytes > maxBytes) {
      const [gone] = await query(
        `WITH gone AS (
           DELETE FROM afterspan.task WHERE (task_id, day) IN
             (SELECT task_id, day FROM afterspan.task WHERE state = ANY($1) ORDER BY spawned_at LIMIT ${BATCH})
           RETURNING octet_length(row) AS bytes)
         SELECT count(*) AS n, coalesce(sum(bytes), 0) AS bytes FROM gone`,
        [states],
      )
      if (Number(gone!['n']) === 0) break
      removed += Number(gone!['n'])
      bytes -= Number(gone!['bytes']) * OVERHEAD
      await query(
        'DELETE FROM afterspan.request r WHERE NOT EXISTS (SELECT 1 FROM afterspan.task WHERE request_key = r.key)',
      )
    }
  }
  await dropEmptyDays(query, today)
  return removed
}

async function dropEmptyDays(query: Query, today: string): Promise<void> {
  const days = await query(
    `SELECT c.relname AS name FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid WHERE i.inhparent = 'afterspan.task'::regclass`,
  )
  for (const { name } of days) {
    const table = `afterspan.${String(name)}`
    if (table === partitionOf(today) || !/^afterspan\.task_\d{8}$/.test(table)) continue
    const [some] = await query(`SELECT 1 FROM ${table} LIMIT 1`)
    if (!some) await query(`DROP TABLE ${table}`)
  }
}
