import type { EpochMs, Receipt, TaskRecord, TaskState, WorkerRef } from '@afterspan/core/internal'
import type { LedgerStore, RequestRow, TaskRow } from './ledger/store.ts'
import { copiesOf } from './task-copies.ts'
import { toRecord } from './task-record.ts'
import { BAD_STATES, OPEN_STATES } from './task-state.ts'

/** What readers need of the patrol beside its ledger. */
export interface RecordSource {
  readonly ledger: LedgerStore
  readonly now: () => EpochMs
  /** How long an open task of which nothing is heard is waited for. Absent: for ever. */
  readonly silenceMs?: number
  /** Those that these keys name, as far as they are known. */
  processes(keys: readonly string[]): Promise<Pick<ReadonlyMap<string, { readonly worker: WorkerRef }>, 'get'>>
  isStalled(key: string): boolean
}

/** Of one receipt. */
const MOST_TASKS = 10_000

/** Everything that the ledger knows about one trace. */
export async function makeReceipt(traceId: string, source: RecordSource): Promise<Receipt> {
  const { ledger } = source
  const own = await ledger.requestsOfTrace(traceId)
  const { found, omitted } = await tasksOfTrace(traceId, own, ledger)
  const rows = await withJoined(traceId, found, ledger)
  const requests = await withPromising(own, rows, ledger)
  const tasks = await recordsOf(copiesBeside(rows.toReversed()), requests, source)
  const request = describeRequest(requests, rows)
  const verdict = verdictOf(tasks, requests)
  return { traceId, ...(request ? { request } : {}), verdict, tasks, ...(omitted > 0 ? { omitted } : {}) }
}

/** Newest first. What was spawned by work in a trace of its own (a batch, a message without context) is still its request's. */
async function tasksOfTrace(traceId: string, requests: readonly RequestRow[], ledger: LedgerStore): Promise<Found> {
  const rows = await ledger.find({ traceId, limit: MOST_TASKS })
  const known = new Map(rows.map((row) => [row.facts.taskId, row]))
  // Beyond so many, what went badly is told first, and then what has not ended: by that a promise is judged.
  if (rows.length === MOST_TASKS)
    for (const states of [BAD_STATES, OPEN_STATES])
      for (const row of await ledger.find({ traceId, states: [...states], limit: MOST_TASKS }))
        known.set(row.facts.taskId, row)
  const promised = await ledger.tasksOfRequests(requests.map(({ key }) => key))
  const missing = promised.filter(({ taskId }) => !known.has(taskId))
  if (missing.length === 0 && known.size === rows.length) return { found: [...rows], omitted: 0 }
  const first = missing.toSorted((a, b) => rankOf(a) - rankOf(b)).slice(0, MOST_TASKS)
  for (const [id, row] of await ledger.tasks(first.map(({ taskId }) => taskId))) known.set(id, row)
  const all = [...known.values()].sort(newestFirst)
  const most = all.toSorted((a, b) => rankOf(a.derived) - rankOf(b.derived)).slice(0, MOST_TASKS)
  return { found: most.sort(newestFirst), omitted: all.length + missing.length - first.length - most.length }
}

/** Newest first. */
interface Found {
  readonly found: TaskRow[]
  /** How many more there are. */
  readonly omitted: number
}

function rankOf({ state }: { readonly state: TaskState }): number {
  return BAD_STATES.has(state) ? 0 : OPEN_STATES.has(state) ? 1 : 2
}
function newestFirst(a: TaskRow, b: TaskRow): number {
  return spawnedAt(b) - spawnedAt(a)
}

/** Asked by the trace of a run whose message carried no context: the task that it was a run of, wherever that was promised. */
async function withJoined(traceId: string, rows: TaskRow[], ledger: LedgerStore): Promise<TaskRow[]> {
  const joined = await ledger.joinedFromTrace(traceId)
  if (joined.length === 0) return rows
  const known = new Map(rows.map((row) => [row.facts.taskId, row]))
  const tasks = await ledger.tasks(joined.slice(0, MOST_TASKS))
  const copies = [...tasks.values()].flatMap(({ facts }) => copiesOf(facts))
  for (const found of [tasks, await ledger.tasks(copies)]) for (const [taskId, row] of found) known.set(taskId, row)
  return [...known.values()].sort(newestFirst)
}

