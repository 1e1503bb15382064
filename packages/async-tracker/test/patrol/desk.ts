// The patrol's decisions without its journals: batches go in, what is then in the ledger comes out.
import type { JournalEvent } from '@afterspan/core/internal'
import { decodeTraces } from '../../../afterspan/src/sink/otlp-decode.ts'
import type { StoredSpan } from '../../../afterspan/src/sink/stored-span.ts'
import { REQUESTS_COUNTER, TASKS_COUNTER } from '../../src/patrol/counting.ts'
import { digest, touchedBy, type Batch, type Known } from '../../src/patrol/digest.ts'
import type { LedgerChange, LedgerStore, TaskRow } from '../../src/ledger/store.ts'
import { copiesOf } from '../../src/task-copies.ts'
import { MemoryLedger } from '../ledger/memory-ledger.ts'
import { ms, TASK } from '../sample-events.ts'

export class Desk {
  readonly ledger = new MemoryLedger()
  now = 1_000

  /** What one writer says, as one batch. */
  feed(by: string, ...events: readonly JournalEvent[]): Promise<LedgerChange> {
    return this.feedAll([{ by, events }])
  }
  async feedAll(batches: readonly Batch[]): Promise<LedgerChange> {
    const change = digest(batches, await this.knownOf(batches))
    await this.ledger.commit(change)
    return change
  }
  /** No more than the patrol looks up. */
  async knownOf(batches: readonly Batch[]): Promise<Known> {
    const touched = touchedBy(batches)
    const orphans = await this.ledger.orphans()
    const joined = await this.ledger.joined(touched.tasks)
    const ids = [...touched.tasks, ...[...orphans.values()].flat(), ...joined.values()]
    const tasks = new Map(await this.ledger.tasks(ids))
    for (const row of await this.ledger.tasksOfMessages(touched.messages)) tasks.set(row.facts.taskId, row)
    const copies = await this.ledger.tasks([...tasks.values()].flatMap(({ facts }) => copiesOf(facts)))
    for (const [id, row] of copies) tasks.set(id, row)
    const keys = [...touched.requests, ...[...tasks.values()].flatMap(({ requestKey }) => requestKey ?? [])]
    const requests = await this.ledger.requests(keys)
    return {
      now: ms(this.now),
      tasks,
      requests,
      tasksOfRequests: await this.ledger.tasksOfRequests(
        keys.filter((key) => requests.has(key) || touched.answered.has(key)),
      ),
      processes: new Map((await this.ledger.processes()).map((row) => [row.key, row])),
      orphans,
      joined,
    }
  }

  async task(taskId = TASK): Promise<TaskRow | undefined> {
    return (await this.ledger.tasks([taskId])).get(taskId)
  }
  requests(): Promise<Record<string, number>> {
    return requestCounts(this.ledger)
  }
  tasks(): Promise<Record<string, number>> {
    return taskCounts(this.ledger)
  }
  /** What waits to be told. */
  async spans(): Promise<StoredSpan[]> {
    return (await this.ledger.dueOutbox(ms(1e15), 10_000)).flatMap(({ body }) => spansIn(body))
  }
}

export function spansIn(body: Uint8Array): readonly StoredSpan[] {
  const decoded = decodeTraces(body, 'protobuf')
  if (!decoded.ok) throw new Error(decoded.error)
  return decoded.spans
}

/** By outcome, over all routes. */
export function requestCounts(ledger: LedgerStore): Promise<Record<string, number>> {
  return counted(ledger, REQUESTS_COUNTER, ({ outcome = '' }) => outcome)
}
/** By state and reason, over all destinations. */
export function taskCounts(ledger: LedgerStore): Promise<Record<string, number>> {
  return counted(ledger, TASKS_COUNTER, ({ state = '', reason = '' }) => (reason ? `${state} ${reason}` : state))
}

async function counted(
  ledger: LedgerStore,
  counter: string,
  nameOf: (labels: Readonly<Record<string, string>>) => string,
): Promise<Record<string, number>> {
  const counts: Record<string, number> = {}
  for (const { name, labels, value } of await ledger.counters())
    if (name === counter) counts[nameOf(labels)] = (counts[nameOf(labels)] ?? 0) + value
  return counts
}
