// Queues that the app has emptied. Nobody says what they held: it is what had been sent there by then, and nobody has begun.
import type { EpochMs, QueueEmptied, TaskEvent } from '@afterspan/core/internal'
import type { LedgerStore, TaskRow } from '../ledger/store.ts'
import { matches } from '../subject-pattern.ts'
import type { Batch } from './digest.ts'

/** The journals of others, and of other hosts, are read a little later. */
const SETTLE_MS = 2_000
/** Calls that wait to be looked into; the oldest of more are forgotten, and what they took away stays open. */
const MOST_WAITING = 1_000
/** Tasks that are looked at, the newest of those that wait. */
const MOST_TASKS = 10_000

export class Emptied {
  #waiting: { readonly by: string; readonly event: QueueEmptied; readonly since: number }[] = []

  note(batches: readonly Batch[], now: number): void {
    for (const { by, events } of batches)
      for (const event of events) if (event.kind === 'emptied') this.#waiting.push({ by, event, since: now })
    if (this.#waiting.length > MOST_WAITING) this.#waiting = this.#waiting.slice(-MOST_WAITING)
  }

  /** What those whose time has come have cancelled. */
  async cancelled(ledger: Pick<LedgerStore, 'find'>, now: number): Promise<readonly Batch[]> {
    const due = this.#waiting.filter(({ since }) => now - since >= SETTLE_MS)
    if (due.length === 0) return []
    let open = await ledger.find({ states: ['pending', 'enqueued'], limit: MOST_TASKS })
    this.#waiting = this.#waiting.filter((one) => !due.includes(one))
    const batches: Batch[] = []
    for (const { by, event } of due.toSorted((a, b) => a.event.at - b.event.at)) {
      const events = cancelledBy(event, open)
      if (events.length === 0) continue
      batches.push({ by, events })
      // What one call took away the next one did not find.
      const gone = new Set(events.map(({ taskId }) => taskId))
      open = open.filter(({ facts }) => !gone.has(facts.taskId))
    }
    return batches
  }
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