/** With the requests that promised what is there. */
async function withPromising(
  own: readonly RequestRow[],
  rows: readonly TaskRow[],
  ledger: LedgerStore,
): Promise<readonly RequestRow[]> {
  const known = new Set(own.map(({ key }) => key))
  const keys = new Set(rows.map(({ requestKey }) => requestKey).filter((key) => key !== undefined && !known.has(key)))
  return keys.size === 0 ? own : [...own, ...(await ledger.requests([...keys] as string[])).values()]
}

function spawnedAt({ facts }: TaskRow): number {
  return facts.spawned?.at ?? facts.attempts[0]?.startedAt ?? 0
}

/** What several readers made of one message stands together, that of the first at the head. */
function copiesBeside(rows: readonly TaskRow[]): readonly TaskRow[] {
  const copies = Map.groupBy(rows, ({ facts }) => facts.copyOf)
  if (copies.size === 1 && copies.has(undefined)) return rows
  const isThere = new Set(rows.map(({ facts }) => facts.taskId))
  return rows.flatMap((row) => {
    const { taskId, copyOf } = row.facts
    if (copyOf !== undefined) return isThere.has(copyOf) ? [] : [row]
    return [row, ...(copies.get(taskId) ?? []).toSorted(byReader)]
  })
}
function byReader({ facts: a }: TaskRow, { facts: b }: TaskRow): number {
  return (a.reader ?? '') < (b.reader ?? '') ? -1 : 1
}

export async function recordsOf(
  rows: readonly TaskRow[],
  requests: readonly RequestRow[],
  source: RecordSource,
): Promise<TaskRecord[]> {
  const workers = new Set(rows.flatMap(({ facts }) => facts.attempts.map(({ by }) => by)))
  const processes = await source.processes([...workers])
  const byKey = new Map(requests.map((row) => [row.key, row]))
  const now = source.now()
  const unheard = source.silenceMs === undefined ? {} : { unheardBefore: (now - source.silenceMs) as EpochMs }
  return rows.map(({ facts, depth, requestKey }) => {
    const answered = requestKey === undefined ? undefined : byKey.get(requestKey)?.answered
    return toRecord(facts, {
      now,
      ...unheard,
      depth,
      ...(answered?.route ? { route: answered.route } : {}),
      ...(answered?.status === undefined ? {} : { requestStatus: answered.status }),
      worker: (key) => processes.get(key)?.worker,
      isStalled: (key) => source.isStalled(key),
    })
  })
}

/** The request that promised the tasks; of several in one trace (services calling each other) the first. */
function describeRequest(requests: readonly RequestRow[], rows: readonly TaskRow[]): Receipt['request'] {
  const promised = new Set(rows.map((row) => row.requestKey))
  const row = requests.find(({ key }) => promised.has(key)) ?? requests[0]
  if (!row) return undefined
  if (!row.answered) return undefined
  const { method, route, status, startedAt, service, outcome } = row.answered
  return {
    method,
    ...(route ? { route } : {}),
    ...(status === undefined ? {} : { status }),
    at: startedAt,
    ...(service ? { service } : {}),
    outcome,
  }
}

function verdictOf(tasks: readonly TaskRecord[], requests: readonly RequestRow[]): Receipt['verdict'] {
  if (tasks.some(({ state }) => BAD_STATES.has(state))) return 'broken'
  if (tasks.some(({ state }) => OPEN_STATES.has(state))) return 'open'
  if (tasks.length > 0) return 'kept'
  if (requests.length === 0) return 'unknown'
  return requests.some(({ answered }) => answered && answered.outcome !== 'sent') ? 'broken' : 'promised_nothing'
}
