// How a change is written into SQLite: as few statements and as few indexes touched as will do, for most of what the patrol costs is here.
import type { StatementSync } from 'node:sqlite'
import type { TaskId } from '@afterspan/core/internal'
import { messageOfFacts } from '../message-key.ts'
import { ownersOf } from '../task-owner.ts'
import { heardOfAt } from '../task-silence.ts'
import type { LedgerChange, RequestRow, TaskRow } from './store.ts'
import { taskText } from './task-text.ts'

/** The tasks of a request, by the index of the middle of its key. */
export const OF_REQUEST = (key: string): string =>
  `substr(request_key, 25, 16) = substr(${key}, 25, 16) AND request_key = ${key}`

/** Each is prepared once. */
export type Statements = (sql: string) => StatementSync

/** Everything of a change, in the transaction of the caller. `known`: tasks that are there, as far as that was asked for. */
export function writeChange(
  statement: Statements,
  change: LedgerChange,
  known: Pick<ReadonlySet<TaskId>, 'has'>,
): void {
  for (const row of change.requests ?? []) writeRequest(statement, row)
  for (const row of change.tasks ?? []) writeTask(statement, row, known.has(row.facts.taskId))
  for (const { stray, taskId } of change.joined ?? []) {
    statement('INSERT OR REPLACE INTO joined VALUES (?, ?)').run(stray, taskId)
    statement('DELETE FROM task WHERE task_id = ?').run(stray)
  }
  for (const key of change.forgottenRequests ?? []) statement('DELETE FROM request WHERE key = ?').run(key)
  for (const row of change.processes ?? [])
    statement('INSERT OR REPLACE INTO process VALUES (?, ?, ?)').run(row.key, row.deadAt ?? null, JSON.stringify(row))
  for (const { file, offset } of change.segments ?? [])
    statement('INSERT OR REPLACE INTO segment VALUES (?, ?)').run(file, offset)
  for (const file of change.forgottenSegments ?? []) statement('DELETE FROM segment WHERE file = ?').run(file)
  for (const row of change.outbox ?? [])
    statement(
      `INSERT INTO outbox (span_id, task_id, body, tries, refusals, next_at) VALUES (?, ?, ?, ?, ?, ?)
       ON CONFLICT (span_id) DO UPDATE SET tries = excluded.tries, refusals = excluded.refusals, next_at = excluded.next_at`,
    ).run(row.spanId, row.taskId ?? null, row.body, row.tries, row.refusals ?? 0, row.nextAt)
  for (const spanId of change.deliveredSpans ?? []) statement('DELETE FROM outbox WHERE span_id = ?').run(spanId)
  for (const { name, labels, value } of change.counters ?? [])
    statement(
      'INSERT INTO counter VALUES (?, ?, ?) ON CONFLICT (name, labels) DO UPDATE SET value = value + excluded.value',
    ).run(name, JSON.stringify(labels, Object.keys(labels).sort()), value)
}

function writeRequest(statement: Statements, row: RequestRow): void {
  const { key, answered } = row
  statement(
    'INSERT INTO request (key, at, row) VALUES (?, ?, ?) ON CONFLICT (key) DO UPDATE SET at = excluded.at, row = excluded.row',
  ).run(key, answered?.at ?? 0, JSON.stringify(row))
  if (answered?.route)
    statement(`UPDATE task SET route = ?2 WHERE ${OF_REQUEST('?1')} AND route IS NULL`).run(key, answered.route)
}

/** By the spawn's own word, else that of the request, which comes before its tasks in a change. */
function routeOf(statement: Statements, { facts, requestKey }: TaskRow): string | null {
  if (facts.spawned?.route) return facts.spawned.route
  if (requestKey === undefined) return null
  const row = statement("SELECT row ->> '$.answered.route' AS route FROM request WHERE key = ?").get(requestKey)
  return (row?.['route'] as string | null | undefined) ?? null
}

/** Whether a task is new is most often known; where it was said wrongly, the other statement is what takes it. */
function writeTask(statement: Statements, row: TaskRow, isKnown: boolean): void {
  const { facts, derived, requestKey = null, depth } = row
  const [owner = null, otherOwner = null] = ownersOf(facts, derived.state)
  const fixed = [
    facts.origin?.traceId ?? facts.taskId.slice(0, 32),
    requestKey,
    facts.spawned?.parent ?? null,
    depth,
    routeOf(statement, row),
    facts.spawned?.at ?? facts.attempts[0]?.startedAt ?? 0,
    messageOfFacts(facts) ?? null,
  ]
  // Of an open one: when it was last heard of.
  const settledAt = derived.settledAt ?? heardOfAt(facts)
  const going = [derived.state, owner, otherOwner, settledAt, taskText(row)]
  const isDone = (sql: string): boolean => Number(statement(sql).run(...going, facts.taskId, ...fixed).changes) > 0
  if (!isKnown && isDone(INSERT_TASK)) return
  if (isDone(GO_ON_WITH_TASK) || isDone(INSERT_TASK)) return
  statement(UPDATE_TASK).run(...going, ...fixed, facts.taskId)
}

const INSERT_TASK = `INSERT INTO task (state, owner, other_owner, settled_at, row, task_id, trace_id, request_key, parent, depth, route, spawned_at, message)
  VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT (task_id) DO NOTHING`
/** What goes on most often changes none of the columns that most indexes are of: those indexes are then left alone. */
const GO_ON_WITH_TASK = `UPDATE task SET state = ?, owner = ?, other_owner = ?, settled_at = ?, row = ?
  WHERE task_id = ? AND trace_id = ? AND request_key IS ? AND parent IS ? AND depth = ? AND route IS ? AND spawned_at = ? AND message IS ?`
const UPDATE_TASK = `UPDATE task SET state = ?, owner = ?, other_owner = ?, settled_at = ?, row = ?,
  trace_id = ?, request_key = ?, parent = ?, depth = ?, route = ?, spawned_at = ?, message = ? WHERE task_id = ?`
