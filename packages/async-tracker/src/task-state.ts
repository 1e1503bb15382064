// The state of a task: a pure function of what is known of it. docs/task-states.md draws it; a test compares the two.
import type { EpochMs, Evidence, TaskReason, TaskState } from '@afterspan/core/internal'
import type { AttemptFacts, LostMark, TaskFacts } from './task-facts.ts'

export interface DerivedState {
  readonly state: TaskState
  readonly reason?: TaskReason
  readonly evidence?: Evidence
  readonly settledAt?: EpochMs
  /** Was lost, and a later attempt took it up; not where that was lost as well. */
  readonly recovered: boolean
  /** Ran to success twice, or twice at once. */
  readonly duplicate: boolean
  /** Ended for good in two different ways; the first counts. */
  readonly conflict: boolean
}

/** Where a task can go from each state. `lost` is provisional: a later attempt reopens it, or the lost one speaks after all, whatever others did since. */
export const TRANSITIONS: Readonly<Record<TaskState, readonly TaskState[]>> = {
  pending: ['enqueued', 'running', 'cancelled', 'lost', 'failed'],
  enqueued: ['running', 'succeeded', 'failed', 'cancelled', 'lost'],
  running: ['succeeded', 'retrying', 'failed', 'cancelled', 'lost', 'enqueued'],
  retrying: ['running', 'succeeded', 'failed', 'cancelled', 'lost'],
  succeeded: [],
  failed: ['cancelled', 'running'],
  cancelled: ['running'],
  lost: ['running', 'succeeded', 'failed', 'cancelled', 'enqueued', 'retrying'],
}

export const OPEN_STATES: ReadonlySet<TaskState> = new Set(['pending', 'enqueued', 'running', 'retrying'])
export const BAD_STATES: ReadonlySet<TaskState> = new Set(['failed', 'lost'])

export function deriveState(facts: TaskFacts): DerivedState {
  const terminals = terminalsOf(facts)
  const flags = {
    duplicate: isDuplicate(facts.attempts),
    conflict: terminals.some((end) => end.state !== terminals[0]!.state),
  }
  const first = terminals[0]
  if (first) {
    const { state, at, reason } = first
    return { state, ...(reason ? { reason } : {}), settledAt: at, recovered: isRecovered(facts), ...flags }
  }
  const open = openState(facts)
  // Lost again: whoever took it up has not brought it back.
  return { ...open, recovered: open.state !== 'lost' && isRecovered(facts), ...flags }
}

interface Terminal {
  readonly state: 'succeeded' | 'failed' | 'cancelled'
  readonly at: EpochMs
  readonly reason?: TaskReason
}

/** Ends that are final, the earliest first. */
function terminalsOf({ attempts, ends }: TaskFacts): Terminal[] {
  const all: Terminal[] = []
  for (const attempt of attempts) {
    const { end } = attempt
    if (!end || end.state === 'released' || isRetried(attempt, attempts)) continue
    all.push({ state: end.state, at: end.at, ...(end.reason ? { reason: end.reason } : {}) })
  }
  const returnedAt = attempts.findLast(({ isReturn }) => isReturn)?.startedAt ?? -Infinity
  for (const end of ends) {
    if (end.state === 'lost' || end.at <= returnedAt) continue
    if (end.isPresumed && attempts.length > 0) continue
    all.push({ state: end.state, at: end.at, reason: end.reason })
  }
  return all.sort((a, b) => a.at - b.at || (a.state < b.state ? -1 : a.state > b.state ? 1 : 0))
}

/** It failed, and was to be tried again: by its own word, or since the broker brought it back. */
export function isRetried(attempt: AttemptFacts, attempts: readonly AttemptFacts[]): boolean {
  return attempt.end?.state === 'failed' && (attempt.end.willRetry === true || hasReturned(attempt, attempts))
}

