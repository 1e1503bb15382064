import type { EpochMs, TaskId } from '@afterspan/core/internal'
import { requestKeyOf } from '../../src/patrol/digest.ts'
import type { OutboxRow, ProcessRow, RequestRow, TaskRow } from '../../src/ledger/store.ts'
import { deriveState } from '../../src/task-state.ts'
import { answered, factsOf, ms, opened, requestRef, spawned, taskIdOf, tell, WEB, type Told } from '../sample-events.ts'

/** A task as the patrol writes it. */
export function taskRow(told: readonly Told[], more: Partial<TaskRow> = {}): TaskRow {
  const facts = factsOf(told)
  return { facts, derived: deriveState(facts), depth: 0, ...more }
}

/** Task `task` of request n, announced at `at`, and how it went on. */
export function taskOf(n: number, task: number, at: number, ...then: readonly Told[]): TaskRow {
  const taskId = taskIdOf(task, n)
  const own = then.map(({ by, event }) => ({ by, event: { ...event, taskId } }))
  const first = tell(WEB, spawned(at, { taskId, origin: requestRef(n) }))
  return taskRow([...first, ...own], { requestKey: requestKeyOf(requestRef(n)) })
}

export function requestRow(n: number, at: number, more: Partial<RequestRow> = {}): RequestRow {
  const origin = requestRef(n)
  return { key: requestKeyOf(origin), by: WEB, answered: answered(at, 1, { origin }), isRecovered: false, ...more }
}

export function processRow(key: string, more: Partial<ProcessRow> = {}): ProcessRow {
  const { worker, resource, sdkVersion, at } = opened(key)
  return { key, worker, resource, sdkVersion, openedAt: at, ...more }
}

export function outboxRow(spanId: string, nextAt: number, more: Partial<OutboxRow> = {}): OutboxRow {
  return { spanId, taskId: taskIdOf(), body: Uint8Array.of(1, 2, 3), tries: 0, nextAt: ms(nextAt), ...more }
}

export function idsOf(rows: readonly TaskRow[]): TaskId[] {
  return rows.map(({ facts }) => facts.taskId)
}
export const NEVER = 0 as EpochMs
