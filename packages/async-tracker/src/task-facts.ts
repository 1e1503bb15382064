// What is known of one task, gathered from its events. Gathering does not depend on the order in which journals are read: each
// fact has its own place, and the state is derived from all of them (task-state.ts).
import type {
  EpochMs,
  Evidence,
  TaskDescription,
  TaskEvent,
  TaskFailure,
  TaskId,
  TaskReason,
  TraceRef,
} from '@afterspan/core/internal'

export interface TaskFacts {
  readonly taskId: TaskId
  /** Which of the message's readers this task is about: the one that was heard of first. */
  readonly reader?: string
  /** What the others did with theirs: each is a task of its own (task-copies.ts). */
  readonly copies?: Readonly<Record<string, CopyFacts>>
  /** Of such a task: that of the message. */
  readonly copyOf?: TaskId
  readonly description?: TaskDescription
  readonly origin?: TraceRef
  readonly spawned?: {
    readonly at: EpochMs
    readonly by: string
    readonly route?: string
    readonly parent?: TaskId
    readonly deadlineAt?: EpochMs
    readonly candidates?: readonly TraceRef[]
  }
  readonly confirmed?: {
    readonly at: EpochMs
    readonly messageId?: string
    /** Its message could take no carrier along: attempts are found by its id. */
    readonly isFoundById?: true
  }
  /** It left its sender, who asked for no answer. */
  readonly sent?: { readonly at: EpochMs }
  readonly attempts: readonly AttemptFacts[]
  /** Ends of the task as a whole, by the producer's or the broker's word. */
  readonly ends: readonly TaskEnd[]
  readonly reported: readonly string[]
  /** When the collector had the first of them. */
  readonly reportedAt?: EpochMs
  readonly acknowledged?: { readonly at: EpochMs; readonly by: string; readonly note?: string }
  readonly heartbeat?: { readonly at: EpochMs; readonly progress?: number }
}

export interface CopyFacts {
  readonly attempts: readonly AttemptFacts[]
  readonly ends: readonly TaskEnd[]
}

export interface AttemptFacts {
  readonly spanId: string
  /** 0 where the library does not tell. */
  readonly n: number
  /** Key of the process and thread that runs it. */
  readonly by: string
  readonly startedAt: EpochMs
  readonly maxAttempts?: number
  readonly messageId?: string
  /** Whose copy of the message it runs. */
  readonly reader?: string
  /** Where it got it, if not from the task's own destination: a queue, of what was sent to an exchange. */
  readonly destination?: string
  /** The broker took it from the runs before. */
  readonly isTakeover?: true
  /** The broker gave it back: failures before it were none for good. */
  readonly isReturn?: true
  /** Its message carried no context, and it was taken for a task of its own: this one, in a trace of its own. See joining.ts. */
  readonly joinedFrom?: TaskId
  /** By its own report. */
  readonly end?: AttemptEnd
  /** By proof that its owner is dead. Its own report, where one turns up, weighs more. */
  readonly lost?: LostMark
}
export interface AttemptEnd {
  readonly state: 'succeeded' | 'failed' | 'released' | 'cancelled'
  readonly at: EpochMs
  readonly reason?: TaskReason
  readonly failure?: TaskFailure
  readonly willRetry?: boolean
  readonly exitCode?: number
}
export interface LostMark {
  readonly at: EpochMs
  readonly reason: TaskReason
  readonly evidence: Evidence
  readonly culprit?: TraceRef
  readonly failure?: TaskFailure
  readonly exitCode?: number
  readonly signal?: string
}
export type TaskEnd =
  | {
      readonly state: 'failed' | 'cancelled'
      readonly at: EpochMs
      readonly reason: TaskReason
      /** An attempt refutes it. */
      readonly isPresumed?: true
      readonly failure?: TaskFailure
    }
  | ({ readonly state: 'lost' } & LostMark)

/** Of those that read a message beyond so many no copies are kept: their runs count as its own. */
const MOST_COPIES = 50

/** Adds what an event says. Pure, and at-least-once safe: the same event again changes nothing. */
export function gather(known: TaskFacts | undefined, event: TaskEvent, by: string): TaskFacts {
  const facts = known ?? { taskId: event.taskId, attempts: [], ends: [], reported: [] }
  const other = otherReader(facts, event, by)
  if (other === undefined) return gatherOwn(claimed(facts, event), event, by)
  const { attempts, ends, copies } = facts
  const copy = gatherOwn({ ...facts, attempts: [], ends: [], ...copies?.[other] }, event, by)
  return { ...copy, attempts, ends, copies: { ...copies, [other]: { attempts: copy.attempts, ends: copy.ends } } }
}

