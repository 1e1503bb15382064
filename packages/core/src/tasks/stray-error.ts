// An error that nobody caught is the end of a piece of work that no library tells of: a task of the request or task whose code
// threw, written at that moment. Where nobody can be named it is a task of nobody, with those who may have left it behind.
import { context, ROOT_CONTEXT, SpanKind, trace, type Tracer } from '@opentelemetry/api'
import type { EpochMs, TaskId, TraceRef } from '../contracts/task.ts'
import type { Culprit } from '../guard/attribution.ts'
import { REQUEST_KEY } from '../http/request-record.ts'
import { nowMs } from '../sdk/time.ts'
import { taskChannel } from './channel.ts'
import { isAbort } from './aborted.ts'
import { tellCancelled, tellFailed } from './outcome.ts'
import { publishSpawned } from './producer.ts'
import { toFailure } from './redact.ts'

export interface Uncaught {
  readonly error: unknown
  /** Node's word for it: 'uncaughtException' or 'unhandledRejection'. */
  readonly origin: string
  readonly culprit: Culprit | undefined
  readonly candidates: readonly TraceRef[]
  readonly isCrash: boolean
}
/** Work that has been announced, and whose bad end is yet to be told. Each of the two may be called again, and `withdraw` after `fail`. */
export interface StrayError {
  fail(): void
  /** Somebody has caught it after all. */
  withdraw(): void
}
export interface StrayDeps {
  readonly tracer: () => Tracer
  readonly now: () => EpochMs
}

export function announceStray({ tracer, now }: StrayDeps, uncaught: Uncaught): StrayError {
  const { error, origin, culprit, candidates, isCrash } = uncaught
  const startTime = nowMs()
  const span = tracer().startSpan(
    origin,
    { kind: SpanKind.INTERNAL, startTime, ...(culprit ? {} : { links: candidates.map(candidateLink) }) },
    culprit ? contextOf(culprit) : ROOT_CONTEXT,
  )
  const { traceId, spanId } = span.spanContext()
  const taskId = `${traceId}${spanId}` as TaskId
  span.setAttribute('afterspan.task.id', taskId)
  if (!culprit) span.setAttribute('afterspan.task.unattributed', true)
  if (isCrash) span.setAttribute('afterspan.crash.role', 'culprit')
  publishStray(uncaught, { taskId, spanId, at: now() })

  // It is a moment, however long it takes to know that nobody will catch it.
  const ending = { taskId, span, attempt: 1, endedAt: startTime }
  let isTold = false
  return {
    fail() {
      if (isTold) return
      isTold = true
      if (isAbort(error)) tellCancelled(ending, now(), 'aborted')
      else tellFailed(ending, now(), { reason: reasonOf(origin), failure: toFailure(error), willRetry: false })
    },
    withdraw() {
      if (isTold) taskChannel.publish({ kind: 'cancelled', taskId, at: now(), spanId, reason: 'handled' })
      else tellCancelled(ending, now(), 'handled')
      isTold = true
    },
  }
}

/** The row of a crash of nobody's, whose span is told already. */
export function tellStrayCrash(uncaught: Uncaught, { traceId, spanId }: TraceRef, at: EpochMs): void {
  const taskId = `${traceId}${spanId}` as TaskId
  publishStray(uncaught, { taskId, spanId, at })
  const how = { reason: reasonOf(uncaught.origin), failure: toFailure(uncaught.error), willRetry: false, isTold: true }
  taskChannel.publish({ kind: 'failed', taskId, at, attempt: 1, spanId, ...how, isTold: true })
}

function publishStray(
  { error, origin, culprit, candidates }: Uncaught,
  { taskId, spanId, at }: { readonly taskId: TaskId; readonly spanId: string; readonly at: EpochMs },
): void {
  const draft = { system: 'process', destination: origin, name: toFailure(error).type }
  const own = { traceId: taskId.slice(0, 32), spanId, sampled: true }
  publishSpawned(
    culprit ? { request: culprit.record, parent: culprit.task, origin: culprit.ref } : { origin: own, candidates },
    taskId,
    draft,
    at,
  )
  taskChannel.publish({ kind: 'started', taskId, at, attempt: 1, spanId })
}

/** Without the request in it, so that the span is not taken for a leftover of it too. */
function contextOf({ ref: { traceId, spanId, sampled } }: Culprit): ReturnType<typeof trace.setSpanContext> {
  const active = context.active().deleteValue(REQUEST_KEY)
  return trace.setSpanContext(active, { traceId, spanId, traceFlags: sampled ? 1 : 0 })
}

function candidateLink({ traceId, spanId, sampled }: TraceRef) {
  const attributes = { 'afterspan.crash.role': 'candidate' }
  return { context: { traceId, spanId, traceFlags: sampled ? 1 : 0 }, attributes }
}

function reasonOf(origin: string): 'rejected' | 'threw' {
  return origin === 'unhandledRejection' ? 'rejected' : 'threw'
}
