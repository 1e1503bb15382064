// What a batch of events changes. No I/O: what is known goes in, the change to commit comes out; so every decision of the patrol
// can be tested without a disk, and a patrol that dies in between decides the same again.
import type { EpochMs, JournalEvent, LateSpawn, TaskEvent, TaskId, TaskSpawned } from '@afterspan/core/internal'
import type {
  LedgerChange,
  OutboxRow,
  ProcessRow,
  RequestKey,
  RequestRow,
  TaskRow,
  TaskStanding,
} from '../ledger/store.ts'
import { messageOf, type MessageKey } from '../message-key.ts'
import { judgeRequest } from '../request-outcome.ts'
import { changedCopies, copyFacts } from '../task-copies.ts'
import { gather, type CopyFacts, type TaskFacts } from '../task-facts.ts'
import { deriveState, type DerivedState } from '../task-state.ts'
import { isNameless, namelessRow } from './nameless.ts'
import { Counting } from './counting.ts'
import { answeredSpan } from '../told-span.ts'
import { lateRequest } from './late-request.ts'
import { join, redirected, toldAs } from './joining.ts'
import { joinedSpans, request, spansToTell } from './telling.ts'

export interface Batch {
  /** Writer of the events. */
  readonly by: string
  readonly events: readonly JournalEvent[]
}

/** Everything that the events of a batch touch, as far as it is there. */
export interface Known {
  readonly now: EpochMs
  /** Those that are found by a message of the batch too. */
  readonly tasks: ReadonlyMap<TaskId, TaskRow>
  readonly requests: ReadonlyMap<RequestKey, RequestRow>
  readonly tasksOfRequests: readonly TaskStanding[]
  readonly processes: Pick<ReadonlyMap<string, ProcessRow>, 'get'>
  /** Children that were seen before their parents, by the parent. */
  readonly orphans: ReadonlyMap<TaskId, readonly TaskId[]>
  /** Of the counters of tasks that there are: see counting.ts. */
  readonly kinds?: ReadonlySet<string>
  /** Attempts that were taken for tasks of their own, and the tasks that they belong to. */
  readonly joined: ReadonlyMap<TaskId, TaskId>
}

export function requestKeyOf({ traceId, spanId }: { readonly traceId: string; readonly spanId: string }): RequestKey {
  return traceId + spanId
}

/** Ids that `digest` will ask for. */
export function touchedBy(batches: readonly Batch[]): {
  readonly tasks: readonly TaskId[]
  readonly requests: readonly RequestKey[]
  /** Of the requests, those of which a batch itself says how they were answered. They are judged, and those that the ledger has. */
  readonly answered: ReadonlySet<RequestKey>
  readonly messages: readonly MessageKey[]
  /** Of the tasks, those that a batch itself announces: they are nobody's attempts. */
  readonly announced: ReadonlySet<TaskId>
} {
  const tasks = new Set<TaskId>()
  const announced = new Set<TaskId>()
  const messages = new Set<MessageKey>()
  const requests = new Set<RequestKey>()
  const answered = new Set<RequestKey>()
  for (const { events } of batches)
    for (const event of events) {
      if ('taskId' in event) tasks.add(event.taskId)
      if (event.kind === 'spawned') announced.add(event.taskId)
      const message = messageOf(event)
      if (message !== undefined) messages.add(message)
      if (event.kind === 'spawned' && event.parent) tasks.add(event.parent)
      if (!('origin' in event) || !event.origin) continue
      const key = requestKeyOf(event.origin)
      // A message that no request sent has its own span for an origin, and each attempt names that of its message.
      if (!('taskId' in event) || key !== event.taskId) requests.add(key)
      if (event.kind === 'answered' || (event.kind === 'spawned' && event.late)) answered.add(key)
    }
  return { tasks: [...tasks], requests: [...requests], answered, messages: [...messages], announced }
}

export function digest(batches: readonly Batch[], known: Known): LedgerChange {
  const work = createWork(known)
  for (const { by, events } of batches) for (const event of events) take(work, event, by)
  if (work.hasMessages) joinStrays(work)
  settleTasks(work)
  settleRequests(work)
  return {
    tasks: [...work.tasks.values()],
    joined: [...work.joined].map(([stray, taskId]) => ({ stray, taskId })),
    requests: [...work.requests.values()].filter((row) => row !== undefined),
    forgottenRequests: [...work.requests]
      .filter(([key, row]) => row === undefined && known.requests.has(key))
      .map(([key]) => key),
    processes: [...work.processes.values()],
    outbox: [...work.outbox.values()],
    counters: work.counting.rows(),
  }
}

