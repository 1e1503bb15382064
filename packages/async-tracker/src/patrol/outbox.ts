// Brings what the ledger has to tell to the collector, at least once, always with the same bytes.
import { ABOUT_CONTENT, postOtlp, type EpochMs, type OtlpReply, type OtlpSettings } from '@afterspan/core/internal'
import type { LedgerChange, LedgerStore, OutboxRow } from '../ledger/store.ts'
import { gather } from '../task-facts.ts'

const BATCH = 100
/** One after the other, while the collector takes them: then the files of the dead have their turn. */
const MOST_BATCHES = 20
const FIRST_RETRY_MS = 1_000
const MOST_RETRY_MS = 60_000
export const MOST_REFUSALS = 5
/** Of all that waits; beyond it the oldest goes. */
const MOST_BYTES = 64 * 1024 * 1024
const TRIM_MS = 60_000

/** Why a span that was to be told never was. */
export type DropReason = 'refused' | 'outbox_full' | 'spool_full'

export interface Outbox {
  /** One round; how many spans were delivered. Never rejects because of the collector. */
  deliver(now: EpochMs): Promise<number>
}

export function createOutbox(options: {
  readonly ledger: LedgerStore
  readonly settings: OtlpSettings
  readonly onFailure: (reply: OtlpReply) => void
  readonly onDropped: (spans: number, reason: DropReason) => void
  /** The ledger, for reading and then writing: a sweep goes on while the collector is asked. */
  readonly exclusive: <T>(work: (ledger: LedgerStore) => Promise<T>) => Promise<T>
  readonly post?: (settings: OtlpSettings, body: Uint8Array) => Promise<OtlpReply>
}): Outbox {
  const { ledger, settings, onFailure, onDropped, exclusive, post = postOtlp } = options
  const send = async (rows: readonly OutboxRow[], now: EpochMs): Promise<number> => {
    // Requests of the same kind, one after the other, are one request: that is how protobuf merges repeated fields.
    const reply = await post(settings, Buffer.concat(rows.map((row) => row.body)))
    if (reply.ok) {
      await exclusive(async (own) => own.commit(await delivered(own, rows, now)))
      return rows.length
    }
    // One that the collector cannot take must not keep the others from it.
    if (rows.length > 1 && ABOUT_CONTENT.has(reply.reason)) {
      const half = rows.length >> 1
      return (await send(rows.slice(0, half), now)) + (await send(rows.slice(half), now))
    }
    onFailure(reply)
    const tried = rows.map((row) => later(row, now, reply))
    const given = tried.filter(({ refusals = 0 }) => refusals >= MOST_REFUSALS)
    if (given.length > 0) onDropped(given.length, 'refused')
    await exclusive((own) =>
      own.commit({
        deliveredSpans: given.map((row) => row.spanId),
        outbox: tried.filter((row) => !given.includes(row)),
      }),
    )
    return 0
  }
  let trimmedAt = -Infinity
  const trim = async (now: EpochMs): Promise<void> => {
    if (Math.abs(now - trimmedAt) < TRIM_MS) return
    trimmedAt = now
    const removed = await exclusive((own) => own.trimOutbox(MOST_BYTES))
    if (removed > 0) onDropped(removed, 'outbox_full')
  }
  return {
    async deliver(now) {
      await trim(now)
      let reported = 0
      for (let batches = 0; batches < MOST_BATCHES; batches++) {
        const due = await ledger.dueOutbox(now, BATCH)
        const taken = due.length === 0 ? 0 : await send(due, now)
        reported += taken
        if (taken < BATCH) break
      }
      return reported
    },
  }
}

/** Milliseconds until the next try, after so many before this one. */
export function waitAfter(tries: number, reply: OtlpReply): number {
  return reply.retryAfterMs ?? Math.min(MOST_RETRY_MS, FIRST_RETRY_MS * 2 ** Math.min(tries, 10))
}

function later(row: OutboxRow, now: EpochMs, reply: OtlpReply): OutboxRow {
  const wait = waitAfter(row.tries, reply)
  // What is refused for good is tried a few times: a collector that is being set up refuses too.
  const refusals = (row.refusals ?? 0) + (reply.retryable ? 0 : 1)
  return { ...row, tries: row.tries + 1, ...(refusals > 0 ? { refusals } : {}), nextAt: (now + wait) as EpochMs }
}

async function delivered(ledger: LedgerStore, rows: readonly OutboxRow[], now: EpochMs): Promise<LedgerChange> {
  const ids = rows.map((row) => row.taskId).filter((id) => id !== undefined)
  const tasks = new Map(await ledger.tasks(ids))
  for (const { taskId, spanId } of rows) {
    const task = taskId && tasks.get(taskId)
    if (!task) continue
    tasks.set(taskId, { ...task, facts: gather(task.facts, { kind: 'reported', taskId, at: now, spanId }, 'patrol') })
  }
  return { tasks: [...tasks.values()], deliveredSpans: rows.map((row) => row.spanId) }
}
