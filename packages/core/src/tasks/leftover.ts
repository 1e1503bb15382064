// Work that no library tells of: a CLIENT or INTERNAL span of a request that is still open when the response has ended, or that
// starts after it, becomes an in-process task, written at that moment.
import { SpanKind, trace, type Context, type Span } from '@opentelemetry/api'
import type { EpochMs, TaskId } from '../contracts/task.ts'
import { activeRequest, type RequestRecord } from '../http/request-record.ts'
import { encodeForJournal } from '../sdk/capture.ts'
import type { SpanData, SpanScope } from '../sdk/span-data.ts'
import type { SpanObserver } from '../sdk/span-observers.ts'
import { taskChannel } from './channel.ts'
import { publishSpawned } from './producer.ts'
import { isTaskSpan, patrolTells } from './outcome-teller.ts'
import { redact } from './redact.ts'
import { noteTold } from './told-failures.ts'
import type { RecordedSpan } from '../sdk/recorded-span.ts'

interface OpenSpan {
  readonly span: RecordedSpan
  readonly record: RequestRecord
  /** Part of other work: a child of an open leftover, or of a task's own span. */
  readonly isInside: boolean
  taskId?: TaskId
}
/** Spans that nobody ends would stay for ever: the oldest go first. */
const MOST_OPEN = 50_000

export interface Leftovers extends SpanObserver {
  requestEnded(record: RequestRecord): void
}

export function watchLeftovers(now: () => EpochMs, overdueMs: number): Leftovers {
  const open = new Map<string, OpenSpan>()
  const byRecord = new WeakMap<RequestRecord, Set<OpenSpan>>()

  function becomeTask(entry: OpenSpan): void {
    const { span, record } = entry
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
      if ((span.kind !== SpanKind.CLIENT && span.kind !== SpanKind.INTERNAL) || isNoWork(span)) return
      const record = activeRequest(parent)
      // A framework's own span of the request is closed a little after the response, and is no work.
      if (!record || (span.isRetold && !record.ended)) return
      const parentSpan = trace.getSpan(parent)
      const isInside = parentSpan !== undefined && (isTaskSpan(parentSpan) || open.has(parentSpan.spanContext().spanId))
      const entry: OpenSpan = { span, record, isInside }
      if (open.size >= MOST_OPEN) open.delete(open.keys().next().value!)
      open.set(span.spanContext().spanId, entry)
      if (record.ended) {
        if (!isInside) becomeTask(entry)
        return
      }
      const set = byRecord.get(record)
      if (set) set.add(entry)
      else byRecord.set(record, new Set([entry]))
    },
    onEnd(span: SpanData, scope: SpanScope) {
      const entry = open.get(span.spanId)
      if (!entry) return false
      open.delete(span.spanId)
      if (!entry.record.ended) byRecord.get(entry.record)?.delete(entry)
      return entry.taskId ? publishEnd(entry.taskId, span, scope, now()) : false
    },
    requestEnded(record) {
      const set = byRecord.get(record)
      if (!set) return
      byRecord.delete(record)
      for (const entry of set) if (!entry.isInside) becomeTask(entry)
    },
  }
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