/** Of whose copy an event tells; undefined: of that which is the task's own. */
function otherReader(facts: TaskFacts, event: TaskEvent, by: string): string | undefined {
  const { copies = {}, attempts } = facts
  const reader = 'reader' in event ? event.reader : undefined
  if (reader !== undefined) {
    return isOwnReader(facts, reader) ? undefined : reader
  }
  if (!facts.copies || !ENDS.has(event.kind)) return undefined
  const spanId = 'spanId' in event ? event.spanId : undefined
  const isMeant = (attempt: AttemptFacts): boolean =>
    spanId === undefined ? attempt.by === by && !attempt.end : attempt.spanId === spanId
  if (attempts.some(isMeant)) return undefined
  return Object.keys(copies).find((name) => copies[name]!.attempts.some(isMeant))
}
const ENDS: ReadonlySet<TaskEvent['kind']> = new Set(['cancelled', 'failed', 'lost', 'released', 'succeeded'])

/** Whether what that reader does is told of the task itself, not of a copy beside it. */
export function isOwnReader({ reader, copies = {} }: TaskFacts, other: string | undefined): boolean {
  if (other === undefined || reader === undefined || reader === other) return true
  return !Object.hasOwn(copies, other) && Object.keys(copies).length >= MOST_COPIES
}

function claimed(facts: TaskFacts, event: TaskEvent): TaskFacts {
  const isNews = facts.reader === undefined && 'reader' in event && event.reader !== undefined
  return isNews ? { ...facts, reader: event.reader } : facts
}

function gatherOwn(facts: TaskFacts, event: TaskEvent, by: string): TaskFacts {
  switch (event.kind) {
    case 'spawned':
      return facts.spawned ? facts : spawn(facts, event, by)
    case 'confirmed': {
      if (facts.confirmed) return facts
      const { at, messageId, description } = event
      const found = messageId && description ? ({ isFoundById: true } as const) : {}
      return { ...facts, confirmed: { at, ...(messageId ? { messageId } : {}), ...found } }
    }
    case 'sent':
      return facts.sent ? facts : { ...facts, sent: { at: event.at } }
    case 'started':
      return start(facts, event, by)
    case 'heartbeat': {
      const { at, progress } = event
      if (facts.heartbeat && facts.heartbeat.at > at) return facts
      return { ...facts, heartbeat: { at, ...(progress === undefined ? {} : { progress }) } }
    }
    case 'succeeded':
    case 'released':
      return end(facts, event, by, { state: event.kind, at: event.at })
    case 'failed': {
      const { at, reason, failure, willRetry, exitCode } = event
      const code = exitCode === undefined ? {} : { exitCode }
      return end(facts, event, by, { state: 'failed', at, reason, failure, willRetry, ...code })
    }
    case 'cancelled':
      if (event.isPresumed)
        return addEnd(facts, { state: 'cancelled', at: event.at, reason: event.reason, isPresumed: true })
      return end(facts, event, by, { state: 'cancelled', at: event.at, reason: event.reason })
    case 'lost':
      return lose(facts, event)
    case 'acknowledged': {
      const { at, by: who, note } = event
      if (facts.acknowledged && facts.acknowledged.at > at) return facts
      return { ...facts, acknowledged: { at, by: who, ...(note ? { note } : {}) } }
    }
    case 'reported':
      return facts.reported.includes(event.spanId)
        ? facts
        : { ...facts, reported: [...facts.reported, event.spanId], reportedAt: facts.reportedAt ?? event.at }
  }
}

type EventOf<K extends TaskEvent['kind']> = Extract<TaskEvent, { readonly kind: K }>

function spawn(facts: TaskFacts, event: EventOf<'spawned'>, by: string): TaskFacts {
  const { at, system, destination, name, origin, route, parent, deadlineAt, candidates } = event
  const { attempts, copies } = facts
  const moved = (of: readonly AttemptFacts[]): readonly AttemptFacts[] =>
    of.map((attempt) => movedTo(destination, facts.description?.destination, attempt))
  return {
    ...facts,
    attempts: moved(attempts),
    ...(copies ? { copies: mapValues(copies, (copy) => ({ ...copy, attempts: moved(copy.attempts) })) } : {}),
    description: { system, destination, name },
    origin,
    spawned: {
      at,
      by,
      ...(route ? { route } : {}),
      ...(parent ? { parent } : {}),
      ...(deadlineAt === undefined ? {} : { deadlineAt }),
      ...(candidates ? { candidates } : {}),
    },
  }
}

/** What was read before its spawn took the destination of the first run for the task's. */
function movedTo(destination: string, before: string | undefined, attempt: AttemptFacts): AttemptFacts {
  const { destination: own = before, ...rest } = attempt
  return own === undefined || own === destination ? rest : { ...rest, destination: own }
}

function mapValues<V>(object: Readonly<Record<string, V>>, map: (value: V) => V): Record<string, V> {
  return Object.fromEntries(Object.entries(object).map(([key, value]) => [key, map(value)]))
}

