// What is too old or too much goes, oldest first, a bounded part in each call: a sweep that finds the dead waits for it.
import type { DatabaseSync } from 'node:sqlite'
import type { TaskId } from '@afterspan/core/internal'
import { forgotten, FORGOTTEN_ROW } from './forgotten.ts'
import { OF_REQUEST, writeChange, type Statements } from './sqlite-write.ts'
import { PRUNED_AT_ONCE, type PruneLimits } from './store.ts'
import { taskOf } from './task-text.ts'
import { WAITING_STATES } from '../task-silence.ts'

/** Of the file, in each call: pages that are free are filled again before it grows. */
const MOST_PAGES_RETURNED = 4_000

export function pruneSqlite(
  db: DatabaseSync,
  statement: Statements,
  { before, unheardBefore, maxBytes }: PruneLimits,
): number {
  let removed = 0
  const remove = (some: string, ...values: number[]): void => {
    if (removed < PRUNED_AT_ONCE)
      removed += removeTasks(db, statement, `${some} LIMIT ${PRUNED_AT_ONCE - removed}`, values)
  }
  // What settled before was spawned before, but for clocks that differ: then it goes a little later.
  for (const state of ['succeeded', 'cancelled', 'failed', 'lost'])
    remove(`${oldestOf(state)} AND spawned_at < ? AND settled_at < ?`, before, before)
  if (unheardBefore !== undefined)
    for (const state of WAITING_STATES)
      remove(
        `${waiting(state)} AND spawned_at < ? AND coalesce(settled_at, spawned_at) < ?`,
        unheardBefore,
        unheardBefore,
      )
  if (bytesOf(db) > maxBytes) {
    const most = maxBytes + outboxBytesOf(db)
    for (const some of [
      ['succeeded', 'cancelled'].map(oldestOf),
      WAITING_STATES.map(waiting),
      ['failed', 'lost'].map(oldestOf),
    ])
      if (bytesOf(db) > most) remove(inOrder(some))
  }
  if (removed < PRUNED_AT_ONCE) {
    db.prepare(`DELETE FROM request WHERE at < ? AND NOT ${HAS_TASK}`).run(before)
    db.prepare('DELETE FROM process WHERE dead_at < ?').run(before)
  }
  db.exec(`PRAGMA incremental_vacuum(${MOST_PAGES_RETURNED})`)
  return removed
}

const HAS_TASK = `EXISTS (SELECT 1 FROM task WHERE ${OF_REQUEST('request.key')})`

function oldestOf(state: string): string {
  return `SELECT n, spawned_at FROM task WHERE state = '${state}'`
}

/** In nobody's hands. */
function waiting(state: string): string {
  return `${oldestOf(state)} AND owner IS NULL`
}

function inOrder(some: readonly string[]): string {
  return `${some.join(' UNION ALL ')} ORDER BY spawned_at`
}

/** And what belongs to them alone: requests that have no task left by it, and attempts that were joined to them. */
function removeTasks(db: DatabaseSync, statement: Statements, some: string, values: readonly number[]): number {
  db.exec('BEGIN')
  try {
    const gone = db
      .prepare(`DELETE FROM task WHERE n IN (SELECT n FROM (${some})) RETURNING task_id, request_key, ${FORGOTTEN_ROW}`)
      .all(...values)
    const forget = db.prepare(`DELETE FROM request WHERE key = ? AND NOT ${HAS_TASK}`)
    const unjoin = db.prepare('DELETE FROM joined WHERE task_id = ?')
    for (const { task_id: taskId, request_key: key } of gone) {
      if (key !== null) forget.run(key as string)
      unjoin.run(taskId as string)
    }
    const open = gone.filter(({ row }) => row !== null)
    const tasks = open.map(({ task_id: taskId, row }) => taskOf(taskId as TaskId, row as string))
    writeChange(statement, { counters: forgotten(tasks) }, new Set())
    db.exec('COMMIT')
    return gone.length
  } catch (error) {
    if (db.isTransaction) db.exec('ROLLBACK')
    throw error
  }
}

/** About: what waits to be told has a limit of its own, and no task that is removed makes it less. A long body has pages of its own. */
function outboxBytesOf(db: DatabaseSync): number {
  const bytes = 'iif(length(body) < 900, length(body) + 300, max(length(body) + 400, 4700))'
  return Number(db.prepare(`SELECT coalesce(sum(${bytes}), 0) AS n FROM outbox`).get()!['n'])
}

function bytesOf(db: DatabaseSync): number {
  const pragma = (name: string): number => Number(Object.values(db.prepare(`PRAGMA ${name}`).get()!)[0])
  return (pragma('page_count') - pragma('freelist_count')) * pragma('page_size')
}
