// The sending half of the kit: a PRODUCER span, the carrier, 'spawned' before the message leaves, 'confirmed' when the broker has it.
import {
  context,
  isSpanContextValid,
  propagation,
  SpanKind,
  trace,
  TraceFlags,
  type Context,
  type Span,
} from '@opentelemetry/api'
import type { Carrier, TaskDraft } from '../contracts/integration.ts'
import type { EpochMs, TaskId, TraceRef } from '../contracts/task.ts'
import { activeRequest, activeTask } from '../http/request-record.ts'
import { taskChannel } from './channel.ts'
import type { KitDeps } from './kit.ts'
import { messaging } from './messaging.ts'
import { tellCancelled, tellLost } from './outcome.ts'
import { toFailure } from './redact.ts'

export interface Spawn {
  readonly taskId: TaskId
  readonly span: Span
  readonly active: Context
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
  if (!isSpanContextValid(spanContext)) return undefined
  const taskId = `${spanContext.traceId}${spanContext.spanId}` as TaskId
  span.setAttribute('afterspan.task.id', taskId)
  const active = trace.setSpan(before, span)
  propagation.inject(active, carrier, setter)
  publishSpawned(before, { taskId, span, draft, at: deps.now() })
  return { taskId, span, active }
}

/** Says that the active request, or the active task, promises this work; before anything of it happens. */
export function publishSpawned(
  before: Context,
  {
    taskId,
    span,
    draft,
    at,
  }: { readonly taskId: TaskId; readonly span: Span; readonly draft: TaskDraft; readonly at: EpochMs },
): void {
  const request = activeRequest(before)
  const parent = activeTask(before)
  if (request) request.promised++
  taskChannel.publish({
    kind: 'spawned',
    taskId,
    at,
    system: draft.system,
    destination: draft.destination,
    name: draft.name,
    origin: request?.ref ?? refOf(trace.getSpan(before) ?? span),
    ...(request?.route ? { route: request.route } : {}),
    ...(parent ? { parent } : {}),
    ...(request?.counted ? { late: true } : {}),
    ...(draft.deadlineMs === undefined ? {} : { deadlineAt: (at + draft.deadlineMs) as EpochMs }),
  })
}

/** `messageId` null: the broker took no new message (deduplicated). */
export function confirm(deps: KitDeps, { taskId, span }: Spawn, messageId: string | null | undefined): void {
  if (messageId === null) {
    tellCancelled({ taskId, span, attempt: 0 }, deps.now(), 'deduplicated')
    return
  }
  if (messageId) span.setAttribute('messaging.message.id', messageId)
  taskChannel.publish({ kind: 'confirmed', taskId, at: deps.now(), ...(messageId ? { messageId } : {}) })
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
