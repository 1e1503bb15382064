// What the ledger in PostgreSQL reads and writes, on whatever connection it is given: the pool, or one transaction.
import { createHash } from 'node:crypto'
import { TASK_STATES, type EpochMs, type TaskId, type TaskState } from '@afterspan/core/internal'
import { messageOfFacts } from '../message-key.ts'
import { ownersOf } from '../task-owner.ts'
import { heardOfAt } from '../task-silence.ts'
import { OPEN_STATES } from '../task-state.ts'
import type { Row } from './pg-client.ts'
import type {
  CounterRow,
  JoinedRow,
  LedgerChange,
  OutboxRow,
  ProcessRow,
  RequestRow,
  TaskQuery,
  TaskRow,
  TaskStanding,
} from './store.ts'
import { afterTrace, MOST_WAIT_MS } from './store.ts'

const MOST_LOOKED_AT = 5_000

export type Query = (text: string, values?: readonly unknown[]) => Promise<Row[]>

export class PostgresRows {
  readonly #query: Query
  readonly #folder: string
  readonly #ensureDay: (query: Query) => Promise<string>

  /** `ensureDay` makes the table of today where it is missing, and names the day. */
  constructor(query: Query, folder: string, ensureDay: (query: Query) => Promise<string>) {
    this.#query = query
    this.#folder = folder
    this.#ensureDay = ensureDay
  }

  async tasks(ids: readonly TaskId[]): Promise<ReadonlyMap<TaskId, TaskRow>> {
    if (ids.length === 0) return new Map()
    const rows = await this.#rows<TaskRow>('SELECT row FROM afterspan.task WHERE task_id = ANY($1)', [ids])
    return new Map(rows.map((row) => [row.facts.taskId, row]))
  }

  async tasksOfMessages(keys: readonly string[]): Promise<readonly TaskRow[]> {
    return keys.length === 0
      ? []
      : this.#rows('SELECT row FROM afterspan.task WHERE message = ANY($1)', [keys.map(indexed)])
  }

  async joined(ids: readonly TaskId[]): Promise<ReadonlyMap<TaskId, TaskId>> {
    if (ids.length === 0) return new Map()
    const rows = await this.#query('SELECT stray, task_id FROM afterspan.joined WHERE stray = ANY($1)', [ids])
    return new Map(rows.map((row) => [row['stray'] as TaskId, row['task_id'] as TaskId]))
  }

