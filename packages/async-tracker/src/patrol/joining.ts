// Attempts whose message carried no trace context. Such a one is taken for a task of its own, a stray, until the task is known that
// its broker gave the same message id; then it is that task's attempt, in whatever order the journals of the two are read. Of a
// message that nobody is known to have sent its first run is the task, and those after it are attempts of that. Pure.
import type { EpochMs, TaskEvent, TaskId, TaskState } from '@afterspan/core/internal'
import type { LedgerChange, TaskRow } from '../ledger/store.ts'
import { messageOfFacts, type MessageKey } from '../message-key.ts'
import { deriveState } from '../task-state.ts'
import { inOrder, isOwnReader, type AttemptFacts, type CopyFacts, type TaskFacts } from '../task-facts.ts'

/** Clocks of two hosts may differ by so much. */
const SKEW_MS = 1_000

/** What is said of a stray, as said of the task that it was joined to. */
export function redirected(event: TaskEvent, joined: ReadonlyMap<TaskId, TaskId>): TaskEvent {
  const taskId = joined.get(event.taskId)
  const parent = event.kind === 'spawned' && event.parent ? joined.get(event.parent) : undefined
  if (!taskId && !parent) return event
  return { ...event, ...(taskId ? { taskId } : {}), ...(parent ? { parent } : {}) }
}

/** Strays by the task whose attempts they are. Tasks that are given get their attempts, strays that are joined go. */
export function join(facts: Map<TaskId, TaskFacts>): Map<TaskId, TaskId> {
  const joined = new Map<TaskId, TaskId>()
  for (const family of familiesIn(facts)) {
    const promised = family.filter(({ spawned }) => spawned)
    if (promised.length === 0) {
      if (family.length > 1) followRuns(facts, family, joined)
      continue
    }
    for (const stray of family)
      if (!stray.spawned) give(facts, stray, promiserOf(promised, stray.attempts[0]!.startedAt), joined)
    if (promised.length > 1) reunite(facts, promised, joined)
  }
  if (joined.size > 0) adoptChildren(facts, joined)
  return joined
}

function familiesIn(facts: ReadonlyMap<TaskId, TaskFacts>): Iterable<readonly TaskFacts[]> {
  const families = new Map<MessageKey, TaskFacts[]>()
  for (const one of facts.values()) {
    const key = messageOfFacts(one)
    if (key === undefined) continue
    const family = families.get(key)
    if (family) family.push(one)
    else families.set(key, [one])
  }
  return families.values()
}

/** An id may be used again: the newest that was promised before the attempt began. */
function promiserOf(promised: readonly TaskFacts[], startedAt: EpochMs): TaskId {
  const byAge = promised.toSorted((a, b) => a.spawned!.at - b.spawned!.at)
  return (byAge.findLast(({ spawned }) => spawned!.at <= startedAt + SKEW_MS) ?? byAge[0]!).taskId
}

function give(facts: Map<TaskId, TaskFacts>, stray: TaskFacts, to: TaskId, joined: Map<TaskId, TaskId>): void {
  for (const { joinedFrom } of stray.attempts) if (joinedFrom) joined.set(joinedFrom, to)
  joined.set(stray.taskId, to)
  facts.set(to, absorb(facts.get(to)!, stray))
  facts.delete(stray.taskId)
}

/** Nobody is known to have sent it: then a run that is not the first of its message goes on with the one before it. */
function followRuns(facts: Map<TaskId, TaskFacts>, family: readonly TaskFacts[], joined: Map<TaskId, TaskId>): void {
  for (const strays of Map.groupBy(family, ({ reader }) => reader).values()) {
    const [first, ...others] = strays.toSorted((a, b) => a.attempts[0]!.startedAt - b.attempts[0]!.startedAt)
    let task = first!.taskId
    for (const stray of others)
      if (goesOn(facts.get(task)!, stray)) give(facts, stray, task, joined)
      else task = stray.taskId
  }
}

/** By the number of the run. An id may be used again, and where runs are not counted (0) only what was to come again does. */
function goesOn(task: TaskFacts, { attempts: [next] }: TaskFacts): boolean {
  const { state } = deriveState(task)
  if (next!.n === 0) return state === 'retrying' || state === 'enqueued' || state === 'lost'
  return state !== 'succeeded' && state !== 'cancelled' && next!.n > Math.max(...task.attempts.map(({ n }) => n))
}

