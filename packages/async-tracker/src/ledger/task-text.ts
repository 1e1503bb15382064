// A task as one short text. Half of what the patrol costs is bytes: names of fields, ids that stand in the task's own, and times of
// thirteen digits would be most of a row. What is rare keeps its names. Written and read only here; rows of before are whole objects.
import type { EpochMs, TaskDescription, TaskId, TraceRef } from '@afterspan/core/internal'
import type { AttemptEnd, AttemptFacts, TaskFacts } from '../task-facts.ts'
import type { DerivedState } from '../task-state.ts'
import type { TaskRow } from './store.ts'

type Rare<T> = T | 0
/** From the first time of the task on, or that time itself as text, where a sum would not be the same number again. */
type Since = number | string
type EndText = readonly [state: AttemptEnd['state'], at: Since, more?: object]
type AttemptText = readonly [spanId: string, n: number, by: string, startedAt: Since, end: Rare<EndText>, more?: object]
type Flags = 0 | 1 | 2 | 3 | 4 | 5 | 6 | 7
type DerivedText = readonly [state: string, settledAt: Since | null, flags: Flags, more?: object]
type Text = readonly [
  base: number,
  requestKey: Rare<string | 1>,
  depth: number,
  derived: DerivedText,
  origin: Rare<string | TraceRef>,
  description: Rare<readonly string[] | TaskDescription>,
  spawned: Rare<readonly [at: Since, by: string, route: Rare<string>, more?: object]>,
  confirmed: Rare<readonly [at: Since, messageId: Rare<string>, more?: object]>,
  attempts: readonly AttemptText[],
  more?: object,
]

/** All of the row but the task's id, which is beside it. */
export function taskText({ facts, derived, requestKey, depth }: TaskRow): string {
  const { taskId, origin, description, spawned, confirmed, attempts, ends, reported } = facts
  const base = spawned?.at ?? attempts[0]?.startedAt ?? 0
  const text: Text = [
    base,
    requestKey === undefined ? 0 : isOwn(requestKey, depth, origin) ? 1 : requestKey,
    depth,
    derivedText(derived, base),
    origin ? originText(origin, taskId) : 0,
    description ? descriptionText(description) : 0,
    spawned ? spawnedText(spawned, base) : 0,
    confirmed ? confirmedText(confirmed, base) : 0,
    attempts.map((attempt) => attemptText(attempt, base)),
  ]
  const named = 4 + Number(!!origin) + Number(!!description) + Number(!!spawned) + Number(!!confirmed)
  const isUsual = ends.length === 0 && reported.length === 0 && keysOf(facts) === named
  return JSON.stringify(isUsual ? text : [...text, rareFacts(facts)])
}

function rareFacts(facts: TaskFacts): object {
  const { taskId: _, origin: __, description: ___, spawned: ____, confirmed: _____, attempts: ______, ...rare } = facts
  const { ends, reported, ...rest } = rare
  return { ...rest, ...(ends.length > 0 ? { ends } : {}), ...(reported.length > 0 ? { reported } : {}) }
}

/** How many there are: the rest of an object is dear to ask for, and mostly there is none. */
function keysOf(object: object): number {
  let keys = 0
  for (const _ in object) keys++
  return keys
}

export function taskOf(taskId: TaskId, text: string): TaskRow {
  if (!text.startsWith('[')) return JSON.parse(text) as TaskRow
  const parts = JSON.parse(text) as Text
  const [base, place, depth, state, from, what, promise, confirmation, attempts, rest] = parts
  const traceId = taskId.slice(0, 32)
  const origin = typeof from === 'string' ? { traceId, spanId: from, sampled: true } : from
  const requestKey = place === 1 && origin ? origin.traceId + origin.spanId : place
  const facts: TaskFacts = {
    taskId,
    attempts: attempts.map((attempt) => attemptOf(attempt, base)),
    ends: [],
    reported: [],
    ...(what ? { description: descriptionOf(what) } : {}),
    ...(origin ? { origin } : {}),
    ...(promise ? { spawned: spawnedOf(promise, base) } : {}),
    ...(confirmation ? { confirmed: confirmedOf(confirmation, base) } : {}),
    ...rest,
  }
  const derived = derivedOf(state, base)
  return { facts, derived, ...(typeof requestKey === 'string' ? { requestKey } : {}), depth }
}

function isOwn(requestKey: string, depth: number, origin: TraceRef | undefined): boolean {
  return depth === 0 && origin !== undefined && requestKey === origin.traceId + origin.spanId
}

