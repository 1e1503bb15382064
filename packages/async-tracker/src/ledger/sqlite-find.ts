import { TASK_STATES } from '@afterspan/core/internal'
import type { TaskQuery } from './store.ts'

type Condition = readonly [sql: string, ...values: (string | number)[]]

/**
 * Reads, of however many there are, little more than it returns: a trace by the ids that begin with it, everything else state by
 * state, each from its newest on.
 */
export function findSql({ traceId, states, route, since, limit }: TaskQuery): {
  readonly sql: string
  readonly values: readonly (string | number)[]
} {
  const values: (string | number)[] = []
  const select = (...where: readonly Condition[]): string => {
    for (const [, ...bound] of where) values.push(...bound)
    return `SELECT n, spawned_at FROM task WHERE ${where.map(([sql]) => sql).join(' AND ')}`
  }
  const wanted = [...new Set(states?.length ? states : TASK_STATES)]
  // A plus: by no index of these.
  const also = (plus: '' | '+'): Condition[] => [
    ...(route ? [[`${plus}route = ?`, route] as const] : []),
    ...(since === undefined ? [] : [[`${plus}spawned_at >= ?`, since] as const]),
  ]
  const ofTrace: Condition[] = [[`+state IN (${wanted.map(() => '?').join()})`, ...wanted], ...also('+')]
  const parts = traceId
    ? [
        // U+10FFFF comes after whatever follows the trace in an id.
        select(['task_id >= ? AND task_id < ? AND trace_id = ?', traceId, `${traceId}\u{10ffff}`, traceId], ...ofTrace),
        select(['trace_id = ? AND trace_id <> substr(task_id, 1, 32)', traceId], ...ofTrace),
      ]
    : wanted.map((state) => select(['state = ?', state], ...also('')))
  const found = `${parts.join(' UNION ALL ')} ORDER BY spawned_at DESC LIMIT ?`
  return {
    sql: `SELECT task_id, row FROM (${found}) AS found JOIN task USING (n) ORDER BY found.spawned_at DESC`,
    values: [...values, limit],
  }
}
