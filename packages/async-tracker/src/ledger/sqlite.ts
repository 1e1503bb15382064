// The ledger in one SQLite file, opened by the patrol alone. Exclusive locking keeps the index of the WAL in memory: with a shared
// -shm file, somebody's truncation of it would kill the process by SIGBUS.
import { closeSync, openSync, readdirSync, renameSync, rmSync } from 'node:fs'
import { basename, dirname, join } from 'node:path'
import type { DatabaseSync, StatementSync } from 'node:sqlite'
import { TASK_STATES, type EpochMs, type TaskId, type TaskState } from '@afterspan/core/internal'
import { OPEN_STATES } from '../task-state.ts'
import { MIGRATIONS } from './schema.ts'
import { findSql } from './sqlite-find.ts'
import { pruneSqlite } from './sqlite-prune.ts'
import { OF_REQUEST, writeChange } from './sqlite-write.ts'
import { taskOf } from './task-text.ts'
import type {
  CounterRow,
  LedgerChange,
  LedgerStore,
  OutboxRow,
  ProcessRow,
  PruneLimits,
  RequestRow,
  TaskQuery,
  TaskRow,
  TaskStanding,
} from './store.ts'
import { afterTrace, MOST_WAIT_MS } from './store.ts'

type Row = Record<string, unknown>

export function createSqliteLedger(dir: string, onQuarantine: (file: string) => void = () => {}): LedgerStore {
  return new SqliteLedger(join(dir, 'ledger.db'), onQuarantine)
}

class SqliteLedger implements LedgerStore {
  readonly name = 'sqlite'
  readonly isShared = false
  isDamaged = false
  readonly #file: string
  readonly #onQuarantine: (file: string) => void
  readonly #prepared = new Map<string, StatementSync>()
  #db: DatabaseSync | undefined
  /** Tasks that were there when last asked for: most likely those that are written next. */
  #lastRead: ReadonlySet<TaskId> = new Set()

  constructor(file: string, onQuarantine: (file: string) => void) {
    this.#file = file
    this.#onQuarantine = onQuarantine
  }

