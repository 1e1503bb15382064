// A ledger in memory: the simplest one that does what a ledger must. What the patrol's tests run on, and a second opinion on SQLite.
import { TASK_STATES, type EpochMs, type TaskId, type TaskState } from '@afterspan/core/internal'
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
} from '../../src/ledger/store.ts'
import { forgotten } from '../../src/ledger/forgotten.ts'
import { isDue } from '../../src/ledger/store.ts'
import { messageOfFacts } from '../../src/message-key.ts'
import { ownersOf } from '../../src/task-owner.ts'
import { isUnheard } from '../../src/task-silence.ts'
import { OPEN_STATES } from '../../src/task-state.ts'

interface Tables {
  readonly tasks: Map<TaskId, TaskRow>
  readonly requests: Map<string, RequestRow>
  readonly processes: Map<string, ProcessRow>
  readonly segments: Map<string, number>
  readonly outbox: Map<string, OutboxRow>
  readonly counters: Map<string, CounterRow>
  readonly joined: Map<TaskId, TaskId>
}
const EMPTY: Tables = {
  tasks: new Map(),
  requests: new Map(),
  processes: new Map(),
  segments: new Map(),
  outbox: new Map(),
  counters: new Map(),
  joined: new Map(),
}

export class MemoryLedger implements LedgerStore {
  readonly name = 'memory'
  readonly isShared = false
  readonly isDamaged = false
  #tables = copyOf(EMPTY)

  async open(): Promise<void> {}
  async close(): Promise<void> {}

