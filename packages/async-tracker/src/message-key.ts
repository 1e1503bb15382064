import type { JournalEvent, TaskDescription, TaskId } from '@afterspan/core/internal'
import type { TaskFacts } from './task-facts.ts'

/** What a broker calls a message: an id is one of its system and destination. */
export type MessageKey = string

/** By what an event's task is found, or looks for the one whose attempt it is. */
export function messageOf(event: JournalEvent): MessageKey | undefined {
  if (event.kind !== 'confirmed' && event.kind !== 'started') return undefined
  const { description, messageId, taskId } = event
  if (!description || !messageId) return undefined
  if (event.kind === 'started' && !isOwn(event.spanId, taskId)) return undefined
  return keyOf(description, messageId)
}

/** The same of what is known of a task. */
export function messageOfFacts(facts: TaskFacts): MessageKey | undefined {
  const { confirmed, copyOf, description, spawned, attempts, taskId } = facts
  if (!description || copyOf) return undefined
  if (spawned)
    return confirmed?.isFoundById && confirmed.messageId ? keyOf(description, confirmed.messageId) : undefined
  const own = attempts.find(({ spanId }) => isOwn(spanId, taskId))
  return own?.messageId ? keyOf(description, own.messageId) : undefined
}

function keyOf({ system, destination }: TaskDescription, messageId: string): MessageKey {
  return JSON.stringify([system, destination, messageId])
}

/** An attempt that carried no context names its task by itself. */
function isOwn(spanId: string, taskId: TaskId): boolean {
  return taskId.endsWith(spanId)
}