  async joinedFromTrace(traceId: string): Promise<readonly TaskId[]> {
    const rows = await this.#query('SELECT DISTINCT task_id FROM afterspan.joined WHERE stray >= $1 AND stray < $2', [
      traceId,
      afterTrace(traceId),
    ])
    return rows.map((row) => row['task_id'] as TaskId)
  }

  async openTasksOf(keys: readonly string[]): Promise<readonly TaskId[]> {
    if (keys.length === 0) return []
    const rows = await this.#query(
      'SELECT task_id FROM afterspan.task WHERE owner = ANY($1) OR other_owner = ANY($1)',
      [keys],
    )
    return rows.map((row) => row['task_id'] as TaskId)
  }

  async tasksOfRequests(keys: readonly string[]): Promise<readonly TaskStanding[]> {
    if (keys.length === 0) return []
    const columns = 'task_id AS "taskId", request_key AS "requestKey", depth, state'
    const rows = await this.#query(`SELECT ${columns} FROM afterspan.task WHERE request_key = ANY($1)`, [keys])
    return rows as unknown as TaskStanding[]
  }

  async orphans(): Promise<ReadonlyMap<TaskId, readonly TaskId[]>> {
    const rows = await this.#query(
      'SELECT parent, array_agg(task_id) AS children FROM afterspan.task WHERE parent IS NOT NULL AND request_key IS NULL GROUP BY parent',
    )
    return new Map(rows.map((row) => [row['parent'] as TaskId, row['children'] as TaskId[]]))
  }

  async find(query: TaskQuery): Promise<readonly TaskRow[]> {
    const { text, values } = findSql(query)
    return this.#rows(text, values)
  }

  async requests(keys: readonly string[]): Promise<ReadonlyMap<string, RequestRow>> {
    if (keys.length === 0) return new Map()
    const rows = await this.#rows<RequestRow>('SELECT row FROM afterspan.request WHERE key = ANY($1)', [keys])
    return new Map(rows.map((row) => [row.key, row]))
  }

  async requestsOfTrace(traceId: string): Promise<readonly RequestRow[]> {
    return this.#rows('SELECT row FROM afterspan.request WHERE trace_id = $1 ORDER BY at', [traceId])
  }

  /** Of this folder; the other hosts look after theirs. */
  async processes(mostDead?: number): Promise<readonly ProcessRow[]> {
    // What others said of them while this patrol was silent is no death to itself.
    const isDead = `dead_at IS NOT NULL AND row NOT LIKE '%"isLapsed":true%'`
    const living = `SELECT row FROM afterspan.process WHERE folder = $1 AND NOT (${isDead})`
    const dead = `SELECT row FROM afterspan.process WHERE folder = $1 AND ${isDead} ORDER BY dead_at DESC LIMIT $2`
    const rows = await this.#rows<ProcessRow>(dead, [this.#folder, mostDead ?? null])
    return [...(await this.#rows<ProcessRow>(living, [this.#folder])), ...rows.reverse()]
  }

  async processesOf(keys: readonly string[]): Promise<readonly ProcessRow[]> {
    return keys.length === 0 ? [] : this.#rows('SELECT row FROM afterspan.process WHERE key = ANY($1)', [keys])
  }

  async segments(): Promise<ReadonlyMap<string, number>> {
    const rows = await this.#query('SELECT file, read_to FROM afterspan.segment WHERE folder = $1', [this.#folder])
    return new Map(rows.map((row) => [row['file'] as string, Number(row['read_to'])]))
  }

  async dueOutbox(now: EpochMs, limit: number): Promise<readonly OutboxRow[]> {
    const rows = await this.#query(
      'SELECT * FROM afterspan.outbox WHERE folder = $1 AND (next_at <= $2 OR next_at > $4) ORDER BY next_at LIMIT $3',
      [this.#folder, now, limit, now + MOST_WAIT_MS],
    )
    return rows.map(toOutbox)
  }

  /** Of this folder. What was tried most has waited longest. */
  async trimOutbox(maxBytes: number): Promise<number> {
    const newestFirst = 'sum(octet_length(body)) OVER (ORDER BY tries, next_at DESC, span_id)'
    const rows = await this.#query(
      `DELETE FROM afterspan.outbox WHERE span_id IN (SELECT span_id FROM
         (SELECT span_id, ${newestFirst} AS bytes FROM afterspan.outbox WHERE folder = $1) AS sized WHERE bytes > $2)
       RETURNING span_id`,
      [this.#folder, maxBytes],
    )
    return rows.length
  }

  /** Of this folder: each host shows its own, and the sum of all is everything. */
  async counters(): Promise<readonly CounterRow[]> {
    const rows = await this.#query('SELECT name, labels, value FROM afterspan.counter WHERE folder = $1', [
      this.#folder,
    ])
    return rows.map((row) => ({
      name: row['name'] as string,
      labels: JSON.parse(row['labels'] as string) as Record<string, string>,
      value: Number(row['value']),
    }))
  }

  async countsByState(states: readonly TaskState[] = TASK_STATES): Promise<Readonly<Record<TaskState, number>>> {
    const counts = Object.fromEntries(TASK_STATES.map((state) => [state, 0])) as Record<TaskState, number>
    // Written out, not bound: else the index of open tasks could not be used.
    const named = states.map((state) => `'${state}'`).join(', ')
    const rows = await this.#query(
      `SELECT state, count(*) AS n FROM afterspan.task WHERE folder = $1 AND state IN (${named}) GROUP BY state`,
      [this.#folder],
    )
    for (const row of rows) counts[row['state'] as TaskState] = Number(row['n'])
    return counts
  }

  /** Of this folder. Of very many open ones some are looked at. */
  async oldestOpen(limit: number, since = 0): Promise<readonly TaskRow[]> {
    const some = (state: string): string =>
      `(SELECT row FROM (SELECT row, spawned_at FROM afterspan.task WHERE folder = $1 AND state = '${state}'${state === 'running' ? '' : ' AND spawned_at >= $3'} LIMIT ${MOST_LOOKED_AT}) AS open ORDER BY spawned_at LIMIT $2)`
    return this.#rows([...OPEN_STATES].map(some).join(' UNION ALL '), [this.#folder, limit, since])
  }

  /** One statement for each kind of row, however many there are. */
  async write(change: LedgerChange): Promise<void> {
    await this.#writeRequests(change.requests ?? [])
    await this.#writeTasks(change.tasks ?? [])
    await this.#writeJoined(change.joined ?? [])
    await this.#forget('afterspan.request', 'key', change.forgottenRequests)
    await this.#upsert(
      `INSERT INTO afterspan.process (key, folder, dead_at, row) SELECT * FROM unnest($1::text[], $2::text[], $3::float8[], $4::text[])
       ON CONFLICT (key) DO UPDATE SET dead_at = excluded.dead_at, row = excluded.row`,
      lastOf(change.processes, ({ key }) => key).map((row) => [
        row.key,
        this.#folder,
        row.deadAt ?? null,
        JSON.stringify(row),
      ]),
    )
    await this.#upsert(
      `INSERT INTO afterspan.segment SELECT * FROM unnest($1::text[], $2::text[], $3::bigint[])
       ON CONFLICT (folder, file) DO UPDATE SET read_to = excluded.read_to`,
      lastOf(change.segments, ({ file }) => file).map(({ file, offset }) => [this.#folder, file, offset]),
    )
    await this.#forget('afterspan.segment', 'file', change.forgottenSegments, this.#folder)
    await this.#upsert(
      `INSERT INTO afterspan.outbox (span_id, folder, task_id, body, tries, refusals, next_at)
       SELECT * FROM unnest($1::text[], $2::text[], $3::text[], $4::bytea[], $5::int[], $6::int[], $7::float8[])
       ON CONFLICT (span_id) DO UPDATE SET tries = excluded.tries, refusals = excluded.refusals, next_at = excluded.next_at`,
      lastOf(change.outbox, ({ spanId }) => spanId).map((row) => [
        row.spanId,
        this.#folder,
        row.taskId ?? null,
        Buffer.from(row.body),
        row.tries,
        row.refusals ?? 0,
        row.nextAt,
      ]),
    )
    await this.#forget('afterspan.outbox', 'span_id', change.deliveredSpans)
    await this.#writeCounters(change.counters ?? [])
  }

  async #writeTasks(tasks: readonly TaskRow[]): Promise<void> {
    const rows = lastOf(tasks, ({ facts }) => facts.taskId)
    if (rows.length === 0) return
    const today = await this.#ensureDay(this.#query)
    const known = await this.#query(
      "SELECT task_id, to_char(day, 'YYYY-MM-DD') AS day FROM afterspan.task WHERE task_id = ANY($1)",
      [rows.map(({ facts }) => facts.taskId)],
    )
    const dayOf = new Map(known.map((row) => [row['task_id'] as TaskId, row['day'] as string]))
    await this.#upsert(
      `INSERT INTO afterspan.task (task_id, day, folder, trace_id, request_key, parent, depth, state, owner, other_owner, route, spawned_at, settled_at, row, message)
       SELECT * FROM unnest($1::text[], $2::date[], $3::text[], $4::text[], $5::text[], $6::text[], $7::int[], $8::text[], $9::text[], $10::text[], $11::text[], $12::float8[], $13::float8[], $14::text[], $15::text[])
       ON CONFLICT (task_id, day) DO UPDATE SET trace_id = excluded.trace_id, request_key = excluded.request_key, parent = excluded.parent,
         depth = excluded.depth, state = excluded.state, owner = excluded.owner, other_owner = excluded.other_owner, route = excluded.route,
         spawned_at = excluded.spawned_at, settled_at = excluded.settled_at, row = excluded.row, message = excluded.message`,
      rows.map((row) => taskColumns(row, dayOf.get(row.facts.taskId) ?? today, this.#folder)),
    )
    await this.#takeRoutes(
      rows.filter(({ facts, requestKey }) => requestKey && !facts.spawned?.route).map((row) => row.requestKey!),
    )
  }

  async #writeJoined(rows: readonly JoinedRow[]): Promise<void> {
    const joined = lastOf(rows, ({ stray }) => stray)
    await this.#upsert(
      `INSERT INTO afterspan.joined SELECT * FROM unnest($1::text[], $2::text[]) ON CONFLICT (stray) DO UPDATE SET task_id = excluded.task_id`,
      joined.map(({ stray, taskId }) => [stray, taskId]),
    )
    const strays = joined.map(({ stray }) => stray)
    await this.#forget('afterspan.task', 'task_id', strays)
  }

  async #writeRequests(requests: readonly RequestRow[]): Promise<void> {
    await this.#upsert(
      `INSERT INTO afterspan.request (key, trace_id, route, at, row) SELECT * FROM unnest($1::text[], $2::text[], $3::text[], $4::float8[], $5::text[])
       ON CONFLICT (key) DO UPDATE SET route = excluded.route, at = excluded.at, row = excluded.row`,
      lastOf(requests, ({ key }) => key).map((row) => [
        row.key,
        row.key.slice(0, 32),
        indexed(row.answered?.route),
        row.answered?.at ?? 0,
        JSON.stringify(row),
      ]),
    )
    await this.#takeRoutes(requests.filter(({ answered }) => answered?.route).map(({ key }) => key))
  }

  /** A task without a route of its own has that of its request. */
  async #takeRoutes(requests: readonly string[]): Promise<void> {
    if (requests.length === 0) return
    await this.#query(
      `UPDATE afterspan.task t SET route = r.route FROM afterspan.request r
       WHERE r.key = ANY($1) AND t.request_key = r.key AND t.route IS NULL AND r.route IS NOT NULL`,
      [requests],
    )
  }

  async #writeCounters(counters: readonly CounterRow[]): Promise<void> {
    const sums = new Map<string, { readonly name: string; readonly labels: string; value: number }>()
    for (const { name, labels, value } of counters) {
      const text = plain(JSON.stringify(labels, Object.keys(labels).sort()))
      const known = sums.get(`${name} ${text}`)
      if (known) known.value += value
      else sums.set(`${name} ${text}`, { name, labels: text, value })
    }
    await this.#upsert(
      `INSERT INTO afterspan.counter SELECT * FROM unnest($1::text[], $2::text[], $3::text[], $4::float8[])
       ON CONFLICT (folder, name, labels) DO UPDATE SET value = afterspan.counter.value + excluded.value`,
      [...sums.values()].map(({ name, labels, value }) => [this.#folder, name, labels, value]),
    )
  }

  /** Rows turned into columns: one array for each. */
  async #upsert(text: string, rows: readonly (readonly unknown[])[]): Promise<void> {
    if (rows.length === 0) return
    await this.#query(
      text,
      rows[0]!.map((_, column) => rows.map((row) => row[column])),
    )
  }

  async #forget(table: string, column: string, names: readonly string[] | undefined, folder?: string): Promise<void> {
    if (!names?.length) return
    const own = folder === undefined ? '' : ' AND folder = $2'
    await this.#query(
      `DELETE FROM ${table} WHERE ${column} = ANY($1)${own}`,
      folder === undefined ? [names] : [names, folder],
    )
  }

  async #rows<T>(text: string, values: readonly unknown[]): Promise<T[]> {
    return (await this.#query(text, values)).map((row) => JSON.parse(row['row'] as string) as T)
  }
}

