// Work that no library tells of: a CLIENT or INTERNAL span of a request that is still open when the response has ended, or that
// starts after it, becomes an in-process task, written at that moment.
import { SpanKind, trace, type Context, type Span } from '@opentelemetry/api'
import type { EpochMs, TaskId } from '../contracts/task.ts'
import { activeRequest, type RequestRecord } from '../http/request-record.ts'
import { LinkedList } from '../linked-list.ts'
import { encodeForJournal } from '../sdk/capture.ts'
import type { SpanData, SpanScope } from '../sdk/span-data.ts'
import type { SpanObserver } from '../sdk/span-observers.ts'
import { standsFor } from '../sdk/pass-through.ts'
import { taskChannel } from './channel.ts'
import { publishSpawned } from './producer.ts'
import { isTaskSpan, patrolTells } from './outcome-teller.ts'
import { redact } from './redact.ts'
import { noteTold } from './told-failures.ts'
import { RecordedSpan } from '../sdk/recorded-span.ts'
import type { OpenCall } from './open-call.ts'

/** Of one request: what it does beside so many others is not followed. */
const MOST_OPEN = 50_000

export interface Leftovers extends SpanObserver<OpenCall | undefined> {
  requestEnded(record: RequestRecord): void
}

export function watchLeftovers(now: () => EpochMs, overdueMs: number): Leftovers {
  function becomeTask(entry: OpenCall, record: RequestRecord): void {
    const { span } = entry
    const { traceId, spanId } = span.spanContext()
    const taskId = `${traceId}${spanId}` as TaskId
    entry.taskId = taskId
    ;(span as unknown as Span).setAttribute('afterspan.task.id', taskId)
    const at = now()
    const draft = { system: 'process', destination: destination(span), name: span.name, deadlineMs: overdueMs }
    publishSpawned({ request: record, origin: record.ref }, taskId, draft, at)
    taskChannel.publish({ kind: 'started', taskId, at, attempt: 1, spanId })
  }
  return {
    onStart(span: RecordedSpan, parent: Context) {
      if ((span.kind !== SpanKind.CLIENT && span.kind !== SpanKind.INTERNAL) || isNoWork(span)) return undefined
      const record = activeRequest(parent)
      // A framework's own span of the request is closed a little after the response, and is no work.
      if (!record || (span.isRetold && !record.ended)) return undefined
      const others = record.ended ? undefined : (record.openCalls ??= new LinkedList<OpenCall>())
      if (others && others.size >= MOST_OPEN) return undefined
      const isInside = isWithinWork(trace.getSpan(parent))
      const entry: OpenCall = {
        span,
        isInside,
        others,
        taskId: undefined,
        before: undefined,
        after: undefined,
        isIn: false,
      }
      span.isWork = true
      if (others) others.add(entry)
      else if (!isInside) becomeTask(entry, record)
      return entry
    },
    onEnd(span: SpanData, scope: SpanScope, entry) {
      if (!entry) return false
      entry.others?.remove(entry)
      return entry.taskId ? publishEnd(entry.taskId, span, scope, now()) : false
    },
    requestEnded(record) {
      const { openCalls } = record
      record.openCalls = undefined
      for (const entry of openCalls?.all() ?? []) if (!entry.isInside) becomeTask(entry, record)
    },
  }
}

/** A child of work that is open, or of a task's own span. */
function isWithinWork(parent: Span | undefined): boolean {
  const span = standsFor(parent)
  if (span === undefined) return false
  return (span instanceof RecordedSpan && span.isWork && !span.ended) || isTaskSpan(span)
}

/** Whether the patrol tells the span. */
function publishEnd(taskId: TaskId, span: SpanData, scope: SpanScope, at: EpochMs): boolean {
  const { attributes, spanId, status } = span
  if (isAborted(span)) {
    noteTold(span.traceId, { type: 'AbortError', message: redact(status?.message ?? '') })
    taskChannel.publish({ kind: 'cancelled', taskId, at, spanId, reason: 'aborted' })
    return false
  }
  if (status?.code !== 2) {
    taskChannel.publish({ kind: 'succeeded', taskId, at, attempt: 1, spanId })
    return false
  }
  const type = textOf(attributes['error.type']) ?? thrownType(span) ?? 'error'
  attributes['error.type'] = type
  attributes['afterspan.task.state'] = 'failed'
  attributes['afterspan.task.reason'] = 'rejected'
  const failure = { type, message: redact(status.message ?? '') }
  noteTold(span.traceId, failure)
  const event = {
    kind: 'failed',
    taskId,
    at,
    attempt: 1,
    spanId,
    reason: 'rejected',
    failure,
    willRetry: false,
  } as const
  const isTold = patrolTells()
  taskChannel.publish(isTold ? { ...event, span: encodeForJournal(span, scope) } : { ...event, isTold: true })
  return isTold
}

/**
 * What a Redis client asks, and is no work that a request promised: QUIT, when the app closes it, of which nobody ever ends the span
 * where the client closes the connection itself before the answer, as BullMQ has ioredis do for each worker; and a command that waits
 * until there is work, as the loop of a worker that a request has started does for ever: it has not failed where the process ends. And
 * `connect` of ioredis, which says that a connection is wanted, and does so for as long as there is none.
 */
function isNoWork({ attributes, name }: RecordedSpan): boolean {
  return NO_WORK.test(name) && (attributes['db.system.name'] ?? attributes['db.system']) === 'redis'
}
/** By the names that ioredis has, and node-redis. */
const NO_WORK =
  /^connect$|^(?:redis-)?(?:quit|b[lr]pop|brpoplpush|bl(?:move|mpop)|bz(?:mpop|popmin|popmax)|xread(?:group)?)$/i

/** The app's own wish: by its error, or a call that ended without an answer and without an error, as an aborted fetch does. */
function isAborted(span: SpanData): boolean {
  const { attributes, status } = span
  if (status?.code === 2) return (textOf(attributes['error.type']) ?? thrownType(span)) === 'AbortError'
  return attributes['http.request.method'] !== undefined && attributes['http.response.status_code'] === undefined
}

/** What an exception on the span is called. */
function thrownType({ events }: SpanData): string | undefined {
  const thrown = events?.find(({ name }) => name === 'exception')?.attributes
  return textOf(thrown?.['exception.type'])
}

function destination(span: RecordedSpan): string {
  const { attributes } = span
  const host = attributes['server.address'] ?? attributes['net.peer.name']
  const port = Number(attributes['server.port'] ?? attributes['net.peer.port'])
  if (typeof host === 'string') return port ? `${host}:${port}` : host
  return textOf(attributes['db.namespace']) ?? textOf(attributes['messaging.destination.name']) ?? span.name
}

function textOf(value: unknown): string | undefined {
  return typeof value === 'string' ? value : undefined
}
