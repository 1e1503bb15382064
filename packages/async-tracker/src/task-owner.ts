import type { TaskState } from '@afterspan/core/internal'
import type { TaskFacts } from './task-facts.ts'

/**
 * In whose hands a task is: whoever runs it, or is still sending it and waits for an answer; two where it runs twice at once. None:
 * it is in the broker's, or settled. A settled one may still have a run whose process is dead, where the broker was faster than the proof of the death.
 */
export function ownersOf(facts: TaskFacts, state: TaskState): readonly string[] {
  if (state === 'pending') return facts.spawned && !facts.sent ? [facts.spawned.by] : []
  const open = facts.attempts.filter((attempt) => !attempt.end && !attempt.lost)
  if (open.length === 0) return []
  const [first, last] = [open[0]!.by, open.at(-1)!.by]
  return first === last ? [first] : [first, last]
}
