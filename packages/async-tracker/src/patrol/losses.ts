// What the death of a process means for what it had open. Pure: the dead and its open work in, events out.
import type {
  EpochMs,
  Evidence,
  JournalEvent,
  TaskEvent,
  TaskReason,
  TraceRef,
  TaskFailure,
  RequestReceived,
} from '@afterspan/core/internal'
import type { ProcessRow, TaskRow } from '../ledger/store.ts'
import type { AttemptFacts } from '../task-facts.ts'
import { takenOverAt } from '../task-state.ts'

interface Death {
  readonly reason: TaskReason
  readonly evidence: Evidence
  readonly failure?: TaskFailure
  readonly culprit?: TraceRef
  readonly exitCode?: number
  readonly signal?: string
}

/** How a process or thread died, as far as it, or who had started it, could still say. */
export function deathOf({ worker, crashed, exiting, threadEnded }: ProcessRow, evidence: Evidence): Death {
  if (worker.threadId > 0 && (threadEnded || exiting)) {
    const failure = crashed?.failure ?? threadEnded?.failure
    return {
      reason: 'worker_terminated',
      evidence: 'exit_record',
      exitCode: threadEnded?.code ?? exiting!.code,
      ...(failure ? { failure } : {}),
      ...(crashed?.culprit ? { culprit: crashed.culprit } : {}),
    }
  }
  if (crashed) {
    const { failure, culprit } = crashed
    return {
      reason: 'process_exit',
      evidence: 'exit_record',
      failure,
      exitCode: exiting?.code ?? 1,
      ...(culprit ? { culprit } : {}),
    }
  }
  if (exiting) {
    const { code, signal } = exiting
    return { reason: 'process_exit', evidence: 'exit_record', exitCode: code, ...(signal ? { signal } : {}) }
  }
  return { reason: evidence === 'lease' ? 'lease_expired' : 'process_killed', evidence }
}

/** Attempts that it ran, messages that it was sending and requests that it was serving end with it. */
export function lossesOf(
  process: ProcessRow,
  open: { readonly tasks: readonly TaskRow[]; readonly requests: readonly RequestReceived[] },
  evidence: Evidence,
  at: EpochMs,
  /** When it was last seen alive. */
  aliveAt = -Infinity,
): JournalEvent[] {
  const death = deathOf(process, evidence)
  return [
    ...open.tasks.flatMap(({ facts, derived }) => {
      const losses: TaskEvent[] = []
      const taskId = facts.copyOf ?? facts.taskId
      for (const attempt of facts.attempts)
        if (attempt.by === process.key && isInHand(attempt, facts.attempts, aliveAt))
          losses.push({ kind: 'lost', taskId, at, attempt: attempt.n, spanId: attempt.spanId, ...death })
      if (derived.state === 'pending' && facts.spawned?.by === process.key && !facts.sent)
        losses.push({ kind: 'lost', taskId, at, attempt: 0, ...death, reason: 'never_enqueued' })
      return losses
    }),
    ...open.requests.map(({ origin, at: startedAt, method, target, parentSpanId }): JournalEvent => ({
      kind: 'answered',
      origin,
      at,
      startedAt,
      service: process.worker.service,
      method,
      target,
      ...(parentSpanId ? { parentSpanId } : {}),
      promised: 0,
      outcome: 'crashed',
    })),
  ]
}

/** What the broker had taken from it while it lived was not lost with it. */
function isInHand(attempt: AttemptFacts, attempts: readonly AttemptFacts[], aliveAt: number): boolean {
  return !attempt.end && !attempt.lost && (takenOverAt(attempt, attempts) ?? Infinity) >= aliveAt
}
