// Queues that the app has emptied. Nobody says what they held: it is what had been sent there by then, and nobody has begun.
import type { EpochMs, QueueEmptied, TaskEvent } from '@afterspan/core/internal'
import type { LedgerStore, TaskRow } from '../ledger/store.ts'
import { matches } from '../subject-pattern.ts'
import type { Batch } from './digest.ts'
import { readEmptied, writeEmptied, type EmptiedCall } from './emptied-file.ts'

/** The journals of others, and of other hosts, are read a little later. */
const SETTLE_MS = 2_000
/** Calls that wait to be looked into; the oldest of more are forgotten, and what they took away stays open. */
const MOST_WAITING = 1_000
/** Tasks that are looked at, the newest of those that wait. */
const MOST_TASKS = 10_000

interface Waiting extends EmptiedCall {
  readonly since: number
}

export class Emptied {
  readonly #dir: string
  #waiting: Waiting[] = []

  constructor(dir: string) {
    this.#dir = dir
  }

  /** What an earlier patrol had noted and not come to. */
  recall(now: number): void {
    this.#add(readEmptied(this.#dir), now)
  }

  /** Before the batches count as read: what is noted twice is one call. */
  note(batches: readonly Batch[], now: number): void {
    const calls = batches.flatMap(({ by, events }) =>
      events.flatMap((event) => (event.kind === 'emptied' ? { by, event } : [])),
    )
    if (calls.length > 0 && this.#add(calls, now)) writeEmptied(this.#dir, this.#waiting.map(callOf))
  }

  /** Those whose time has come: `apply` takes what they have cancelled, and then they are done. */
  async settle(
    ledger: Pick<LedgerStore, 'find'>,
    now: number,
    apply: (batches: readonly Batch[]) => Promise<void>,
  ): Promise<void> {
    const due = this.#waiting.filter(({ since }) => now - since >= SETTLE_MS)
    if (due.length === 0) return
    let open = await ledger.find({ states: ['pending', 'enqueued'], limit: MOST_TASKS })
    const batches: Batch[] = []
    for (const { by, event } of due.toSorted((a, b) => a.event.at - b.event.at)) {
      const events = cancelledBy(event, open)
      if (events.length === 0) continue
      batches.push({ by, events })
      // What one call took away the next one did not find.
      const gone = new Set(events.map(({ taskId }) => taskId))
      open = open.filter(({ facts }) => !gone.has(facts.taskId))
    }
    if (batches.length > 0) await apply(batches)
    this.#waiting = this.#waiting.filter((one) => !due.includes(one))
    writeEmptied(this.#dir, this.#waiting.map(callOf))
  }

  #add(calls: readonly EmptiedCall[], now: number): boolean {
    const known = new Set(this.#waiting.map(textOf))
    const fresh = calls.filter((call) => !known.has(textOf(call)))
    this.#waiting.push(...fresh.map(({ by, event }) => ({ by, event, since: now })))
    if (this.#waiting.length > MOST_WAITING) this.#waiting = this.#waiting.slice(-MOST_WAITING)
    return fresh.length > 0
  }
}

function callOf({ by, event }: EmptiedCall): EmptiedCall {
  return { by, event }
}

function textOf(call: EmptiedCall): string {
  return JSON.stringify(callOf(call))
}

/** What it means for tasks that are pending or enqueued. */
export function cancelledBy({ count, ...queue }: QueueEmptied, open: readonly TaskRow[]): TaskEvent[] {
  const gone = butNewest(
    open.filter((row) => isIn(row, queue)),
    queue.ids,
  )
  // Some of them have been had by somebody of whom nothing is known, or were dropped before.
  if (count !== undefined && count < gone.length) return []
  return gone.map(({ facts: { taskId } }) => ({
    kind: 'cancelled',
    taskId,
    at: queue.at,
    reason: 'aborted',
    isPresumed: true,
  }))
}

function isIn({ facts }: TaskRow, { system, destination, ids, at }: Omit<QueueEmptied, 'count'>): boolean {
  const { description, attempts, confirmed, sent } = facts
  if (attempts.length > 0 || description?.system !== system) return false
  if (destination !== undefined && description.destination !== destination) return false
  if (!isBy(confirmed?.at, at) && !isBy(sent?.at, at)) return false
  if (!ids) return true
  const { prefix, from = -Infinity, below = Infinity, subject } = ids
  if (!confirmed?.messageId?.startsWith(prefix)) return false
  const number = numberOf(facts, prefix)
  return number >= from && number < below && (subject === undefined || matches(subject, description.name))
}

function butNewest(rows: readonly TaskRow[], ids: QueueEmptied['ids']): readonly TaskRow[] {
  if (!ids?.keep) return rows
  const { keep, prefix } = ids
  return rows.toSorted((a, b) => numberOf(a.facts, prefix) - numberOf(b.facts, prefix)).slice(0, -keep)
}

function numberOf({ confirmed }: TaskRow['facts'], prefix: string): number {
  return Number(confirmed?.messageId?.slice(prefix.length))
}

function isBy(one: EpochMs | undefined, at: EpochMs): boolean {
  return one !== undefined && one <= at
}