  async open(): Promise<void> {
    if (this.#db) return
    if (this.isDamaged) this.#setAside()
    try {
      this.#db = openFile(this.#file)
    } catch (error) {
      if (!isDamage(error)) throw error
      this.#setAside()
      this.#db = openFile(this.#file)
    }
  }

  async close(): Promise<void> {
    this.#prepared.clear()
    this.#db?.close()
    this.#db = undefined
  }

  async commit(change: LedgerChange): Promise<void> {
    const db = this.#db!
    db.exec('BEGIN')
    try {
      writeChange((sql) => this.#statement(sql), change, this.#lastRead)
      db.exec('COMMIT')
    } catch (error) {
      rollBack(db)
      throw this.#noted(error)
    }
  }

  exclusive<T>(work: (ledger: LedgerStore) => Promise<T>): Promise<T> {
    return work(this)
  }

  async lapsed(): Promise<readonly ProcessRow[]> {
    return []
  }

  async tasks(ids: readonly TaskId[]): Promise<ReadonlyMap<TaskId, TaskRow>> {
    const rows = this.#allOf((marks) => `SELECT task_id, row FROM task WHERE task_id IN (${marks})`, ids).map(toTask)
    const found = new Map(rows.map((row) => [row.facts.taskId, row]))
    this.#lastRead = new Set(found.keys())
    return found
  }

  async tasksOfMessages(keys: readonly string[]): Promise<readonly TaskRow[]> {
    return this.#allOf((marks) => `SELECT task_id, row FROM task WHERE message IN (${marks})`, keys).map(toTask)
  }

  async joined(ids: readonly TaskId[]): Promise<ReadonlyMap<TaskId, TaskId>> {
    const rows = this.#allOf((marks) => `SELECT stray, task_id FROM joined WHERE stray IN (${marks})`, ids)
    return new Map(rows.map((row) => [row['stray'] as TaskId, row['task_id'] as TaskId]))
  }

  async joinedFromTrace(traceId: string): Promise<readonly TaskId[]> {
    const rows = this.#all('SELECT task_id FROM joined WHERE stray >= ? AND stray < ?', traceId, afterTrace(traceId))
    return [...new Set(rows.map((row) => row['task_id'] as TaskId))]
  }

  async openTasksOf(keys: readonly string[]): Promise<readonly TaskId[]> {
    const owned = this.#allOf((marks) => `SELECT task_id FROM task WHERE owner IN (${marks})`, keys)
    const shared = this.#allOf((marks) => `SELECT task_id FROM task WHERE other_owner IN (${marks})`, keys)
    return [...new Set([...owned, ...shared].map((row) => row['task_id'] as TaskId))]
  }

  async tasksOfRequests(keys: readonly string[]): Promise<readonly TaskStanding[]> {
    const columns = 'task_id AS taskId, request_key AS requestKey, depth, state'
    const rows = keys.flatMap((key) => this.#all(`SELECT ${columns} FROM task WHERE ${OF_REQUEST('?1')}`, key))
    return rows as unknown as TaskStanding[]
  }

  async orphans(): Promise<ReadonlyMap<TaskId, readonly TaskId[]>> {
    const children = new Map<TaskId, TaskId[]>()
    for (const row of this.#all('SELECT task_id, parent FROM task WHERE parent IS NOT NULL AND request_key IS NULL')) {
      const parent = row['parent'] as TaskId
      children.set(parent, [...(children.get(parent) ?? []), row['task_id'] as TaskId])
    }
    return children
  }

  async find(query: TaskQuery): Promise<readonly TaskRow[]> {
    const { sql, values } = findSql(query)
    return this.#all(sql, ...values).map(toTask)
  }

  async requests(keys: readonly string[]): Promise<ReadonlyMap<string, RequestRow>> {
    const rows = this.#allOf((marks) => `SELECT row FROM request WHERE key IN (${marks})`, keys).map(parse<RequestRow>)
    return new Map(rows.map((row) => [row.key, row]))
  }

  async requestsOfTrace(traceId: string): Promise<readonly RequestRow[]> {
    // A key begins with its trace, and 'g' comes after every hex digit.
    return this.#all('SELECT row FROM request WHERE key >= ? AND key < ? ORDER BY at', traceId, `${traceId}g`).map(
      parse<RequestRow>,
    )
  }

  async processes(mostDead = -1): Promise<readonly ProcessRow[]> {
    const dead = this.#all('SELECT row FROM process WHERE dead_at >= 0 ORDER BY dead_at DESC LIMIT ?', mostDead)
    return [...this.#all('SELECT row FROM process WHERE dead_at IS NULL'), ...dead.reverse()].map(parse<ProcessRow>)
  }

  async processesOf(keys: readonly string[]): Promise<readonly ProcessRow[]> {
    return this.#allOf((marks) => `SELECT row FROM process WHERE key IN (${marks})`, keys).map(parse<ProcessRow>)
  }

  async segments(): Promise<ReadonlyMap<string, number>> {
    const rows = this.#all('SELECT file, offset FROM segment')
    return new Map(rows.map((row) => [row['file'] as string, Number(row['offset'])]))
  }

  async dueOutbox(now: EpochMs, limit: number): Promise<readonly OutboxRow[]> {
    const sql = 'SELECT * FROM outbox WHERE next_at <= ? OR next_at > ? ORDER BY next_at LIMIT ?'
    return this.#all(sql, now, now + MOST_WAIT_MS, limit).map(toOutbox)
  }

  async trimOutbox(maxBytes: number): Promise<number> {
    try {
      return Number(this.#statement(TRIM_OUTBOX).run(maxBytes).changes)
    } catch (error) {
      throw this.#noted(error)
    }
  }

  async counters(): Promise<readonly CounterRow[]> {
    return this.#all('SELECT name, labels, value FROM counter').map(toCounter)
  }

  async countsByState(states: readonly TaskState[] = TASK_STATES): Promise<Readonly<Record<TaskState, number>>> {
    const counts = Object.fromEntries(TASK_STATES.map((state) => [state, 0])) as Record<TaskState, number>
    for (const state of states)
      counts[state] = Number(this.#all('SELECT count(*) AS n FROM task WHERE state = ?', state)[0]!['n'])
    return counts
  }

  async oldestOpen(limit: number, since = 0): Promise<readonly TaskRow[]> {
    const inOrder = 'SELECT task_id, row FROM task WHERE state = ? AND spawned_at >= ? ORDER BY spawned_at LIMIT ?'
    const some = (state: string): Row[] => this.#all(inOrder, state, state === 'running' ? 0 : since, limit)
    return [...OPEN_STATES].flatMap((state) => some(state).map(toTask))
  }

  async prune(limits: PruneLimits): Promise<number> {
    try {
      return pruneSqlite(this.#db!, (sql) => this.#statement(sql), limits)
    } catch (error) {
      throw this.#noted(error)
    }
  }

  /** A ledger that cannot be read is set aside and rebuilt from the journals that are still there. */
  #setAside(): void {
    const aside = `${this.#file}.damaged-${Date.now()}`
    renameSync(this.#file, aside)
    removeOlder(this.#file)
    this.isDamaged = false
    this.#onQuarantine(aside)
  }

  #noted(error: unknown): unknown {
    this.isDamaged ||= isDamage(error)
    return error
  }

  #statement(sql: string): StatementSync {
    const known = this.#prepared.get(sql)
    if (known) return known
    const made = this.#db!.prepare(sql)
    this.#prepared.set(sql, made)
    return made
  }

  #all(sql: string, ...values: (string | number | null)[]): Row[] {
    try {
      return this.#statement(sql).all(...values) as Row[]
    } catch (error) {
      throw this.#noted(error)
    }
  }

  /** In groups: SQLite has a limit of bound values. */
  #allOf(sql: (marks: string) => string, values: readonly string[]): Row[] {
    const rows: Row[] = []
    for (let i = 0; i < values.length; i += 100) {
      const some = values.slice(i, i + 100)
      rows.push(...this.#all(sql(some.map(() => '?').join()), ...some))
    }
    return rows
  }
}

/** What was tried most has waited longest. */
const TRIM_OUTBOX = `DELETE FROM outbox WHERE span_id IN (
  SELECT span_id FROM (SELECT span_id, sum(length(body)) OVER (ORDER BY tries, next_at DESC, span_id) AS bytes FROM outbox)
  WHERE bytes > ?)`

function openFile(file: string): DatabaseSync {
  const { DatabaseSync: Database } = require('node:sqlite') as typeof import('node:sqlite')
  closeSync(openSync(file, 'a', 0o600)) // SQLite would make it for all to read; its -wal gets the same mode
  const db = new Database(file)
  try {
    // locking_mode before anything is read, else there is a -shm file; auto_vacuum before anything is written, else it is ignored.
    db.exec(
      'PRAGMA locking_mode = EXCLUSIVE; PRAGMA auto_vacuum = INCREMENTAL; PRAGMA journal_mode = WAL; PRAGMA synchronous = NORMAL; PRAGMA cache_size = -32000; PRAGMA wal_autocheckpoint = 4000;',
    )
    const version = Number((db.prepare('PRAGMA user_version').get() as Row)['user_version'])
    if (version > MIGRATIONS.length)
      throw new Error(`the ledger is of a newer version (${version}) than this Afterspan knows (${MIGRATIONS.length})`)
    for (let v = version; v < MIGRATIONS.length; v++)
      db.exec(`BEGIN; ${MIGRATIONS[v]!} PRAGMA user_version = ${v + 1}; COMMIT;`)
    return db
  } catch (error) {
    db.close()
    throw error
  }
}

/** A disk that goes on damaging ledgers must not be filled with them. */
const MOST_ASIDE = 3

function removeOlder(file: string): void {
  const beginning = `${basename(file)}.damaged-`
  const aside = readdirSync(dirname(file)).filter((name) => name.startsWith(beginning))
  for (const old of aside.toSorted().slice(0, -MOST_ASIDE)) rmSync(join(dirname(file), old), { force: true })
}

function isDamage(error: unknown): boolean {
  const code = ((error as { errcode?: number }).errcode ?? 0) & 0xff
  return code === 11 || code === 26 // SQLITE_CORRUPT, SQLITE_NOTADB
}

function rollBack(db: DatabaseSync): void {
  try {
    db.exec('ROLLBACK')
  } catch {
    // SQLite has done so itself, as it does on a full disk: what it said of that is what counts
  }
}

function toTask(row: Row): TaskRow {
  return taskOf(row['task_id'] as TaskId, row['row'] as string)
}

function parse<T>(row: Row): T {
  return JSON.parse(row['row'] as string) as T
}

function toOutbox(row: Row): OutboxRow {
  const taskId = row['task_id'] as TaskId | null
  const refusals = Number(row['refusals'])
  return {
    spanId: row['span_id'] as string,
    ...(taskId ? { taskId } : {}),
    body: row['body'] as Uint8Array,
    tries: Number(row['tries']),
    ...(refusals > 0 ? { refusals } : {}),
    nextAt: Number(row['next_at']) as EpochMs,
  }
}

function toCounter(row: Row): CounterRow {
  return {
    name: row['name'] as string,
    labels: JSON.parse(row['labels'] as string) as Record<string, string>,
    value: Number(row['value']),
  }
}
