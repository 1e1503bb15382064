// The sending half of the kit: a PRODUCER span, the carrier, 'spawned' before the message leaves, 'confirmed' when the broker has it.
import {
  context,
  INVALID_TRACEID,
  propagation,
  SpanKind,
  trace,
  TraceFlags,
  type Context,
  type Span,
} from '@opentelemetry/api'
import type { Carrier, SentAs, TaskDraft } from '../contracts/integration.ts'
import type { EpochMs, LateSpawn, TaskId, TraceRef } from '../contracts/task.ts'
import { endOf, withdraw } from '../http/effective.ts'
import { activeRequest, activeTask, type RequestRecord } from '../http/request-record.ts'
import { SPAN_KEY, withValue } from '../sdk/request-context.ts'
import { taskChannel } from './channel.ts'
import type { KitDeps } from './kit-deps.ts'
import { messaging } from './messaging.ts'
import { tellCancelled, tellLost } from './outcome.ts'
import { toFailure } from './redact.ts'

export interface Spawn {
  readonly taskId: TaskId
  readonly span: Span
  readonly active: Context
  readonly draft: TaskDraft
}

const setter = {
  set: (carrier: Carrier, key: string, value: string) => {
    carrier.set(key, value)
  },
}

/** Undefined where tracing is suppressed: the sender is one that nobody follows. */
export function spawn(deps: KitDeps, draft: TaskDraft, carrier: Carrier): Spawn | undefined {
  const before = context.active()
  const attributes = { ...messaging(draft, 'send'), 'afterspan.task.name': draft.name }
  const span = deps.tracer().startSpan(`send ${draft.destination}`, { kind: SpanKind.PRODUCER, attributes }, before)
  const spanContext = span.spanContext()
  if (spanContext.traceId === INVALID_TRACEID) return undefined
  const taskId = `${spanContext.traceId}${spanContext.spanId}` as TaskId
  span.setAttribute('afterspan.task.id', taskId)
  const active = withValue(before, SPAN_KEY, span)
  propagation.inject(active, carrier, setter)
  publishSpawned(activePromiser(before, span), taskId, draft, deps.now())
  return { taskId, span, active, draft }
}

/** Who promises: the active request, or the task that runs. */
export interface Promiser {
  readonly request?: RequestRecord | undefined
  readonly parent?: TaskId | undefined
  readonly origin: TraceRef
  /** Where nobody can be named: who may have promised it. */
  readonly candidates?: readonly TraceRef[]
}

export function activePromiser(before: Context, span: Span): Promiser {
  const request = activeRequest(before)
  return { request, parent: activeTask(before), origin: request?.ref ?? refOf(trace.getSpan(before) ?? span) }
}

/** Says that work is promised, before anything of it happens. */
export function publishSpawned(
  { request, parent, origin, candidates }: Promiser,
  taskId: TaskId,
  draft: TaskDraft,
  at: EpochMs,
): void {
  if (request) request.promised++
  const { system, destination, name, deadlineMs } = draft
  taskChannel.publish({
    kind: 'spawned',
    taskId,
    at,
    system,
    destination,
    name,
    origin,
    ...(request?.route ? { route: request.route } : {}),
    ...(request?.ended ? { late: lateSpawn(request) } : {}),
    ...(parent ? { parent } : {}),
    ...(candidates ? { candidates } : {}),
    ...(deadlineMs === undefined ? {} : { deadlineAt: (at + deadlineMs) as EpochMs }),
  })
}

function lateSpawn(record: RequestRecord): LateSpawn {
  const { method, promised } = record
  // Of several late promises the first takes the request back; the others find it with the patrol already.
  const isCounted = promised === 1 && !withdraw(record)
  return { method, isCounted, ...endOf(record) }
}

export function confirm(deps: KitDeps, { taskId, span, draft }: Spawn, messageId: SentAs): void {
  if (messageId === null) {
    tellCancelled({ taskId, span, attempt: 0 }, deps.now(), 'deduplicated')
    return
  }
  if (typeof messageId === 'object') {
    if (messageId.instead !== 'unanswered') {
      tellCancelled({ taskId, span, attempt: 0 }, deps.now(), messageId.instead)
      return
    }
    taskChannel.publish({ kind: 'sent', taskId, at: deps.now() })
    span.end()
    return
  }
  if (messageId) span.setAttribute('messaging.message.id', messageId)
  const { system, destination, name, isFoundById } = draft
  taskChannel.publish({
    kind: 'confirmed',
    taskId,
    at: deps.now(),
    ...(messageId ? { messageId } : {}),
    ...(messageId && isFoundById ? { description: { system, destination, name } } : {}),
  })
  span.end()
}

export function neverEnqueued(deps: KitDeps, { taskId, span }: Spawn, error: unknown): void {
  const how = { reason: 'never_enqueued', evidence: 'own_report', failure: toFailure(error) } as const
  tellLost({ taskId, span, attempt: 0 }, deps.now(), how)
}

export function refOf(span: Span): TraceRef {
  const { traceId, spanId, traceFlags } = span.spanContext()
  return { traceId, spanId, sampled: (traceFlags & TraceFlags.SAMPLED) !== 0 }
}
