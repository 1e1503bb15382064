// How the end of an attempt becomes an event and a span. The event is published first or carries the span, so that what the
// journal holds is never behind what the collector has.
import { SpanStatusCode, type Span, type TimeInput } from '@opentelemetry/api'
import type { EpochMs, Evidence, TaskFailure, TaskId, TaskReason, TraceRef } from '../contracts/task.ts'
import { endCaptured } from '../sdk/capture.ts'
import { taskChannel } from './channel.ts'
import { patrolTells } from './outcome-teller.ts'
import { noteTold } from './told-failures.ts'

/** What ends: one attempt of one task, and its span. */
export interface Ending {
  readonly taskId: TaskId
  readonly span: Span
  readonly attempt: number
  /** When its span ended, where that is known only later. */
  readonly endedAt?: TimeInput
}

export function tellSucceeded({ taskId, span, attempt }: Ending, at: EpochMs): void {
  taskChannel.publish({ kind: 'succeeded', taskId, at, attempt, spanId: span.spanContext().spanId })
  span.setAttribute('afterspan.task.state', 'succeeded')
  span.end()
}

export function tellCancelled({ taskId, span, endedAt }: Ending, at: EpochMs, reason: TaskReason): void {
  // That nobody reads it is refuted by whoever does: the span, which nobody can change then, says nothing of it.
  const isPresumed = reason === 'no_reader'
  const presumed = isPresumed ? { isPresumed } : {}
  taskChannel.publish({ kind: 'cancelled', taskId, at, spanId: span.spanContext().spanId, reason, ...presumed })
  if (!isPresumed) span.setAttributes({ 'afterspan.task.state': 'cancelled', 'afterspan.task.reason': reason })
  span.end(endedAt)
}

/** The attempt gave the task back without a result: delayed, rate-limited, waiting for children. */
export function tellReleased({ taskId, span }: Ending, at: EpochMs): void {
  taskChannel.publish({ kind: 'released', taskId, at, spanId: span.spanContext().spanId })
  span.setAttribute('afterspan.task.state', 'enqueued')
  span.end()
}

export function tellFailed(
  { taskId, span, attempt, endedAt }: Ending,
  at: EpochMs,
  how: {
    readonly reason: TaskReason
    readonly failure: TaskFailure
    readonly willRetry: boolean
    readonly exitCode?: number
  },
): void {
  const { reason, failure, willRetry, exitCode } = how
  markFailed(span, failure, willRetry ? 'retrying' : 'failed', reason)
  noteTold(span.spanContext().traceId, failure)
  const event = {
    kind: 'failed',
    taskId,
    at,
    attempt,
    spanId: span.spanContext().spanId,
    reason,
    failure,
    willRetry,
    ...(exitCode === undefined ? {} : { exitCode }),
  } as const
  if (!patrolTells()) {
    taskChannel.publish({ ...event, isTold: true })
    span.end(endedAt)
    return
  }
  const told = endCaptured(span, endedAt)
  taskChannel.publish(told ? { ...event, span: told } : event)
}

/** A task that ends as lost by this process's own word: its message never reached the broker. */
export function tellLost(
  { taskId, span, attempt }: Ending,
  at: EpochMs,
  how: {
    readonly reason: TaskReason
    readonly evidence: Evidence
    readonly failure: TaskFailure
    readonly culprit?: TraceRef
  },
): void {
  markFailed(span, how.failure, 'lost', how.reason)
  span.setAttribute('afterspan.task.evidence', how.evidence)
  const event = { kind: 'lost', taskId, at, attempt, ...how } as const
  if (!patrolTells()) {
    taskChannel.publish({ ...event, isTold: true })
    span.end()
    return
  }
  const told = endCaptured(span)
  taskChannel.publish(told ? { ...event, span: told } : event)
}

/** An attempt whose worker is gone, by the word of the process that saw it go. */
export function tellAttemptLost(
  { taskId, span, attempt }: Ending,
  at: EpochMs,
  how: {
    readonly reason: TaskReason
    readonly evidence: Evidence
    readonly failure?: TaskFailure
    readonly exitCode?: number
    readonly signal?: string
  },
): void {
  const { reason, failure, exitCode, signal } = how
  const message = signal ? `ended by ${signal}` : exitCode === undefined ? 'ended' : `ended with code ${exitCode}`
  if (failure) markFailed(span, failure, 'lost', reason)
  else {
    span.setAttributes({ 'error.type': reason, 'afterspan.task.state': 'lost', 'afterspan.task.reason': reason })
    span.setStatus({ code: SpanStatusCode.ERROR, message })
  }
  span.setAttribute('afterspan.task.evidence', how.evidence)
  const event = { kind: 'lost', taskId, at, attempt, spanId: span.spanContext().spanId, ...how } as const
  if (!patrolTells()) {
    taskChannel.publish({ ...event, isTold: true })
    span.end()
    return
  }
  const told = endCaptured(span)
  taskChannel.publish(told ? { ...event, span: told } : event)
}

function markFailed(span: Span, failure: TaskFailure, state: string, reason: TaskReason): void {
  const { type, message, stack } = failure
  span.recordException({ name: type, message, ...(stack ? { stack } : {}) })
  span.setAttributes({ 'error.type': type, 'afterspan.task.state': state, 'afterspan.task.reason': reason })
  span.setStatus({ code: SpanStatusCode.ERROR, message })
}
