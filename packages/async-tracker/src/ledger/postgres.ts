// The ledger of several hosts, in PostgreSQL. Each host keeps its own journals and its own patrol; what the patrols find meets here,
// one change at a time: a task that is promised on one host and done on another is one row.
import { hostname } from 'node:os'
import type { EpochMs, HealthView, HealthVote, TaskId } from '@afterspan/core/internal'
import { connectPg, type PgPool, type Row } from './pg-client.ts'
import { pruneByAge, pruneBySize } from './postgres-prune.ts'
import { PostgresRows, type Query } from './postgres-rows.ts'
import { partitionOf, POSTGRES_MIGRATIONS } from './postgres-schema.ts'
import { castVote } from './postgres-votes.ts'
import { PRUNED_AT_ONCE } from './store.ts'
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
} from './store.ts'

/** How often a folder says that its patrol lives, and after how long a silence the others settle what its processes left open. */
const RENEW_MS = 5_000
const LEASE_MS = 35_000

export interface PostgresLedgerSettings {
  readonly url: string
  /** The ledger folder of this patrol, by its id. */
  readonly folder: string
  readonly renewMs?: number
  readonly leaseMs?: number
  /** How long an answer is waited for. */
  readonly queryMs?: number
}

export function createPostgresLedger(settings: PostgresLedgerSettings): LedgerStore {
  return new PostgresLedger(settings)
}

class PostgresLedger implements LedgerStore {
  readonly name = 'postgresql'
  /** Its tables are gone: they are made again when it is opened, and filled from the journals that are still there. */
  isDamaged = false
  readonly isShared = true
  readonly #settings: PostgresLedgerSettings
  #pool: PgPool | undefined
  #day = ''
  /** Since when the lease was renewed without a gap: after an outage of the database everybody's has lapsed, and nobody is dead. */
  #steadySince = Infinity
  #renewedAt = -Infinity

  constructor(settings: PostgresLedgerSettings) {
    this.#settings = settings
  }