  async commit(change: LedgerChange): Promise<void> {
    const next = copyOf(this.#tables)
    apply(next, structuredClone(change))
    this.#tables = next
  }

  exclusive<T>(work: (ledger: LedgerStore) => Promise<T>): Promise<T> {
    return work(this)
  }
  async lapsed(): Promise<readonly ProcessRow[]> {
    return []
  }

  async tasks(ids: readonly TaskId[]): Promise<Map<TaskId, TaskRow>> {
    return picked(this.#tables.tasks, ids)
  }
  async tasksOfMessages(keys: readonly string[]): Promise<readonly TaskRow[]> {
    return this.#tasksWhere(({ facts }) => keys.includes(messageOfFacts(facts) ?? ''))
  }
  async joinedFromTrace(traceId: string): Promise<readonly TaskId[]> {
    const found = [...this.#tables.joined].filter(([stray]) => stray.startsWith(traceId))
    return [...new Set(found.map(([, taskId]) => taskId))]
  }
  async joined(ids: readonly TaskId[]): Promise<ReadonlyMap<TaskId, TaskId>> {
    return picked(this.#tables.joined, ids)
  }
  async openTasksOf(keys: readonly string[]): Promise<readonly TaskId[]> {
    const isOwned = ({ facts, derived }: TaskRow): boolean =>
      ownersOf(facts, derived.state).some((key) => keys.includes(key))
    return this.#tasksWhere(isOwned).map(({ facts }) => facts.taskId)
  }
  async tasksOfRequests(keys: readonly string[]): Promise<readonly TaskStanding[]> {
    const wanted = new Set(keys)
    return this.#tasksWhere(({ requestKey }) => requestKey !== undefined && wanted.has(requestKey)).map(standingOf)
  }
  async orphans(): Promise<ReadonlyMap<TaskId, readonly TaskId[]>> {
    const waiting = this.#tasksWhere(({ facts, requestKey }) => facts.spawned?.parent !== undefined && !requestKey)
    const byParent = Map.groupBy(waiting, ({ facts }) => facts.spawned!.parent!)
    return new Map([...byParent].map(([parent, rows]) => [parent, rows.map(({ facts }) => facts.taskId)]))
  }
  async find({ traceId, states, route, since, limit }: TaskQuery): Promise<readonly TaskRow[]> {
    const routeOf = (key: string | undefined): string | undefined =>
      key === undefined ? undefined : this.#tables.requests.get(key)?.answered?.route
    const found = this.#tasksWhere((row) => {
      const { facts, derived, requestKey } = row
      if (traceId && (facts.origin?.traceId ?? facts.taskId.slice(0, 32)) !== traceId) return false
      if (states?.length && !states.includes(derived.state)) return false
      if (route && (facts.spawned?.route ?? routeOf(requestKey)) !== route) return false
      return since === undefined || spawnedAt(row) >= since
    })
    return found.sort((a, b) => spawnedAt(b) - spawnedAt(a)).slice(0, limit)
  }
  async requests(keys: readonly string[]): Promise<ReadonlyMap<string, RequestRow>> {
    return picked(this.#tables.requests, keys)
  }
  async requestsOfTrace(traceId: string): Promise<readonly RequestRow[]> {
    const rows = [...this.#tables.requests.values()].filter(({ key }) => key.startsWith(traceId))
    return rows.sort((a, b) => (a.answered?.at ?? 0) - (b.answered?.at ?? 0))
  }
  async processes(mostDead = Infinity): Promise<readonly ProcessRow[]> {
    const all = Map.groupBy(this.#tables.processes.values(), ({ deadAt }) => deadAt !== undefined)
    const dead = (all.get(true) ?? []).sort((a, b) => a.deadAt! - b.deadAt!)
    return [...(all.get(false) ?? []), ...dead.slice(Math.max(0, dead.length - mostDead))]
  }
  async processesOf(keys: readonly string[]): Promise<readonly ProcessRow[]> {
    return keys.flatMap((key) => this.#tables.processes.get(key) ?? [])
  }
  async segments(): Promise<ReadonlyMap<string, number>> {
    return new Map(this.#tables.segments)
  }
  async dueOutbox(now: EpochMs, limit: number): Promise<readonly OutboxRow[]> {
    const due = [...this.#tables.outbox.values()].filter(({ nextAt }) => isDue(nextAt, now))
    return due.sort((a, b) => a.nextAt - b.nextAt).slice(0, limit)
  }
  async trimOutbox(maxBytes: number): Promise<number> {
    const { outbox } = this.#tables
    const newestFirst = [...outbox.values()].sort((a, b) => a.tries - b.tries || b.nextAt - a.nextAt)
    let bytes = 0
    const tooMany = newestFirst.filter(({ body }) => (bytes += body.length) > maxBytes)
    for (const { spanId } of tooMany) outbox.delete(spanId)
    return tooMany.length
  }
  async counters(): Promise<readonly CounterRow[]> {
    return [...this.#tables.counters.values()]
  }
  async countsByState(states: readonly TaskState[] = TASK_STATES): Promise<Readonly<Record<TaskState, number>>> {
    const count = (state: TaskState): number =>
      states.includes(state) ? this.#tasksWhere(({ derived }) => derived.state === state).length : 0
    return Object.fromEntries(TASK_STATES.map((state) => [state, count(state)])) as Record<TaskState, number>
  }

  async oldestOpen(limit: number, since = 0): Promise<readonly TaskRow[]> {
    return [...OPEN_STATES].flatMap((state) =>
      this.#tasksWhere((row) => row.derived.state === state && (state === 'running' || spawnedAt(row) >= since))
        .toSorted((a, b) => (a.facts.spawned?.at ?? 0) - (b.facts.spawned?.at ?? 0))
        .slice(0, limit),
    )
  }

  async prune({ before, unheardBefore = -Infinity as EpochMs, maxBytes }: PruneLimits): Promise<number> {
    const { tasks, requests, processes } = this.#tables
    const size = tasks.size
    const hasTask = (key: string): boolean => this.#tasksWhere(({ requestKey }) => requestKey === key).length > 0
    for (const { facts, derived } of tasks.values())
      if (derived.settledAt !== undefined && derived.settledAt < before) tasks.delete(facts.taskId)
    const forget = (row: TaskRow): void => {
      tasks.delete(row.facts.taskId)
      if (row.requestKey && !hasTask(row.requestKey)) requests.delete(row.requestKey)
      apply(this.#tables, { counters: forgotten([row]) })
    }
    for (const row of tasks.values()) if (isUnheard(row.facts, row.derived.state, unheardBefore)) forget(row)
    for (const { key, answered } of requests.values())
      if ((answered?.at ?? 0) < before && !hasTask(key)) requests.delete(key)
    for (const { key, deadAt } of processes.values()) if (deadAt !== undefined && deadAt < before) processes.delete(key)
    let bytes = JSON.stringify([...tasks.values(), ...requests.values()]).length
    for (const isNext of [
      ({ derived: { state } }: TaskRow) => state === 'succeeded' || state === 'cancelled',
      ({ facts, derived }: TaskRow) => isUnheard(facts, derived.state, Infinity as EpochMs),
      ({ derived: { state } }: TaskRow) => state === 'failed' || state === 'lost',
    ])
      for (const row of this.#tasksWhere(isNext).sort((a, b) => spawnedAt(a) - spawnedAt(b))) {
        if (bytes <= maxBytes) break
        bytes -= JSON.stringify(row).length
        if (OPEN_STATES.has(row.derived.state)) forget(row)
        else tasks.delete(row.facts.taskId)
      }
    for (const [stray, taskId] of this.#tables.joined) if (!tasks.has(taskId)) this.#tables.joined.delete(stray)
    if (tasks.size < size) for (const key of requests.keys()) if (maxBytes < 1e12 && !hasTask(key)) requests.delete(key)
    return size - tasks.size
  }

  #tasksWhere(isWanted: (row: TaskRow) => boolean): TaskRow[] {
    return [...this.#tables.tasks.values()].filter(isWanted)
  }
}

function apply(tables: Tables, change: LedgerChange): void {
  for (const row of change.tasks ?? []) tables.tasks.set(row.facts.taskId, row)
  for (const { stray, taskId } of change.joined ?? []) {
    tables.joined.set(stray, taskId)
    tables.tasks.delete(stray)
  }
  for (const row of change.requests ?? []) tables.requests.set(row.key, row)
  for (const key of change.forgottenRequests ?? []) tables.requests.delete(key)
  for (const row of change.processes ?? []) tables.processes.set(row.key, row)
  for (const { file, offset } of change.segments ?? []) tables.segments.set(file, offset)
  for (const file of change.forgottenSegments ?? []) tables.segments.delete(file)
  for (const row of change.outbox ?? []) {
    const body = tables.outbox.get(row.spanId)?.body ?? row.body
    tables.outbox.set(row.spanId, { ...row, body })
  }
  for (const spanId of change.deliveredSpans ?? []) tables.outbox.delete(spanId)
  for (const { name, labels, value } of change.counters ?? []) {
    const key = name + JSON.stringify(labels, Object.keys(labels).sort())
    tables.counters.set(key, { name, labels, value: (tables.counters.get(key)?.value ?? 0) + value })
  }
}

function copyOf(tables: Tables): Tables {
  return {
    tasks: new Map(tables.tasks),
    requests: new Map(tables.requests),
    processes: new Map(tables.processes),
    segments: new Map(tables.segments),
    outbox: new Map(tables.outbox),
    counters: new Map(tables.counters),
    joined: new Map(tables.joined),
  }
}

function picked<K, V>(from: ReadonlyMap<K, V>, keys: readonly K[]): Map<K, V> {
  return new Map(keys.filter((key) => from.has(key)).map((key) => [key, from.get(key)!]))
}

function spawnedAt({ facts }: TaskRow): number {
  return facts.spawned?.at ?? facts.attempts[0]?.startedAt ?? 0
}

function standingOf({ facts, derived, requestKey, depth }: TaskRow): TaskStanding {
  return { taskId: facts.taskId, requestKey: requestKey!, depth, state: derived.state }
}
