// Messages that no integration of ours follows, by the spans that others make of them: a PRODUCER span of a request or of a task is
// a task, a CONSUMER span that names it an attempt.
import { isSpanContextValid, SpanKind, trace, TraceFlags, type Context, type SpanContext } from '@opentelemetry/api'
import type { EpochMs, TaskEvent, TaskId, TraceRef } from '../contracts/task.ts'
import { activeRequest, activeTask } from '../http/request-record.ts'
import { encodeForJournal } from '../sdk/capture.ts'
import { followedSystems } from '../sdk/owned-scopes.ts'
import { PROCESS_ENDED } from '../sdk/open-spans.ts'
import { OTLP_KIND, type SpanData, type SpanScope } from '../sdk/span-data.ts'
import type { SpanObserver } from '../sdk/span-observers.ts'
import { taskChannel } from './channel.ts'
import { draftOf, isRun, messageIdOf, readerOf, systemOf, text } from './messaging-span.ts'
import { OpenMessages, type OpenMessage } from './open-messages.ts'
import { patrolTells } from './outcome-teller.ts'
import { publishSpawned, type Promiser } from './producer.ts'
import { redact } from './redact.ts'
import type { RecordedSpan } from '../sdk/recorded-span.ts'

/** `ownScope` is that of the kit's own spans, which tell of their tasks themselves. */
export function watchMessages(now: () => EpochMs, ownScope: string): SpanObserver {
  const open = new OpenMessages()

  function publish(entry: OpenMessage): void {
    const { span, promiser, taskIds } = entry
    if (entry.isPublished || open.of(span.spanContext().spanId) !== entry) return
    if (isFollowed(span)) {
      open.disown(entry)
      return
    }
    entry.isPublished = true
    if (promiser) publishSpawned(promiser, taskIds[0]!, draftOf(span, span.instrumentationScope.name), now())
    else publishStarted(entry, now())
  }
  function begin(entry: OpenMessage, mayWait: boolean): void {
    open.add(entry)
    if (!mayWait || systemOf(entry.span) !== undefined) publish(entry)
    else
      queueMicrotask(() => {
        publish(entry)
      })
  }
  return {
    onStart(span, parent) {
      if (span.kind < SpanKind.PRODUCER || span.instrumentationScope.name === ownScope || isFollowed(span)) return
      if (span.kind === SpanKind.PRODUCER) {
        const promiser = promiserOf(parent, open)
        const taskIds = [idOf(span.spanContext())]
        // Where it does not say yet what it sends, its maker is about to: before this turn of the loop is over.
        if (promiser) begin({ span, taskIds, promiser, isPublished: false }, true)
      } else if (isRun(span)) {
        const taskIds = tasksOf(span, trace.getSpanContext(parent), open)
        // At once, since it may not live to the end of this turn; but where others are followed it must say first what it is.
        if (taskIds.length > 0) begin({ span, taskIds, isPublished: false }, followedSystems.size > 0)
      }
    },
    onEnd(span, scope) {
      if (span.kind < OTLP_KIND.producer) return false
      const entry = open.of(span.spanId)
      if (!entry) return false
      publish(entry)
      open.remove(entry)
      // The process ends: what becomes of its tasks is for those who see it go.
      if (!entry.isPublished || span.status?.message === PROCESS_ENDED) return false
      return entry.promiser ? producerEnded(entry.taskIds[0]!, span, scope, now()) : runEnded(entry, span, scope, now())
    },
  }
}

/** An integration tells of it. */
function isFollowed(span: RecordedSpan): boolean {
  return followedSystems.size > 0 && followedSystems.has(systemOf(span) ?? '')
}

/** Whose promise a PRODUCER span is: that of a request, or of a task that runs. */
function promiserOf(parent: Context, open: OpenMessages): Promiser | undefined {
  const request = activeRequest(parent)
  if (request) return { request, parent: activeTask(parent), origin: request.ref }
  const from = trace.getSpanContext(parent)
  const task = from && (activeTask(parent) ?? open.taskAround(from))
  return task && { parent: task, origin: refOf(from) }
}

