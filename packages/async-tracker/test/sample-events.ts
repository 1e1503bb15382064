// Events as the channels would publish them, short to write. Times are small numbers: what counts is their order.
import type {
  EpochMs,
  JournalEvent,
  ProcessOpened,
  RequestAnswered,
  RequestReceived,
  TaskCancelled,
  TaskConfirmed,
  TaskEvent,
  TaskFailed,
  TaskFailure,
  TaskId,
  TaskLost,
  TaskReleased,
  TaskSent,
  TaskSpawned,
  TaskStarted,
  TaskSucceeded,
  TraceRef,
  WorkerRef,
} from '@afterspan/core/internal'
import { gather, type TaskFacts } from '../src/task-facts.ts'

/** An event, and the writer of the journal that holds it. */
export interface Told {
  readonly by: string
  readonly event: TaskEvent
}

export const WEB = '00000000000000a0.0'
export const WORKER = '00000000000000b0.0'
export const OTHER_WORKER = '00000000000000c0.0'
export const FAILURE: TaskFailure = { type: 'RangeError', message: 'no such order' }

export function ms(time: number): EpochMs {
  return time as EpochMs
}

export function hex(n: number, length: number): string {
  return n.toString(16).padStart(length, '0')
}

/** The SERVER span of request n, in trace n. */
export function requestRef(n = 1, sampled = true): TraceRef {
  return { traceId: hex(n, 32), spanId: hex(n, 16), sampled }
}

/** Task `task` of request n: its PRODUCER span is 0x100 and on. */
export function taskIdOf(task = 0, n = 1): TaskId {
  return (hex(n, 32) + hex(0x100 + task, 16)) as TaskId
}

export const TASK = taskIdOf()
const DESCRIPTION = { system: 'bullmq', destination: 'fulfil', name: 'order' }

export function spawned(at: number, more: Partial<TaskSpawned> = {}): TaskSpawned {
  return { kind: 'spawned', taskId: TASK, at: ms(at), ...DESCRIPTION, origin: requestRef(), ...more }
}
export function confirmed(at: number, more: Partial<TaskConfirmed> = {}): TaskConfirmed {
  return { kind: 'confirmed', taskId: TASK, at: ms(at), ...more }
}
/** Without an answer of the broker. */
export function sent(at: number): TaskSent {
  return { kind: 'sent', taskId: TASK, at: ms(at) }
}
export function started(at: number, span: number, more: Partial<TaskStarted> = {}): TaskStarted {
  return { kind: 'started', taskId: TASK, at: ms(at), attempt: 0, spanId: spanId(span), ...more }
}
export function succeeded(at: number, span: number, more: Partial<TaskSucceeded> = {}): TaskSucceeded {
  return { kind: 'succeeded', taskId: TASK, at: ms(at), attempt: 0, spanId: spanId(span), ...more }
}
/** For good; `willRetry` says otherwise. */
export function failed(at: number, span: number, more: Partial<TaskFailed> = {}): TaskFailed {
  const how = { reason: 'rejected', failure: FAILURE, willRetry: false } as const
  return { kind: 'failed', taskId: TASK, at: ms(at), attempt: 0, spanId: spanId(span), ...how, ...more }
}
export function released(at: number, span: number, more: Partial<TaskReleased> = {}): TaskReleased {
  return { kind: 'released', taskId: TASK, at: ms(at), spanId: spanId(span), ...more }
}
export function cancelled(at: number, span: number, more: Partial<TaskCancelled> = {}): TaskCancelled {
  return { kind: 'cancelled', taskId: TASK, at: ms(at), spanId: spanId(span), reason: 'aborted', ...more }
}
/** By proof that the owner of the attempt is dead. */
export function lost(at: number, span: number, more: Partial<TaskLost> = {}): TaskLost {
  const how = { reason: 'process_killed', evidence: 'process_gone' } as const
  return { kind: 'lost', taskId: TASK, at: ms(at), attempt: 0, spanId: spanId(span), ...how, ...more }
}
/** Its sender died before the broker had it. */
export function neverEnqueued(at: number, more: Partial<TaskLost> = {}): TaskLost {
  const how = { reason: 'never_enqueued', evidence: 'process_gone' } as const
  return { kind: 'lost', taskId: TASK, at: ms(at), attempt: 0, ...how, ...more }
}
/** What only the broker knew. */
export function settledFailed(at: number, more: Partial<TaskFailed> = {}): TaskFailed {
  const how = { reason: 'dead_lettered', failure: { type: 'dead_lettered', message: '' }, willRetry: false } as const
  return { kind: 'failed', taskId: TASK, at: ms(at), attempt: 0, ...how, ...more }
}
export function settledCancelled(at: number, more: Partial<TaskCancelled> = {}): TaskCancelled {
  return { kind: 'cancelled', taskId: TASK, at: ms(at), reason: 'aborted', ...more }
}
export function settledLost(at: number, more: Partial<TaskLost> = {}): TaskLost {
  const how = { reason: 'vanished_from_broker', evidence: 'broker' } as const
  return { kind: 'lost', taskId: TASK, at: ms(at), attempt: 0, ...how, ...more }
}