function since(base: number, at: number): Since {
  const passed = at - base
  return base + passed === at ? passed : String(at)
}

function timeOf(base: number, at: Since): EpochMs {
  return (typeof at === 'string' ? Number(at) : base + at) as EpochMs
}

function originText(origin: TraceRef, taskId: TaskId): string | TraceRef {
  const { traceId, spanId, sampled } = origin
  const isUsual = sampled === true && traceId.length === 32 && taskId.startsWith(traceId) && keysOf(origin) === 3
  return isUsual ? spanId : origin
}

function descriptionText(description: TaskDescription): readonly string[] | TaskDescription {
  const { system, destination, name } = description
  return keysOf(description) === 3 ? [system, destination, name] : description
}

function descriptionOf(what: readonly string[] | TaskDescription): TaskDescription {
  if (!isList(what)) return what
  const [system = '', destination = '', name = ''] = what
  return { system, destination, name }
}

function isList(what: readonly string[] | TaskDescription): what is readonly string[] {
  return Array.isArray(what)
}

type Spawned = NonNullable<TaskFacts['spawned']>

function spawnedText(spawned: Spawned, base: number): Exclude<Text[6], 0> {
  const { at, by, route } = spawned
  const text = [since(base, at), by, route ?? 0] as const
  if (keysOf(spawned) === (route === undefined ? 2 : 3)) return text
  const { at: _, by: __, route: ___, ...rest } = spawned
  return [...text, rest]
}

function spawnedOf([at, by, route, rest]: Exclude<Text[6], 0>, base: number): Spawned {
  return { at: timeOf(base, at), by, ...(route === 0 ? {} : { route }), ...rest }
}

type Confirmed = NonNullable<TaskFacts['confirmed']>

function confirmedText(confirmed: Confirmed, base: number): Exclude<Text[7], 0> {
  const { at, messageId } = confirmed
  const text = [since(base, at), messageId ?? 0] as const
  if (keysOf(confirmed) === (messageId === undefined ? 1 : 2)) return text
  const { at: _, messageId: __, ...rest } = confirmed
  return [...text, rest]
}

function confirmedOf([at, messageId, rest]: Exclude<Text[7], 0>, base: number): Confirmed {
  return { at: timeOf(base, at), ...(messageId === 0 ? {} : { messageId }), ...rest }
}

function attemptText(attempt: AttemptFacts, base: number): AttemptText {
  const { spanId, n, by, startedAt, end } = attempt
  const text = [spanId, n, by, since(base, startedAt), end ? endText(end, base) : 0] as const
  if (keysOf(attempt) === (end ? 5 : 4)) return text
  const { spanId: _, n: __, by: ___, startedAt: ____, end: _____, ...rest } = attempt
  return [...text, rest]
}

function attemptOf([spanId, n, by, startedAt, end, rest]: AttemptText, base: number): AttemptFacts {
  return { spanId, n, by, startedAt: timeOf(base, startedAt), ...rest, ...(end ? { end: endOf(end, base) } : {}) }
}

function endText(end: AttemptEnd, base: number): EndText {
  const { state, at } = end
  const text = [state, since(base, at)] as const
  if (keysOf(end) === 2) return text
  const { state: _, at: __, ...rest } = end
  return [...text, rest]
}

function endOf([state, at, rest]: EndText, base: number): AttemptEnd {
  return { state, at: timeOf(base, at), ...rest }
}

function derivedText(derived: DerivedState, base: number): DerivedText {
  const { state, settledAt, recovered, duplicate, conflict } = derived
  const flags = ((recovered ? 1 : 0) | (duplicate ? 2 : 0) | (conflict ? 4 : 0)) as Flags
  const text = [state, settledAt === undefined ? null : since(base, settledAt), flags] as const
  if (keysOf(derived) === (settledAt === undefined ? 4 : 5)) return text
  const { state: _, settledAt: __, recovered: ___, duplicate: ____, conflict: _____, ...rest } = derived
  return [...text, rest]
}

function derivedOf([state, settledAt, flags, rest]: DerivedText, base: number): DerivedState {
  return {
    state: state as DerivedState['state'],
    ...rest,
    ...(settledAt === null ? {} : { settledAt: timeOf(base, settledAt) }),
    recovered: (flags & 1) !== 0,
    duplicate: (flags & 2) !== 0,
    conflict: (flags & 4) !== 0,
  }
}