function taskColumns({ facts, derived, requestKey, depth, ...rest }: TaskRow, day: string, folder: string): unknown[] {
  const [owner = null, otherOwner = null] = ownersOf(facts, derived.state)
  return [
    facts.taskId,
    day,
    folder,
    facts.origin?.traceId ?? facts.taskId.slice(0, 32),
    requestKey ?? null,
    facts.spawned?.parent ?? null,
    depth,
    derived.state,
    owner,
    otherOwner,
    indexed(facts.spawned?.route),
    facts.spawned?.at ?? facts.attempts[0]?.startedAt ?? 0,
    derived.settledAt ?? heardOfAt(facts), // of an open one: when it was last heard of
    JSON.stringify({ facts, derived, ...(requestKey === undefined ? {} : { requestKey }), depth, ...rest }),
    indexed(messageOfFacts(facts)),
  ]
}

/** PostgreSQL has no NUL in texts. In JSON it is escaped, and may stay. */
function plain(text: string): string {
  return text.replaceAll('\0', '')
}

const MOST_INDEXED = 256

/** An index takes 2,704 bytes. What is longer stands in it by its beginning and a digest; in the row it is whole. */
function indexed(text: string | undefined): string | null {
  if (text === undefined) return null
  if (text.length <= MOST_INDEXED) return plain(text)
  return `${plain(text.slice(0, MOST_INDEXED))} ${createHash('sha256').update(text).digest('hex')}`
}

function lastOf<T>(rows: readonly T[] | undefined, key: (row: T) => string): T[] {
  return [...new Map((rows ?? []).map((row) => [key(row), row])).values()]
}

function findSql({ traceId, states, route, since, limit }: TaskQuery): { text: string; values: unknown[] } {
  const where: string[] = []
  const values: unknown[] = []
  const bind = (value: unknown): string => `$${values.push(value)}`
  if (traceId) where.push(`trace_id = ${bind(traceId)}`)
  if (states?.length) where.push(`state = ANY(${bind(states)})`)
  if (route) where.push(`route = ${bind(indexed(route))}`)
  if (since !== undefined) where.push(`spawned_at >= ${bind(since)}`)
  const filter = where.length > 0 ? `WHERE ${where.join(' AND ')}` : ''
  return { text: `SELECT row FROM afterspan.task ${filter} ORDER BY spawned_at DESC LIMIT ${bind(limit)}`, values }
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