/** As the flight log has it. */
export function received(at: number, n = 1, more: Partial<RequestReceived> = {}): RequestReceived {
  return { at: ms(at), origin: requestRef(n), method: 'POST', target: '/orders', ...more }
}
export function answered(at: number, promised: number, more: Partial<RequestAnswered> = {}): RequestAnswered {
  const what = { service: 'shop', method: 'POST', route: '/orders', status: 202, outcome: 'sent' } as const
  return { kind: 'answered', at: ms(at), startedAt: ms(at - 1), origin: requestRef(), promised, ...what, ...more }
}

export function workerRef(key: string, more: Partial<WorkerRef> = {}): WorkerRef {
  const [nonce = '', thread = '0'] = key.split('.')
  return {
    hostId: 'host',
    bootId: 'boot',
    pidNamespace: 'pid:[1]',
    timeNamespace: 'time:[1]',
    pid: Number.parseInt(nonce.slice(-4), 16),
    startTicks: 7,
    threadId: Number(thread),
    nonce,
    service: 'shop',
    ...more,
  }
}
export function opened(key: string, at = 1): ProcessOpened {
  return {
    kind: 'opened',
    at: ms(at),
    worker: workerRef(key),
    resource: { 'service.name': 'shop' },
    sdkVersion: '0.1.0',
  }
}

/** The id of a span that is no task's: attempts 1, 2, 3 ... */
export function spanId(n: number): string {
  return hex(0xa000 + n, 16)
}

/** The task that an attempt without context names: itself, in a trace of its own. */
export function strayIdOf(span: number): TaskId {
  return (hex(0xbb00 + span, 32) + spanId(span)) as TaskId
}

export function tell(by: string, ...events: TaskEvent[]): Told[] {
  return events.map((event) => ({ by, event }))
}

export function factsOf(told: readonly Told[]): TaskFacts {
  const facts = told.reduce<TaskFacts | undefined>((known, { event, by }) => gather(known, event, by), undefined)
  if (!facts) throw new Error('no event, no facts')
  return facts
}

/** All kinds of events that a journal may hold. */
export function oneOfEach(): JournalEvent[] {
  return [
    opened(WEB),
    spawned(3, { route: '/orders', deadlineAt: ms(99), parent: taskIdOf(7) }),
    confirmed(4, { messageId: 'm-1' }),
    sent(4),
    answered(5, 1),
    started(6, 1, { description: DESCRIPTION, origin: requestRef(), maxAttempts: 3, messageId: 'm-1' }),
    { kind: 'heartbeat', taskId: TASK, at: ms(7), progress: 0.5 },
    failed(8, 1, { willRetry: true, failure: { ...FAILURE, stack: 'RangeError: žluťoučký 🐎\n    at x' } }),
    released(9, 2),
    cancelled(10, 3),
    lost(11, 4, { culprit: requestRef(9), exitCode: 137, signal: 'SIGKILL' }),
    succeeded(12, 5),
    { kind: 'acknowledged', taskId: TASK, at: ms(13), by: 'somebody', note: 'seen' },
    { kind: 'reported', taskId: TASK, at: ms(14), spanId: spanId(1) },
    { kind: 'crashed', at: ms(15), failure: FAILURE, culprit: requestRef() },
    { kind: 'exiting', at: ms(16), code: 1, signal: 'SIGTERM' },
  ]
}