interface Work {
  readonly known: Known
  /** Facts as they grow; rows when they are settled. */
  readonly facts: Map<TaskId, TaskFacts>
  readonly told: Map<TaskId, { readonly event: TaskEvent; readonly by: string }[]>
  readonly late: Map<RequestKey, { readonly by: string; readonly event: TaskSpawned; readonly late: LateSpawn }>
  readonly tasks: Map<TaskId, TaskRow>
  /** Undefined: to be forgotten. */
  readonly requests: Map<RequestKey, RequestRow | undefined>
  readonly processes: Map<string, ProcessRow>
  readonly outbox: Map<string, OutboxRow>
  readonly counting: Counting
  readonly joined: Map<TaskId, TaskId>
  /** Something was said that a task is found by. */
  hasMessages: boolean
}

function createWork(known: Known): Work {
  return {
    known,
    facts: new Map(),
    told: new Map(),
    late: new Map(),
    tasks: new Map(),
    requests: new Map(),
    processes: new Map(),
    outbox: new Map(),
    counting: new Counting(known.kinds),
    joined: new Map(),
    hasMessages: false,
  }
}

/** An app that starts a thread for each request ends many; each is asked for within a sweep or two. */
const MOST_ENDED_THREADS = 256

const KINDS: Readonly<Record<JournalEvent['kind'], true>> = {
  acknowledged: true,
  answered: true,
  cancelled: true,
  confirmed: true,
  crashed: true,
  emptied: true,
  exiting: true,
  failed: true,
  heartbeat: true,
  lost: true,
  opened: true,
  released: true,
  reported: true,
  sent: true,
  spawned: true,
  started: true,
  succeeded: true,
  thread_ended: true,
}

function take(work: Work, event: JournalEvent, by: string): void {
  if (!Object.hasOwn(KINDS, event.kind)) return // written by a later version
  if (event.kind !== 'opened' && !processOf(work, by)) work.processes.set(by, namelessRow(by, event.at))
  if ('taskId' in event) {
    work.hasMessages ||= messageOf(event) !== undefined
    takeTask(work, redirected(event, work.known.joined), by)
    return
  }
  switch (event.kind) {
    case 'answered': {
      const key = requestKeyOf(event.origin)
      const known = requestOf(work, key)
      // What was answered stays so: a death after it may still have left its note in the flight log.
      if (known?.answered && event.outcome === 'crashed') return
      work.requests.set(key, { isRecovered: false, ...known, key, by, answered: event })
      return
    }
    case 'opened': {
      const { worker, resource, sdkVersion, at } = event
      const row = processOf(work, by)
      if (!row || isNameless(row))
        work.processes.set(by, { ...row, key: by, worker, resource, sdkVersion, openedAt: at })
      return
    }
    case 'thread_ended': {
      const row = processOf(work, by)
      if (!row) return
      const endedThreads = [...(row.endedThreads ?? []), event].slice(-MOST_ENDED_THREADS)
      work.processes.set(by, { ...row, endedThreads })
      return
    }
    case 'emptied':
      return // what waited there is looked for when all is read: see emptied.ts
    default: {
      const row = processOf(work, by)
      if (row) work.processes.set(by, { ...row, [event.kind]: event })
    }
  }
}

function takeTask(work: Work, event: TaskEvent, by: string): void {
  const { taskId } = event
  const before = work.facts.get(taskId) ?? work.known.tasks.get(taskId)?.facts
  work.facts.set(taskId, gather(before, event, by))
  if (event.kind === 'failed' || event.kind === 'lost') {
    const told = work.told.get(taskId)
    if (told) told.push({ event, by })
    else work.told.set(taskId, [{ event, by }])
  }
  if (event.kind === 'spawned' && event.late) work.late.set(requestKeyOf(event.origin), { by, event, late: event.late })
}

function joinStrays(work: Work): void {
  const { known, facts, told } = work
  const before = new Map([...known.tasks].map(([taskId, row]) => [taskId, row.facts]))
  for (const [taskId, one] of facts) before.set(taskId, one)
  const after = new Map(before)
  for (const [stray, taskId] of join(after)) {
    work.joined.set(stray, taskId)
    facts.delete(stray)
    const news = told.get(stray)?.map(({ event, by }) => ({ by, event: { ...event, taskId } }))
    told.delete(stray)
    if (news) told.set(taskId, [...(told.get(taskId) ?? []), ...news])
  }
  for (const [taskId, one] of after) if (one !== before.get(taskId)) facts.set(taskId, one)
}

