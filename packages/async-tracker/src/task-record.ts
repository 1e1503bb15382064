import type { AttemptRecord, EpochMs, TaskRecord, WorkerRef } from '@afterspan/core/internal'
import type { AttemptFacts, TaskFacts } from './task-facts.ts'
import { isUnheard } from './task-silence.ts'
import { deriveState, isRetried, isRunning, OPEN_STATES } from './task-state.ts'

/** What a record needs beside the task's own facts. */
export interface RecordContext {
  readonly now: EpochMs
  /** What waits and was last heard of before is waited for no more. Absent: everything is. */
  readonly unheardBefore?: EpochMs
  readonly depth: number
  readonly route?: string
  readonly requestStatus?: number
  worker(key: string): WorkerRef | undefined
  /** The process is there, and stopped. */
  isStalled(key: string): boolean
}

const UNKNOWN: WorkerRef = {
  hostId: '',
  bootId: '',
  pidNamespace: '',
  timeNamespace: '',
  pid: 0,
  startTicks: 0,
  threadId: 0,
  nonce: '',
  service: '',
}

/** The task as everybody reads it. */
export function toRecord(facts: TaskFacts, context: RecordContext): TaskRecord {
  const { state, reason, evidence, settledAt, recovered, duplicate, conflict } = deriveState(facts)
  const { taskId, description, origin, spawned, confirmed, attempts, ends } = facts
  const isOpen = OPEN_STATES.has(state)
  const route = spawned?.route ?? context.route
  const messageId = confirmed?.messageId ?? attempts.find((a) => a.messageId)?.messageId
  const lost = attempts.findLast((a) => a.lost)?.lost ?? ends.find((e) => e.state === 'lost')
  const exitCode = attempts.at(-1)?.end?.exitCode ?? (lost && 'exitCode' in lost ? lost.exitCode : undefined)
  const failure = ends.findLast((end) => end.state === state && end.reason === reason)?.failure
  const signal = lost && 'signal' in lost ? lost.signal : undefined
  return {
    taskId,
    state,
    ...(reason ? { reason } : {}),
    ...(evidence ? { evidence } : {}),
    flags: {
      overdue: isOpen && spawned?.deadlineAt !== undefined && spawned.deadlineAt < context.now,
      stalled: isOpen && attempts.some((a) => isRunning(a, attempts) && context.isStalled(a.by)),
      recovered,
      duplicate,
      conflict,
      unheard: context.unheardBefore !== undefined && isUnheard(facts, state, context.unheardBefore),
    },
    system: description?.system ?? '',
    destination: description?.destination ?? '',
    name: description?.name ?? '',
    ...(messageId ? { messageId } : {}),
    ...(facts.reader ? { reader: facts.reader } : {}),
    ...(facts.copyOf ? { copyOf: facts.copyOf } : {}),
    origin: origin ?? { traceId: taskId.slice(0, 32), spanId: taskId.slice(32), sampled: true },
    ...(route ? { route } : {}),
    ...(context.requestStatus === undefined ? {} : { requestStatus: context.requestStatus }),
    ...(spawned?.parent ? { parent: spawned.parent } : {}),
    ...(spawned?.candidates ? { candidates: spawned.candidates } : {}),
    depth: context.depth,
    confirmed: confirmed !== undefined || attempts.length > 0,
    attempts: attempts.map((attempt, i) => toAttempt(attempt, i, attempts, context)),
    spawnedAt: spawned?.at ?? attempts[0]?.startedAt ?? (0 as EpochMs),
    ...(spawned?.deadlineAt === undefined ? {} : { deadlineAt: spawned.deadlineAt }),
    ...(settledAt === undefined ? {} : { settledAt }),
    ...(facts.reportedAt === undefined ? {} : { reportedAt: facts.reportedAt }),
    ...(failure ? { failure } : {}),
    ...(exitCode === undefined ? {} : { exitCode }),
    ...(signal ? { signal } : {}),
    ...(facts.heartbeat ? { heartbeatAt: facts.heartbeat.at } : {}),
    ...(facts.heartbeat?.progress === undefined ? {} : { progress: facts.heartbeat.progress }),
  }
}

function toAttempt(
  attempt: AttemptFacts,
  index: number,
  attempts: readonly AttemptFacts[],
  context: RecordContext,
): AttemptRecord {
  const { spanId, n, by, startedAt, end, lost } = attempt
  const state = end
    ? end.state === 'released'
      ? 'enqueued'
      : isRetried(attempt, attempts)
        ? 'retrying'
        : end.state
    : lost
      ? 'lost'
      : isRunning(attempt, attempts)
        ? 'running'
        : 'retrying'
  const reason = end ? end.reason : lost?.reason
  const failure = end?.failure ?? lost?.failure
  const endedAt = end?.at ?? lost?.at
  return {
    n: n || index + 1,
    worker: context.worker(by) ?? UNKNOWN,
    spanId,
    startedAt,
    ...(endedAt === undefined ? {} : { endedAt }),
    state,
    ...(reason ? { reason } : {}),
    ...(failure ? { failure } : {}),
  }
}