/** Attempts that were joined before the task was known that they belong to. */
function reunite(facts: Map<TaskId, TaskFacts>, promised: readonly TaskFacts[], joined: Map<TaskId, TaskId>): void {
  for (const { taskId: from } of promised) {
    const { attempts, copies = {} } = facts.get(from)!
    for (const attempt of [...attempts, ...Object.values(copies).flatMap((copy) => copy.attempts)]) {
      const to = attempt.joinedFrom && promiserOf(promised, attempt.startedAt)
      if (!attempt.joinedFrom || !to || to === from) continue
      joined.set(attempt.joinedFrom, to)
      facts.set(from, without(facts.get(from)!, attempt))
      facts.set(to, put(facts.get(to)!, attempt.reader, { attempts: [attempt], ends: [] }))
    }
  }
}

function absorb(task: TaskFacts, stray: TaskFacts): TaskFacts {
  const { taskId, heartbeat, acknowledged, ends, reported } = stray
  const attempts = stray.attempts.map((attempt) => ({ joinedFrom: taskId, ...attempt }))
  const known = {
    ...task,
    reported: [...task.reported, ...reported],
    ...(task.reportedAt === undefined && stray.reportedAt !== undefined ? { reportedAt: stray.reportedAt } : {}),
    ...(heartbeat && heartbeat.at > (task.heartbeat?.at ?? -Infinity) ? { heartbeat } : {}),
    ...(acknowledged && !task.acknowledged ? { acknowledged } : {}),
  }
  return put(known, stray.reader, { attempts, ends })
}

/** To the task's own runs, or to those of another reader: see task-copies.ts. */
function put(task: TaskFacts, reader: string | undefined, { attempts, ends }: CopyFacts): TaskFacts {
  if (isOwnReader(task, reader)) {
    const claimed = reader === undefined ? {} : { reader: task.reader ?? reader }
    return { ...task, ...claimed, attempts: merged(task.attempts, attempts), ends: [...task.ends, ...ends] }
  }
  const copy = task.copies?.[reader!] ?? { attempts: [], ends: [] }
  const made = { attempts: merged(copy.attempts, attempts), ends: [...copy.ends, ...ends] }
  return { ...task, copies: { ...task.copies, [reader!]: made } }
}

function without(task: TaskFacts, attempt: AttemptFacts): TaskFacts {
  const isOther = (one: AttemptFacts): boolean => one !== attempt
  const { attempts, copies } = task
  const left = Object.entries(copies ?? {}).map(([reader, copy]): [string, CopyFacts] => [
    reader,
    copy.attempts.every(isOther) ? copy : { ...copy, attempts: copy.attempts.filter(isOther) },
  ])
  return { ...task, attempts: attempts.filter(isOther), ...(copies ? { copies: Object.fromEntries(left) } : {}) }
}

function merged(known: readonly AttemptFacts[], more: readonly AttemptFacts[]): AttemptFacts[] {
  const there = new Set(known.map(({ spanId }) => spanId))
  return inOrder([...known, ...more.filter(({ spanId }) => !there.has(spanId))])
}

/** What a stray has spawned, its task has. */
function adoptChildren(facts: Map<TaskId, TaskFacts>, joined: ReadonlyMap<TaskId, TaskId>): void {
  for (const [taskId, child] of facts) {
    const parent = child.spawned?.parent && joined.get(child.spawned.parent)
    if (parent) facts.set(taskId, { ...child, spawned: { ...child.spawned!, parent } })
  }
}

/** A stray that is joined now may have been told, and counted, as a task of its own, for what its task has come to by it. */
export function toldAs(
  { taskId, copyOf, reader }: TaskFacts,
  state: TaskState,
  joined: ReadonlyMap<TaskId, TaskId>,
  known: ReadonlyMap<TaskId, TaskRow>,
): TaskRow | undefined {
  for (const [stray, to] of joined) {
    const row = to === (copyOf ?? taskId) ? known.get(stray) : undefined
    if (row?.derived.state === state && row.facts.reader === reader) return row
  }
  return undefined
}

/** How each task of a change was told before. */
export function toldBefore(
  { tasks = [], joined = [] }: LedgerChange,
  known: ReadonlyMap<TaskId, TaskRow>,
): ReadonlyMap<TaskId, TaskRow> {
  if (joined.length === 0) return known
  const before = new Map(known)
  const to = new Map(joined.map(({ stray, taskId }) => [stray, taskId]))
  for (const { facts, derived } of tasks) {
    const told = toldAs(facts, derived.state, to, known)
    if (told) before.set(facts.taskId, told)
  }
  return before
}