/** The messages that a CONSUMER span names: those that it links to, or else its parent. What is neither remote nor a PRODUCER seen here is none. */
function tasksOf(span: RecordedSpan, parent: SpanContext | undefined, open: OpenMessages): readonly TaskId[] {
  const named = new Set<TaskId>()
  const add = (from: SpanContext): void => {
    if (isSpanContextValid(from) && (from.isRemote || open.hasProduced(idOf(from)))) named.add(idOf(from))
  }
  for (const link of span.links) add(link.context)
  if (parent && (named.size === 0 || open.hasProduced(idOf(parent)))) add(parent)
  return [...named]
}

function publishStarted({ span, taskIds }: OpenMessage, at: EpochMs): void {
  const { spanId } = span.spanContext()
  const { system, destination, name } = draftOf(span, span.instrumentationScope.name)
  // The id is that of one message: of several nobody knows whose it is.
  const messageId = taskIds.length === 1 ? messageIdOf(span) : undefined
  const reader = readerOf(span)
  for (const taskId of taskIds)
    taskChannel.publish({
      kind: 'started',
      taskId,
      at,
      attempt: 0,
      spanId,
      description: { system, destination, name },
      origin: { traceId: taskId.slice(0, 32), spanId: taskId.slice(32), sampled: isSampled(span.spanContext()) },
      ...(messageId ? { messageId } : {}),
      ...(reader ? { reader } : {}),
    })
}

/** Whether the patrol tells the span. */
function producerEnded(taskId: TaskId, span: SpanData, scope: SpanScope, at: EpochMs): boolean {
  if (span.status?.code !== 2) {
    const messageId = messageIdOf(span)
    taskChannel.publish({ kind: 'confirmed', taskId, at, ...(messageId ? { messageId } : {}) })
    return false
  }
  const failure = markBad(span, 'lost', 'never_enqueued')
  span.attributes['afterspan.task.evidence'] = 'own_report'
  const how = { reason: 'never_enqueued', evidence: 'own_report', failure } as const
  return publishBad([{ kind: 'lost', taskId, at, attempt: 0, ...how }], span, scope)
}

/** Whether the patrol tells the span. */
function runEnded({ taskIds }: OpenMessage, span: SpanData, scope: SpanScope, at: EpochMs): boolean {
  const { spanId } = span
  if (span.status?.code !== 2) {
    span.attributes['afterspan.task.state'] = 'succeeded'
    for (const taskId of taskIds) taskChannel.publish({ kind: 'succeeded', taskId, at, attempt: 0, spanId })
    return false
  }
  const failure = markBad(span, 'failed', 'rejected')
  const how = { kind: 'failed', at, attempt: 0, spanId, reason: 'rejected', failure, willRetry: false } as const
  return publishBad(
    taskIds.map((taskId) => ({ ...how, taskId })),
    span,
    scope,
  )
}

type BadEvent = Extract<TaskEvent, { readonly kind: 'failed' | 'lost' }>

/** The span is told once in its own trace, by the patrol or by this process; in the trace of a task elsewhere, to which it only links, the patrol tells of it. */
function publishBad(events: readonly BadEvent[], span: SpanData, scope: SpanScope): boolean {
  const told = patrolTells() ? encodeForJournal(span, scope) : undefined
  let isGiven = false
  for (const event of events) {
    if (!event.taskId.startsWith(span.traceId)) taskChannel.publish(event)
    else if (told && !isGiven) {
      isGiven = true
      taskChannel.publish({ ...event, span: told })
    } else taskChannel.publish({ ...event, isTold: true })
  }
  return isGiven
}

function markBad(
  { attributes, events, status }: SpanData,
  state: 'failed' | 'lost',
  reason: string,
): { type: string; message: string } {
  const thrown = events?.find(({ name }) => name === 'exception')?.attributes
  const type = (text(attributes['error.type']) ?? text(thrown?.['exception.type']) ?? 'error').slice(0, 128)
  const message = redact(text(status?.message) ?? text(thrown?.['exception.message']) ?? '')
  Object.assign(attributes, { 'error.type': type, 'afterspan.task.state': state, 'afterspan.task.reason': reason })
  return { type, message }
}

function idOf({ traceId, spanId }: SpanContext): TaskId {
  return `${traceId}${spanId}` as TaskId
}
function refOf(from: SpanContext): TraceRef {
  return { traceId: from.traceId, spanId: from.spanId, sampled: isSampled(from) }
}
function isSampled({ traceFlags }: SpanContext): boolean {
  return (traceFlags & TraceFlags.SAMPLED) !== 0
}
