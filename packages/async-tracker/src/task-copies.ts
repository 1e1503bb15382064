// A message that several queues or groups of consumers get is several pieces of work: what became of one says nothing of the others.
// How many there are nobody can say before each has been heard of. The first is the message's own task, each further one a task beside it.
import type { TaskId } from '@afterspan/core/internal'
import type { CopyFacts, TaskFacts } from './task-facts.ts'
import { derivedSpanId } from './told-span.ts'

/** Its trace, and a span id that nobody has. */
export function copyId(taskId: TaskId, reader: string): TaskId {
  return `${taskId.slice(0, 32)}${derivedSpanId(taskId, 'copy', reader)}` as TaskId
}

/** The copy as a task, with what it shares with the message's own. */
export function copyFacts(facts: TaskFacts, reader: string, { attempts, ends }: CopyFacts): TaskFacts {
  const { copies: _, heartbeat: __, acknowledged: ___, reportedAt: ____, ...shared } = facts
  const taskId = copyId(facts.taskId, reader)
  return { ...shared, taskId, copyOf: facts.taskId, reader, attempts, ends, reported: [] }
}

/** Ids of the copies that are known of. */
export function copiesOf({ taskId, copies }: TaskFacts): TaskId[] {
  return copies ? Object.keys(copies).map((reader) => copyId(taskId, reader)) : []
}

/** The readers whose copy is another now than it was; all of them where what they share is. */
export function changedCopies(
  before: TaskFacts | undefined,
  now: TaskFacts,
): readonly (readonly [string, CopyFacts])[] {
  if (!now.copies) return []
  const isShared =
    before?.spawned === now.spawned &&
    before?.confirmed === now.confirmed &&
    before?.description === now.description &&
    before?.origin === now.origin
  return Object.entries(now.copies).filter(([reader, copy]) => !isShared || before?.copies?.[reader] !== copy)
}
