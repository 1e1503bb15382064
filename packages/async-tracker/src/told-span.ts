// The spans that the patrol tells in a dead process's place. They are made from the ledger's facts alone and never change, so a
// second delivery is byte for byte the first: Jaeger merges those, and shows anything else with the same id twice.
import { createHash } from 'node:crypto'
import {
  OTLP_KIND,
  type RequestAnswered,
  type RequestReceived,
  type SpanData,
  type TaskFailure,
  type TaskId,
  type TraceRef,
  type WorkerRef,
} from '@afterspan/core/internal'
import type { AttemptFacts, LostMark, TaskEnd, TaskFacts } from './task-facts.ts'

const IN_PROCESS = 'process'

/** An attempt whose process died, or that failed in a trace that nobody sampled: under the id that its own span had, so that what hangs below it finds its parent. */
export function attemptSpan(facts: TaskFacts, attempt: AttemptFacts, worker: WorkerRef | undefined): SpanData {
  const { lost, end, joinedFrom } = attempt
  const state = end ? (end.willRetry ? 'retrying' : end.state) : 'lost'
  const isQueued = facts.description?.system !== IN_PROCESS
  return {
    ...head(facts, attempt.spanId, isQueued ? messageOf(facts).slice(32) : (facts.origin?.spanId ?? '')),
    // It ran where nobody knew whose it was.
    ...(joinedFrom ? { traceId: joinedFrom.slice(0, 32), parentSpanId: undefined } : {}),
    name: isQueued
      ? `process ${attempt.destination ?? facts.description?.destination ?? ''}`
      : (facts.description?.name ?? ''),
    kind: isQueued ? OTLP_KIND.consumer : OTLP_KIND.internal,
    startMs: attempt.startedAt,
    endMs: Math.max(attempt.startedAt, end?.at ?? lost?.at ?? attempt.startedAt),
    attributes: {
      ...(isQueued ? messaging(facts, 'process', attempt.destination) : {}),
      ...taskAttributes(facts, state),
      'afterspan.task.attempt': attempt.n || facts.attempts.indexOf(attempt) + 1,
      ...(attempt.maxAttempts === undefined ? {} : { 'afterspan.task.attempts': attempt.maxAttempts }),
      ...(worker?.pid ? { 'afterspan.task.worker.pid': worker.pid } : {}),
      ...(end ? endAttributes(end.reason, end.failure) : lostAttributes(lost!)),
    },
    ...tail(end?.failure ?? lost?.failure, end ? undefined : lost, end?.at ?? lost?.at),
  }
}

/** The same in the trace of its origin, of an attempt that ran in a trace of its own. */
export function joinedSpan(facts: TaskFacts, attempt: AttemptFacts, worker: WorkerRef | undefined): SpanData {
  const { joinedFrom = facts.taskId, spanId, ...rest } = attempt
  const { end, lost } = rest
  const isWell = end !== undefined && end.state !== 'failed'
  const ownId = derivedSpanId(facts.taskId, spanId, end?.state ?? lost?.reason ?? '')
  const { attributes, status, links = [], ...span } = attemptSpan(facts, { ...rest, spanId }, worker)
  const { 'error.type': _, ...well } = attributes
  return {
    ...span,
    spanId: ownId,
    attributes: isWell ? well : attributes,
    ...(isWell ? {} : { status }),
    links: [...links, { traceId: joinedFrom.slice(0, 32), spanId, attributes: {} }],
  }
}

/** A message that was on its way to the broker when its sender died: the PRODUCER span itself. */
export function producerSpan(facts: TaskFacts, lost: LostMark): SpanData {
  const { spawned, description } = facts
  const startMs = spawned?.at ?? lost.at
  return {
    ...head(facts, facts.taskId.slice(32), facts.origin?.spanId ?? ''),
    name: `send ${description?.destination ?? ''}`,
    kind: OTLP_KIND.producer,
    startMs,
    endMs: Math.max(startMs, lost.at),
    attributes: { ...messaging(facts, 'send'), ...taskAttributes(facts, 'lost'), ...lostAttributes(lost) },
    ...tail(lost.failure, lost, lost.at),
  }
}

/** An end that only the broker knew: a span of its own, below the one that sent the message. */
export function outcomeSpan(facts: TaskFacts, end: TaskEnd): SpanData {
  const startMs = facts.spawned?.at ?? end.at
  return {
    ...head(facts, derivedSpanId(facts.taskId, end.state, end.reason), messageOf(facts).slice(32)),
    name: `${end.state} ${facts.description?.destination ?? ''}`,
    kind: OTLP_KIND.internal,
    startMs,
    endMs: Math.max(startMs, end.at),
    attributes: {
      ...messaging(facts, 'settle'),
      ...taskAttributes(facts, end.state),
      ...(end.state === 'lost' ? lostAttributes(end) : endAttributes(end.reason, end.failure)),
    },
    ...tail(end.failure, end.state === 'lost' ? end : undefined, end.at),
  }
}