function start(facts: TaskFacts, event: EventOf<'started'>, by: string): TaskFacts {
  if (facts.attempts.some((attempt) => attempt.spanId === event.spanId)) return facts
  const { at, attempt, spanId, maxAttempts, messageId, reader, isTakeover, isReturn, description, origin } = event
  const isElsewhere = description && facts.description && description.destination !== facts.description.destination
  const started: AttemptFacts = {
    spanId,
    n: attempt,
    by,
    startedAt: at,
    ...(maxAttempts === undefined ? {} : { maxAttempts }),
    ...(messageId ? { messageId } : {}),
    ...(reader ? { reader } : {}),
    ...(isElsewhere ? { destination: description.destination } : {}),
    ...(isTakeover ? { isTakeover } : {}),
    ...(isReturn ? { isReturn } : {}),
  }
  return {
    ...facts,
    // The spawn's own word on the origin is better: it names the request, an attempt only the message's span.
    ...(facts.description || !description ? {} : { description }),
    ...(facts.origin || !origin ? {} : { origin }),
    attempts: inOrder([...facts.attempts, started]),
  }
}

/** By the numbers of the library where each has one of its own: between two runs the wall clock may have been set back. */
export function inOrder(attempts: AttemptFacts[]): AttemptFacts[] {
  if (attempts.length < 2) return attempts
  const numbers = new Set(attempts.map(({ n }) => n))
  const areNumbered = numbers.size === attempts.length && !numbers.has(0)
  return attempts.sort(areNumbered ? (a, b) => a.n - b.n : byStart)
}

/** Within one millisecond by their numbers; what has none is a redelivery, and comes after the first. */
function byStart(a: AttemptFacts, b: AttemptFacts): number {
  return a.startedAt - b.startedAt || (a.n || Infinity) - (b.n || Infinity) || (a.spanId < b.spanId ? -1 : 1)
}

/** The attempt that an event means: by its span, else the newest open one of that writer. */
function find(facts: TaskFacts, spanId: string | undefined, by: string): AttemptFacts | undefined {
  if (spanId !== undefined) return facts.attempts.find((attempt) => attempt.spanId === spanId)
  return facts.attempts.findLast((attempt) => attempt.by === by && !attempt.end)
}

function replace(facts: TaskFacts, old: AttemptFacts, now: AttemptFacts): TaskFacts {
  return { ...facts, attempts: facts.attempts.map((attempt) => (attempt === old ? now : attempt)) }
}

function end(facts: TaskFacts, event: { readonly spanId?: string }, by: string, how: AttemptEnd): TaskFacts {
  if (event.spanId === undefined && isTold(facts, by, how)) return facts
  const attempt = find(facts, event.spanId, by)
  if (attempt) {
    if (!attempt.end) return replace(facts, attempt, { ...attempt, end: how })
    // A rejection that was handled after all: what ended then was no failure.
    const isHandled = how.reason === 'handled' && attempt.end.reason === 'rejected' && !attempt.end.willRetry
    return isHandled ? replace(facts, attempt, { ...attempt, end: { ...how, at: attempt.end.at } }) : facts
  }
  // An end without a start says nothing, unless it is one for good.
  if ((how.state !== 'failed' && how.state !== 'cancelled') || how.willRetry) return facts
  return addEnd(facts, {
    state: how.state,
    at: how.at,
    reason: how.reason ?? 'threw',
    ...(how.failure ? { failure: how.failure } : {}),
  })
}

/** The same nameless end again: not that of the attempt which is open now. */
function isTold({ attempts, ends }: TaskFacts, by: string, { state, reason, at }: AttemptEnd): boolean {
  const isSame = (known: AttemptEnd | TaskEnd | undefined): boolean =>
    known !== undefined && known.state === state && known.reason === reason && known.at === at
  return attempts.some((attempt) => attempt.by === by && isSame(attempt.end)) || ends.some(isSame)
}

function lose(facts: TaskFacts, event: EventOf<'lost'>): TaskFacts {
  const { at, reason, evidence, culprit, failure, exitCode, signal } = event
  const mark: LostMark = {
    at,
    reason,
    evidence,
    ...(culprit ? { culprit } : {}),
    ...(failure ? { failure } : {}),
    ...(exitCode === undefined ? {} : { exitCode }),
    ...(signal ? { signal } : {}),
  }
  if (event.spanId === undefined) return addEnd(facts, { state: 'lost', ...mark })
  const attempt = find(facts, event.spanId, '')
  return !attempt || attempt.lost ? facts : replace(facts, attempt, { ...attempt, lost: mark })
}

/** Of ends for good that say the same, the earliest: brokers tell several processes. A task may be lost again and again. */
function addEnd(facts: TaskFacts, how: TaskEnd): TaskFacts {
  const same = facts.ends.find(
    ({ state, reason, at }) => state === how.state && reason === how.reason && (state !== 'lost' || at === how.at),
  )
  if (!same) return { ...facts, ends: [...facts.ends, how] }
  return same.at <= how.at ? facts : { ...facts, ends: facts.ends.map((known) => (known === same ? how : known)) }
}