function hasReturned(attempt: AttemptFacts, attempts: readonly AttemptFacts[]): boolean {
  const later = attempts.slice(attempts.indexOf(attempt) + 1)
  return later.some(({ isReturn, reader }) => isReturn && reader === attempt.reader)
}

function openState({
  attempts,
  ends,
  confirmed,
}: TaskFacts): Omit<DerivedState, 'recovered' | 'duplicate' | 'conflict'> {
  if (attempts.some((attempt) => isRunning(attempt, attempts))) return { state: 'running' }
  const last = attempts.at(-1)
  const taskLost = lostEnd(ends, attempts)
  if (taskLost && (!last || taskLost.at >= last.startedAt)) return lost(taskLost)
  if (!last) return { state: confirmed ? 'enqueued' : 'pending' }
  if (last.end)
    return {
      state: last.end.state === 'released' ? 'enqueued' : 'retrying',
      ...(last.end.reason ? { reason: last.end.reason } : {}),
    }
  return lost(last.lost!)
}

function lost({ at, reason, evidence }: LostMark): Pick<DerivedState, 'state' | 'reason' | 'evidence' | 'settledAt'> {
  return { state: 'lost', reason, evidence, settledAt: at }
}

/** The latest word that the task as a whole is lost. An attempt refutes `never_enqueued`, whenever it began: the broker had it. */
function lostEnd(ends: TaskFacts['ends'], attempts: readonly AttemptFacts[]): LostMark | undefined {
  let latest: LostMark | undefined
  for (const end of ends) {
    if (end.state !== 'lost' || (end.reason === 'never_enqueued' && attempts.length > 0)) continue
    if (!latest || end.at > latest.at) latest = end
  }
  return latest
}

/** Lost once, and then an attempt that is not the lost one; or the lost one itself spoke after all. Or it counted as failed, and came back. */
function isRecovered({ attempts, ends }: TaskFacts): boolean {
  for (const end of ends)
    if (end.state === 'lost' && attempts.some((a) => end.reason === 'never_enqueued' || a.startedAt > end.at))
      return true
  return attempts.some(
    (a, i) =>
      (a.lost !== undefined && (a.end !== undefined || i < attempts.length - 1)) ||
      (a.end?.state === 'failed' && !a.end.willRetry && hasReturned(a, attempts)),
  )
}

/** Neither ended nor lost, nor given to others by the broker while it said nothing. It may speak after all, and then it had run all the time. */
export function isRunning(attempt: AttemptFacts, attempts: readonly AttemptFacts[]): boolean {
  return !attempt.end && !attempt.lost && takenOverAt(attempt, attempts) === undefined
}

/** When the broker gave to others what this attempt had, as far as they have said so. */
export function takenOverAt(attempt: AttemptFacts, attempts: readonly AttemptFacts[]): EpochMs | undefined {
  const later = attempts.slice(attempts.indexOf(attempt) + 1)
  return later.find(({ isTakeover, reader }) => isTakeover && reader === attempt.reader)?.startedAt
}

/** Each reader has a copy of its own to run. */
function isDuplicate(attempts: readonly AttemptFacts[]): boolean {
  if (attempts.length < 2) return false
  const readers = new Set(attempts.map(({ reader }) => reader))
  return [...readers].some((reader) => ranTwice(attempts.filter((attempt) => attempt.reader === reader)))
}

function ranTwice(attempts: readonly AttemptFacts[]): boolean {
  let successes = 0
  let busyUntil = -Infinity
  // Of those that began in one millisecond what ended first was first: a message may come again as fast as that.
  for (const attempt of attempts.toSorted((a, b) => a.startedAt - b.startedAt || endOf(a) - endOf(b) || 0)) {
    if (attempt.end?.state === 'succeeded') successes++
    if (attempt.startedAt < busyUntil) return true
    if (attempt.end || isRunning(attempt, attempts)) busyUntil = Math.max(busyUntil, endOf(attempt))
  }
  return successes > 1
}

function endOf({ end }: AttemptFacts): number {
  return end?.at ?? Infinity
}