function requestOf(work: Work, key: RequestKey): RequestRow | undefined {
  return work.requests.has(key) ? work.requests.get(key) : work.known.requests.get(key)
}

function processOf(work: Work, key: string): ProcessRow | undefined {
  return work.processes.get(key) ?? work.known.processes.get(key)
}

function settleTasks(work: Work): void {
  for (const [taskId, facts] of work.facts) {
    const before = work.known.tasks.get(taskId)
    const derived = deriveState(facts)
    work.tasks.set(taskId, { facts, derived, ...(placeIn(before) ?? placeOf(work, facts)) })
    countSettled(work, facts, before, derived)
    for (const { event, by } of work.told.get(taskId) ?? []) tellBadNews(work, whoseNews(facts, event), event, by)
    tellJoined(work, facts)
  }
  const waiting = waitingByParent(work)
  if (waiting.size > 0 || work.known.orphans.size > 0)
    for (const taskId of work.facts.keys()) adopt(work, taskId, waiting)
  // Last: each has the place of the message's own task.
  for (const [taskId, row] of work.tasks) if (row.facts.copies) settleCopies(work, row, work.known.tasks.get(taskId))
}

function waitingByParent({ tasks }: Work): Map<TaskId, TaskId[]> {
  const waiting = new Map<TaskId, TaskId[]>()
  for (const [taskId, { facts, requestKey }] of tasks) {
    const parent = facts.spawned?.parent
    if (requestKey || !parent) continue
    const others = waiting.get(parent)
    if (others) others.push(taskId)
    else waiting.set(parent, [taskId])
  }
  return waiting
}

function settleCopies(work: Work, row: TaskRow, before: TaskRow | undefined): void {
  const { facts, requestKey } = row
  const isMoved = before?.requestKey !== requestKey
  const changed = isMoved ? Object.entries(facts.copies!) : changedCopies(before?.facts, facts)
  for (const [reader, copy] of changed) {
    const made = copyFacts(facts, reader, copy)
    const known = work.known.tasks.get(made.taskId)
    const { reported, reportedAt } = known?.facts ?? made
    const now = { ...made, reported, ...(reportedAt === undefined ? {} : { reportedAt }) }
    const derived = deriveState(now)
    work.tasks.set(made.taskId, { ...row, facts: now, derived })
    countSettled(work, now, known, derived)
    tellJoined(work, now)
  }
}

function countSettled(work: Work, facts: TaskFacts, before: TaskRow | undefined, now: DerivedState): void {
  work.counting.task(facts, (toldAs(facts, now.state, work.joined, work.known.tasks) ?? before)?.derived, now)
}

function tellJoined(work: Work, facts: TaskFacts): void {
  for (const row of joinedSpans(facts, (by) => processOf(work, by), work.known.now))
    if (!facts.reported.includes(row.spanId)) work.outbox.set(row.spanId, row)
}

/** The copy that the news is of, as the task that it is. */
function whoseNews(facts: TaskFacts, event: TaskEvent): TaskFacts {
  const { copies } = facts
  if (!copies) return facts
  const reader = Object.keys(copies).find((name) => isOf(event, copies[name]!))
  return reader === undefined ? facts : copyFacts(facts, reader, copies[reader]!)
}

function isOf(event: TaskEvent, { attempts, ends }: CopyFacts): boolean {
  const { spanId, reason } = event as { readonly spanId?: string; readonly reason?: string }
  if (spanId !== undefined) return attempts.some((attempt) => attempt.spanId === spanId)
  return (
    ends.some((end) => end.at === event.at && end.reason === reason) ||
    attempts.some(({ end }) => end?.at === event.at && end.reason === reason)
  )
}

type Place = Pick<TaskRow, 'requestKey' | 'depth'>

/** A place that was found stays: the parent need not be known to find it again. */
function placeIn(row: TaskRow | undefined): Place | undefined {
  return row?.requestKey ? { requestKey: row.requestKey, depth: row.depth } : undefined
}