/** A request that was in flight when its process died. */
export function requestSpan(received: RequestReceived, lost: LostMark): SpanData {
  const { origin, method, target, parentSpanId, at } = received
  return {
    traceId: origin.traceId,
    spanId: origin.spanId,
    parentSpanId,
    name: method,
    kind: OTLP_KIND.server,
    startMs: at,
    endMs: Math.max(at, lost.at),
    attributes: {
      'http.request.method': method,
      ...(target ? { 'url.path': target } : {}),
      'afterspan.http.aborted_by': 'crash',
      'error.type': lost.failure?.type ?? lost.reason,
    },
    flags: 1,
    ...tail(lost.failure, lost, lost.at),
  }
}

/** A request that nobody sampled, told again because a promise of it is broken: what failed needs something to hang on. */
export function answeredSpan(answered: RequestAnswered): SpanData {
  const { origin, method, route, status, at, startedAt, target, parentSpanId } = answered
  return {
    traceId: origin.traceId,
    spanId: origin.spanId,
    parentSpanId,
    name: route ? `${method} ${route}` : method,
    kind: OTLP_KIND.server,
    startMs: startedAt,
    endMs: Math.max(startedAt, at),
    attributes: {
      'http.request.method': method,
      ...(target ? { 'url.path': target } : {}),
      ...(route ? { 'http.route': route } : {}),
      ...(status === undefined ? {} : { 'http.response.status_code': status }),
    },
    flags: 1,
  }
}

/** First eight bytes of the SHA-256 of what makes it unique. */
export function derivedSpanId(...parts: readonly string[]): string {
  return createHash('sha256').update(parts.join('|')).digest('hex').slice(0, 16)
}

/** The task whose id travels in the message. */
function messageOf({ taskId, copyOf }: TaskFacts): TaskId {
  return copyOf ?? taskId
}

function head(
  facts: TaskFacts,
  spanId: string,
  parentSpanId: string,
): Pick<SpanData, 'traceId' | 'spanId' | 'parentSpanId' | 'flags'> {
  return {
    traceId: facts.taskId.slice(0, 32),
    spanId,
    ...(parentSpanId && parentSpanId !== spanId ? { parentSpanId } : {}),
    flags: 1,
  }
}

function messaging(facts: TaskFacts, operation: string, from?: string): Record<string, string> {
  const { system = '', destination = '' } = facts.description ?? {}
  const messageId = facts.confirmed?.messageId ?? facts.attempts.find((a) => a.messageId)?.messageId
  return {
    'messaging.system': system,
    'messaging.destination.name': from ?? destination,
    'messaging.operation.name': operation,
    'messaging.operation.type': operation,
    ...(messageId ? { 'messaging.message.id': messageId } : {}),
  }
}

function taskAttributes(facts: TaskFacts, state: string): Record<string, string> {
  return {
    'afterspan.task.id': messageOf(facts),
    'afterspan.task.name': facts.description?.name ?? '',
    'afterspan.task.state': state,
  }
}

function endAttributes(reason: string | undefined, failure: TaskFailure | undefined): Record<string, string> {
  return { ...(reason ? { 'afterspan.task.reason': reason } : {}), 'error.type': failure?.type ?? reason ?? 'error' }
}

function lostAttributes({ reason, evidence, failure }: LostMark): Record<string, string> {
  return { 'afterspan.task.reason': reason, 'afterspan.task.evidence': evidence, 'error.type': failure?.type ?? reason }
}

function tail(
  failure: TaskFailure | undefined,
  lost: LostMark | undefined,
  at: number | undefined,
): Pick<SpanData, 'status' | 'events' | 'links'> {
  return {
    status: { code: 2, message: failure?.message || (lost ? sayLost(lost) : '') },
    ...(failure && at !== undefined
      ? { events: [{ name: 'exception', atMs: at, attributes: exception(failure) }] }
      : {}),
    ...(lost?.culprit ? { links: [culpritLink(lost.culprit)] } : {}),
  }
}

function exception({ type, message, stack }: TaskFailure): Record<string, string> {
  return { 'exception.type': type, 'exception.message': message, ...(stack ? { 'exception.stacktrace': stack } : {}) }
}

function culpritLink({ traceId, spanId }: TraceRef): NonNullable<SpanData['links']>[number] {
  return { traceId, spanId, attributes: { 'afterspan.crash.role': 'culprit' } }
}

/** One sentence on how a process was lost, for people. */
export function sayLost({ reason, evidence, exitCode, signal, failure }: LostMark): string {
  if (reason === 'never_enqueued' && evidence === 'own_report')
    return `sending it failed${failure ? `: ${failure.type}: ${failure.message}` : ''}`
  if (reason === 'never_enqueued') return 'the process ended before the broker had the message'
  if (failure) return `the process ended: ${failure.type}: ${failure.message}`
  if (signal) return `the process was ended by ${signal}`
  if (exitCode !== undefined) return `the process exited with ${exitCode} while the work was open`
  if (evidence === 'process_gone') return 'the process is gone and left no exit record: SIGKILL, out of memory or alike'
  return `lost: ${reason}, by ${evidence}`
}
