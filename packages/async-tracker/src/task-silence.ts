// Tasks whose end nobody tells: whoever reads the message is not followed (another language, a host without Afterspan), or the broker has
// dropped it without a word. After some time nobody waits for them any more. That is no end and no failure: what became of them is not known.
import type { EpochMs, TaskState } from '@afterspan/core/internal'
import type { TaskFacts } from './task-facts.ts'
import { ownersOf } from './task-owner.ts'

/** Open, and nobody need be at work on it. What runs is in somebody's hands, whose death is proven. */
export const WAITING_STATES: readonly TaskState[] = ['pending', 'enqueued', 'retrying']

/** When something was last said of it; a deadline that is still to come stands for something. */
export function heardOfAt({ spawned, confirmed, sent, attempts, heartbeat }: TaskFacts): EpochMs {
  let last = Math.max(spawned?.at ?? 0, spawned?.deadlineAt ?? 0, confirmed?.at ?? 0, sent?.at ?? 0, heartbeat?.at ?? 0)
  for (const { startedAt, end, lost } of attempts) last = Math.max(last, startedAt, end?.at ?? 0, lost?.at ?? 0)
  return last as EpochMs
}

/** It waits in nobody's hands, and the last that was heard of it is from before. */
export function isUnheard(facts: TaskFacts, state: TaskState, before: EpochMs): boolean {
  return WAITING_STATES.includes(state) && heardOfAt(facts) < before && ownersOf(facts, state).length === 0
}