/** The request that a task belongs to, itself or through its parents, and how far down it is. */
function placeOf(work: Work, facts: TaskFacts): Place {
  const parent = facts.spawned?.parent
  if (!parent)
    return facts.spawned && facts.origin ? { requestKey: requestKeyOf(facts.origin), depth: 0 } : { depth: 0 }
  const settled = work.tasks.get(parent)
  const row = settled ?? work.known.tasks.get(parent)
  if (row?.requestKey) return { requestKey: row.requestKey, depth: row.depth + 1 }
  // A parent of the same batch whose turn comes later.
  const waiting = work.facts.get(parent)
  if (!settled && waiting && waiting !== facts && !isAncestor(work, facts.taskId, waiting)) {
    const place = placeOf(work, waiting)
    return { ...place, depth: place.depth + 1 }
  }
  return { depth: 1 }
}

function isAncestor(work: Work, taskId: TaskId, of: TaskFacts): boolean {
  let at: TaskFacts | undefined = of
  for (let steps = 0; at && steps < 100; steps++) {
    if (at.taskId === taskId) return true
    const up: TaskId | undefined = at.spawned?.parent
    at = up ? work.facts.get(up) : undefined
  }
  return at !== undefined
}

/** Children that came before their parent get their place now: those that the ledger knows, and those of this batch. */
function adopt(work: Work, parent: TaskId, waiting: ReadonlyMap<TaskId, readonly TaskId[]>): void {
  const row = work.tasks.get(parent)
  if (!row?.requestKey) return
  for (const child of [...(work.known.orphans.get(parent) ?? []), ...(waiting.get(parent) ?? [])]) {
    const known = work.tasks.get(child) ?? work.known.tasks.get(child)
    if (!known || known.requestKey) continue
    work.tasks.set(child, { ...known, requestKey: row.requestKey, depth: row.depth + 1 })
    adopt(work, child, waiting)
  }
}

function tellBadNews(work: Work, facts: TaskFacts, event: TaskEvent, by: string): void {
  const worker = processOf(work, by)
  // What was told stays told: other bytes under the same id would be another span.
  for (const row of spansToTell(facts, event, worker, work.known.now))
    if (!work.outbox.has(row.spanId) && !facts.reported.includes(row.spanId)) work.outbox.set(row.spanId, row)
}

function settleRequests(work: Work): void {
  for (const [key, { by, event, late }] of work.late)
    if (!requestOf(work, key))
      work.requests.set(key, lateRequest(key, by, event, { ...late, service: processOf(work, by)?.worker.service }))
  const touched = new Set<RequestKey>()
  for (const { requestKey } of work.tasks.values())
    if (requestKey && requestOf(work, requestKey)) touched.add(requestKey)
  for (const [key, row] of work.requests) if (row) touched.add(key)
  const tasksOf = tasksByRequest(work, touched)
  for (const key of touched) {
    const row = requestOf(work, key)!
    const tasks = tasksOf.get(key) ?? []
    const verdict = judgeRequest(
      row,
      tasks.map(({ state }) => state),
      tasks.filter(({ depth }) => depth === 0).length,
    )
    if (!verdict) continue
    work.counting.request(row.answered!, verdict)
    if (verdict === 'false_success' && !row.answered!.origin.sampled) tellAgain(work, row)
    work.requests.set(key, verdict === 'recovered' ? { ...row, isRecovered: true } : { ...row, counted: verdict })
  }
}

function tellAgain(work: Work, row: RequestRow): void {
  const span = answeredSpan(row.answered!)
  const body = request(span, processOf(work, row.by))
  work.outbox.set(span.spanId, { spanId: span.spanId, body, tries: 0, nextAt: work.known.now })
}

function tasksByRequest(work: Work, touched: ReadonlySet<RequestKey>): Map<RequestKey, TaskStanding[]> {
  if (touched.size === 0) return new Map()
  const byRequest = new Map<RequestKey, TaskStanding[]>()
  const add = (row: TaskStanding): void => {
    if (!touched.has(row.requestKey)) return
    const rows = byRequest.get(row.requestKey)
    if (rows) rows.push(row)
    else byRequest.set(row.requestKey, [row])
  }
  for (const row of work.known.tasksOfRequests) if (!work.tasks.has(row.taskId)) add(row)
  for (const [taskId, { requestKey, depth, derived }] of work.tasks)
    if (requestKey) add({ taskId, requestKey, depth, state: derived.state })
  return byRequest
}
