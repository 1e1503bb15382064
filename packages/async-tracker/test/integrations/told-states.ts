// What the patrol would make of the events.
import type { TaskEvent, TaskId } from '@afterspan/core/internal'
import { gather, type TaskFacts } from '../../src/task-facts.ts'
import { deriveState } from '../../src/task-state.ts'

/** The tasks in the order in which they were first told of, in short: 'failed unroutable', 'succeeded duplicate'. */
export function toldStates(events: readonly TaskEvent[]): string[] {
  return [...factsOf(events).values()].map((facts) => {
    const { state, reason, duplicate, conflict } = deriveState(facts)
    return [state, reason, duplicate && 'duplicate', conflict && 'conflict'].filter(Boolean).join(' ')
  })
}

/** The ends of each attempt of a task, in short: 'retrying rejected', 'succeeded', 'running'. */
export function toldAttempts(events: readonly TaskEvent[], task = 0): string[] {
  return attemptsOf([...factsOf(events).values()][task])
}

export function attemptsOf(facts: TaskFacts | undefined): string[] {
  return (facts?.attempts ?? []).map(({ n, end }) => {
    const state = !end ? 'running' : end.state === 'failed' && end.willRetry ? 'retrying' : end.state
    return [n, state, end?.reason].filter((part) => part !== undefined).join(' ')
  })
}

function factsOf(events: readonly TaskEvent[]): Map<TaskId, TaskFacts> {
  const tasks = new Map<TaskId, TaskFacts>()
  for (const event of events) tasks.set(event.taskId, gather(tasks.get(event.taskId), event, 'here'))
  // of a task that an earlier test had, only the rest may come
  return new Map([...tasks].filter(([, { description }]) => description !== undefined))
}