  async open(): Promise<void> {
    if (this.#pool) return
    const pool = connectPg(this.#settings.url, this.#settings.queryMs)
    try {
      await migrate(pool)
      this.#pool = pool
      this.#day = ''
      this.isDamaged = false
    } catch (error) {
      await pool.end().catch(() => {})
      throw error
    }
  }

  async close(): Promise<void> {
    const pool = this.#pool
    this.#pool = undefined
    await pool?.end()
  }

  /** One writer at a time, among all hosts: a row lock, which the end of a connection lets go. */
  async exclusive<T>(work: (ledger: LedgerStore) => Promise<T>): Promise<T> {
    return this.#inTurn((rows) => work(new Turn(this, rows)))
  }

  commit(change: LedgerChange): Promise<void> {
    return this.#inTurn((rows) => rows.write(change))
  }

  async prune(limits: PruneLimits): Promise<number> {
    const removed = await this.#inTurn((rows, query) => pruneByAge(query, rows, limits))
    if (removed >= PRUNED_AT_ONCE) return removed
    return removed + (await this.#inTurn((rows, query) => pruneBySize(query, rows, limits, today())))
  }

  /** Renews the lease of this folder, and takes over from folders whose lease has lapsed: their outbox, and the word on their processes. */
  async lapsed(): Promise<readonly ProcessRow[]> {
    const { folder, renewMs = RENEW_MS, leaseMs = LEASE_MS } = this.#settings
    const now = performance.now()
    if (now - this.#renewedAt < renewMs) return []
    return this.#inTurn(async (_, query) => {
      const isLate = `seen_at < now() - $2 * interval '1 millisecond'`
      const [late] = await query(`SELECT 1 FROM afterspan.folder WHERE folder = $1 AND ${isLate}`, [folder, leaseMs])
      if (late)
        await query(
          `UPDATE afterspan.process SET dead_at = NULL WHERE folder = $1 AND dead_at IS NOT NULL AND row LIKE '%"isLapsed":true%'`,
          [folder],
        )
      await query(
        `INSERT INTO afterspan.folder VALUES ($1, $2, now()) ON CONFLICT (folder) DO UPDATE SET host = excluded.host, seen_at = now()`,
        [folder, hostname()],
      )
      if (now - this.#renewedAt > leaseMs / 2) this.#steadySince = now
      this.#renewedAt = now
      if (now - this.#steadySince < leaseMs) return []
      const silent = `SELECT folder FROM afterspan.folder WHERE folder <> $1 AND ${isLate}`
      await query(`UPDATE afterspan.outbox SET folder = $1 WHERE folder IN (${silent})`, [folder, leaseMs])
      const rows = await query(`SELECT row FROM afterspan.process WHERE dead_at IS NULL AND folder IN (${silent})`, [
        folder,
        leaseMs,
      ])
      return rows.map((row) => JSON.parse(row['row'] as string) as ProcessRow)
    })
  }

  vote = (vote: HealthVote): Promise<readonly HealthView[]> => castVote(this.#query(), vote)
  tasks = (ids: readonly TaskId[]): Promise<ReadonlyMap<TaskId, TaskRow>> => this.#rows().tasks(ids)
  tasksOfMessages: LedgerStore['tasksOfMessages'] = (keys) => this.#rows().tasksOfMessages(keys)
  joined: LedgerStore['joined'] = (ids) => this.#rows().joined(ids)
  joinedFromTrace: LedgerStore['joinedFromTrace'] = (traceId) => this.#rows().joinedFromTrace(traceId)
  openTasksOf = (keys: readonly string[]): Promise<readonly TaskId[]> => this.#rows().openTasksOf(keys)
  tasksOfRequests: LedgerStore['tasksOfRequests'] = (keys) => this.#rows().tasksOfRequests(keys)
  orphans = (): Promise<ReadonlyMap<TaskId, readonly TaskId[]>> => this.#rows().orphans()
  find = (query: TaskQuery): Promise<readonly TaskRow[]> => this.#rows().find(query)
  requests = (keys: readonly string[]): Promise<ReadonlyMap<string, RequestRow>> => this.#rows().requests(keys)
  requestsOfTrace = (traceId: string): Promise<readonly RequestRow[]> => this.#rows().requestsOfTrace(traceId)
  processes: LedgerStore['processes'] = (mostDead) => this.#rows().processes(mostDead)
  processesOf: LedgerStore['processesOf'] = (keys) => this.#rows().processesOf(keys)
  segments = (): Promise<ReadonlyMap<string, number>> => this.#rows().segments()
  dueOutbox = (now: EpochMs, limit: number): Promise<readonly OutboxRow[]> => this.#rows().dueOutbox(now, limit)
  trimOutbox = (maxBytes: number): Promise<number> => this.#rows().trimOutbox(maxBytes)
  counters = (): Promise<readonly CounterRow[]> => this.#rows().counters()
  countsByState: LedgerStore['countsByState'] = (states) => this.#rows().countsByState(states)
  oldestOpen: LedgerStore['oldestOpen'] = (limit, since) => this.#rows().oldestOpen(limit, since)

  #rows(): PostgresRows {
    return this.#rowsOn(this.#query())
  }

  #query(): Query {
    const pool = this.#open()
    return async (text, values) => {
      try {
        return (await pool.query(text, values)).rows
      } catch (error) {
        throw this.#noted(error)
      }
    }
  }

  #noted(error: unknown): unknown {
    this.isDamaged ||= NO_SUCH_TABLE.has((error as { readonly code?: string }).code ?? '')
    return error
  }

  #rowsOn(query: Query): PostgresRows {
    return new PostgresRows(query, this.#settings.folder, (on) => this.#ensureDay(on))
  }

  #open(): PgPool {
    if (!this.#pool) throw new Error('the ledger is closed')
    return this.#pool
  }

  async #inTurn<T>(work: (rows: PostgresRows, query: Query) => Promise<T>): Promise<T> {
    const client = await this.#open().connect()
    const query: Query = async (text, values): Promise<Row[]> => (await client.query(text, values)).rows
    let isBroken = true
    try {
      await query('BEGIN')
      await query('SELECT one FROM afterspan.turn FOR UPDATE')
      const result = await work(this.#rowsOn(query), query)
      await query('COMMIT')
      isBroken = false
      return result
    } catch (error) {
      this.#day = '' // its table may have been rolled back with the rest
      // Who does not answer one question would be waited for again with the next.
      const isMute = (error as Error).message === PG_TIMEOUT
      isBroken =
        isMute ||
        (await query('ROLLBACK').then(
          () => false,
          () => true,
        ))
      throw this.#noted(error)
    } finally {
      client.release(isBroken)
    }
  }

  async #ensureDay(query: Query): Promise<string> {
    const day = today()
    if (day === this.#day) return day
    await query(
      `CREATE TABLE IF NOT EXISTS ${partitionOf(day)} PARTITION OF afterspan.task FOR VALUES FROM ('${day}') TO ('${dayAfter(day)}')`,
    )
    this.#day = day
    return day
  }
}

/** What `pg` says when an answer has not come in time; it has no code. */
const PG_TIMEOUT = 'Query read timeout'
const NO_SUCH_TABLE: ReadonlySet<string> = new Set(['42P01', '3F000'])

/** The ledger inside of one turn: it reads and writes in the turn's own transaction. */
class Turn implements LedgerStore {
  readonly name = 'postgresql'
  readonly isDamaged = false
  readonly isShared = true
  readonly #ledger: LedgerStore
  readonly #rows: PostgresRows

  constructor(ledger: LedgerStore, rows: PostgresRows) {
    this.#ledger = ledger
    this.#rows = rows
  }
  async open(): Promise<void> {}
  async close(): Promise<void> {}
  exclusive = <T>(work: (ledger: LedgerStore) => Promise<T>): Promise<T> => work(this)
  commit = (change: LedgerChange): Promise<void> => this.#rows.write(change)
  tasks: LedgerStore['tasks'] = (ids) => this.#rows.tasks(ids)
  tasksOfMessages: LedgerStore['tasksOfMessages'] = (keys) => this.#rows.tasksOfMessages(keys)
  joined: LedgerStore['joined'] = (ids) => this.#rows.joined(ids)
  joinedFromTrace: LedgerStore['joinedFromTrace'] = (traceId) => this.#rows.joinedFromTrace(traceId)
  openTasksOf: LedgerStore['openTasksOf'] = (keys) => this.#rows.openTasksOf(keys)
  tasksOfRequests: LedgerStore['tasksOfRequests'] = (keys) => this.#rows.tasksOfRequests(keys)
  orphans: LedgerStore['orphans'] = () => this.#rows.orphans()
  find: LedgerStore['find'] = (query) => this.#rows.find(query)
  requests: LedgerStore['requests'] = (keys) => this.#rows.requests(keys)
  requestsOfTrace: LedgerStore['requestsOfTrace'] = (traceId) => this.#rows.requestsOfTrace(traceId)
  processes: LedgerStore['processes'] = (mostDead) => this.#rows.processes(mostDead)
  processesOf: LedgerStore['processesOf'] = (keys) => this.#rows.processesOf(keys)
  segments: LedgerStore['segments'] = () => this.#rows.segments()
  dueOutbox: LedgerStore['dueOutbox'] = (now, limit) => this.#rows.dueOutbox(now, limit)
  trimOutbox: LedgerStore['trimOutbox'] = (maxBytes) => this.#rows.trimOutbox(maxBytes)
  counters: LedgerStore['counters'] = () => this.#rows.counters()
  countsByState: LedgerStore['countsByState'] = (states) => this.#rows.countsByState(states)
  oldestOpen: LedgerStore['oldestOpen'] = (limit, since) => this.#rows.oldestOpen(limit, since)
  lapsed: LedgerStore['lapsed'] = () => this.#ledger.lapsed()
  prune: LedgerStore['prune'] = (limits) => this.#ledger.prune(limits)
}

/** An index of some million tasks is not made while one waits for an answer. */
const MIGRATION_MS = 3_600_000

/** Of two patrols that come first at once, one makes the tables: the other finds them. */
async function migrate(pool: PgPool): Promise<void> {
  const client = await pool.connect()
  let isBroken = true
  try {
    await client.query('BEGIN')
    await client.query('SET LOCAL statement_timeout = 0')
    await client.query('SELECT pg_advisory_xact_lock(4605524)')
    await client.query('CREATE SCHEMA IF NOT EXISTS afterspan')
    await client.query('CREATE TABLE IF NOT EXISTS afterspan.version (version integer NOT NULL)')
    const { rows } = await client.query('SELECT max(version) AS version FROM afterspan.version')
    const version = Number(rows[0]?.['version'] ?? 0)
    if (version > POSTGRES_MIGRATIONS.length)
      throw new Error(
        `the ledger is of a newer version (${version}) than this Afterspan knows (${POSTGRES_MIGRATIONS.length})`,
      )
    for (let v = version; v < POSTGRES_MIGRATIONS.length; v++) {
      await client.query({ text: POSTGRES_MIGRATIONS[v]!, query_timeout: MIGRATION_MS })
      await client.query('INSERT INTO afterspan.version VALUES ($1)', [v + 1])
    }
    await client.query('COMMIT')
    isBroken = false
  } finally {
    client.release(isBroken)
  }
}

function today(): string {
  return new Date().toISOString().slice(0, 10)
}

function dayAfter(day: string): string {
  return new Date(Date.parse(day) + 86_400_000).toISOString().slice(0, 10)
}
