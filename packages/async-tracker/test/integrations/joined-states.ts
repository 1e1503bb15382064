// What the patrol would make of events whose messages carried no context.
import type { TaskEvent, TaskId } from '@afterspan/core/internal'
import { join } from '../../src/patrol/joining.ts'
import { copyFacts } from '../../src/task-copies.ts'
import { gather, type TaskFacts } from '../../src/task-facts.ts'
import { deriveState } from '../../src/task-state.ts'
import { attemptsOf } from './told-states.ts'

/** Each task in short, with its attempts: 'succeeded (1 retrying, 0 succeeded)'. */
export function joinedStates(events: readonly TaskEvent[]): string[] {
  const tasks = new Map<TaskId, TaskFacts>()
  for (const event of events) tasks.set(event.taskId, gather(tasks.get(event.taskId), event, 'here'))
  join(tasks)
  const all = [...tasks.values()].flatMap((facts) => [
    facts,
    ...Object.entries(facts.copies ?? {}).map(([reader, copy]) => copyFacts(facts, reader, copy)),
  ])
  return all.map((facts) => {
    const { state, reason, duplicate, conflict } = deriveState(facts)
    const words = [facts.spawned ? '' : 'stray', state, reason, duplicate && 'duplicate', conflict && 'conflict']
    return `${words.filter(Boolean).join(' ')} (${attemptsOf(facts).join(', ')})`
  })
}
