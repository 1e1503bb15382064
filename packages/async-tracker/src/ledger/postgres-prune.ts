// What is too old or too much goes, a bounded part in each call. A day of which nothing is needed any more is dropped as a table.
import { forgotten, FORGOTTEN_ROW, IS_WAITING } from './forgotten.ts'
import type { PostgresRows, Query } from './postgres-rows.ts'
import { partitionOf } from './postgres-schema.ts'
import { PRUNED_AT_ONCE, type PruneLimits, type TaskRow } from './store.ts'

/** Indexes, page headers and dead rows come to about as much again as the rows: an estimate, since no engine tells the size of what is alive. */
const OVERHEAD = 2
/** To weigh all takes long: so many may go by each weighing. */
const MOST_BY_SIZE = 80 * PRUNED_AT_ONCE
/** Rows whose length stands for that of all. */
const SAMPLE = 10_000

type Writer = Pick<PostgresRows, 'write'>

export async function pruneByAge(query: Query, rows: Writer, { before, unheardBefore }: PruneLimits): Promise<number> {
  let removed = 0
  const remove = async (where: string, values: readonly unknown[]): Promise<void> => {
    removed += (await removeTasks(query, rows, where, values)).tasks
  }
  // What settled before was spawned before, but for clocks that differ: then it goes a little later.
  const isOld = `state IN ('succeeded', 'cancelled', 'failed', 'lost') AND spawned_at < $1 AND settled_at < $1`
  await remove(isOld, [before])
  const isUnheard = `${WAITING} AND spawned_at < $1 AND coalesce(settled_at, spawned_at) < $1`
  if (unheardBefore !== undefined && removed < PRUNED_AT_ONCE) await remove(isUnheard, [unheardBefore])
  return removed
}

/** By size, and what belongs to nothing any more. In a turn of its own: to weigh what is very much may take longer than an answer is waited for. */
export async function pruneBySize(
  query: Query,
  rows: Writer,
  { before, maxBytes }: PruneLimits,
  today: string,
): Promise<number> {
  let removed = 0
  let bytes = await sizeOf(query)
  for (const which of ["state IN ('succeeded', 'cancelled')", WAITING, "state IN ('failed', 'lost')"])
    while (removed < MOST_BY_SIZE && bytes > maxBytes) {
      const gone = await removeTasks(query, rows, which, [])
      removed += gone.tasks
      if (gone.tasks === 0) break
      bytes -= gone.bytes * OVERHEAD
    }
  if (removed < PRUNED_AT_ONCE) {
    await query(`DELETE FROM afterspan.request r WHERE at < $1 AND NOT ${HAS_TASK}`, [before])
    await query('DELETE FROM afterspan.process WHERE dead_at < $1', [before])
    await forgetFolders(query)
  }
  await dropEmptyDays(query, today)
  return removed
}

/** In nobody's hands. */
const WAITING = `${IS_WAITING} AND owner IS NULL`
const HAS_TASK = 'EXISTS (SELECT 1 FROM afterspan.task WHERE request_key = r.key)'

async function sizeOf(query: Query): Promise<number> {
  const [row] = await query(
    `SELECT (SELECT count(*) FROM afterspan.task) * coalesce(avg(octet_length(row)), 0) AS n
     FROM (SELECT row FROM afterspan.task LIMIT ${SAMPLE}) AS sample`,
  )
  return Number(row!['n']) * OVERHEAD
}

interface Gone {
  readonly tasks: number
  readonly bytes: number
}

/** The oldest of them, with the requests that have no task left by it, and the attempts that were joined to them. */
async function removeTasks(query: Query, rows: Writer, where: string, values: readonly unknown[]): Promise<Gone> {
  const gone = await query(
    `DELETE FROM afterspan.task WHERE (task_id, day) IN
       (SELECT task_id, day FROM afterspan.task WHERE ${where} ORDER BY spawned_at LIMIT ${PRUNED_AT_ONCE})
     RETURNING task_id, request_key AS key, octet_length(row) AS bytes, ${FORGOTTEN_ROW}`,
    values,
  )
  const keys = [...new Set(gone.map(({ key }) => key).filter((key) => key !== null))]
  if (keys.length > 0) await query(`DELETE FROM afterspan.request r WHERE key = ANY($1) AND NOT ${HAS_TASK}`, [keys])
  if (gone.length > 0)
    await query('DELETE FROM afterspan.joined WHERE task_id = ANY($1)', [gone.map((row) => row['task_id'])])
  const open = gone.flatMap(({ row }) => (row === null ? [] : (JSON.parse(row as string) as TaskRow)))
  if (open.length > 0) await rows.write({ counters: forgotten(open) })
  return { tasks: gone.length, bytes: gone.reduce((sum, { bytes }) => sum + Number(bytes), 0) }
}

/** A container that comes without its last one's disk has a folder of its own: what was kept for one that is long gone nobody asks for. */
const FOLDER_DAYS = 90

async function forgetFolders(query: Query): Promise<void> {
  const gone = await query(
    `DELETE FROM afterspan.folder f WHERE seen_at < now() - interval '${FOLDER_DAYS} days'
       AND NOT EXISTS (SELECT 1 FROM afterspan.process p WHERE p.folder = f.folder AND p.dead_at IS NULL)
     RETURNING folder`,
  )
  const folders = gone.map(({ folder }) => folder)
  if (folders.length === 0) return
  for (const table of ['segment', 'counter'])
    await query(`DELETE FROM afterspan.${table} WHERE folder = ANY($1)`, [folders])
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
