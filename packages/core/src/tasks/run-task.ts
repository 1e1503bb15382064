import { context, SpanKind, SpanStatusCode, trace, TraceFlags, type Span, type Tracer } from '@opentelemetry/api'
import type { EpochMs, TaskId } from '../contracts/task.ts'
import { globalState } from '../global-state.ts'
import { activeRequest, activeTask, REQUEST_KEY, TASK_KEY } from '../http/request-record.ts'
import { taskChannel } from './channel.ts'
import { observe } from './kit.ts'
import { toFailure } from './redact.ts'
import type { TaskOptions, TaskScope } from './scope.ts'

/**
 * Runs fn as a task of the active request: its own span, its rows in the journal, its outcome in the ledger. Returns and throws
 * what fn does. Without the preload it only runs fn, and nothing is recorded.
 */
export function runTask<R>(name: string, fn: (scope: TaskScope) => R, options?: TaskOptions): R {
  const run = globalState().runTask
  return run ? run(name, fn, options) : fn(bareScope(options))
}

/**
 * Follows a promise (or the function that makes it) that nobody will await. What it returns settles as the work does, and never
 * counts as an unhandled rejection: the failure is in the trace and the ledger instead.
 */
export function track<T>(
  name: string,
  work: Promise<T> | ((scope: TaskScope) => Promise<T>),
  options?: TaskOptions,
): Promise<T> {
  const followed = runTask(name, (scope) => (typeof work === 'function' ? work(scope) : work), options)
  followed.catch(() => {})
  return followed
}

function bareScope(options: TaskOptions | undefined): TaskScope {
  return {
    signal: options?.deadlineMs === undefined ? new AbortController().signal : AbortSignal.timeout(options.deadlineMs),
    heartbeat() {},
  }
}

/** The implementation that core's boot puts into the global state. */
export function createRunTask(deps: {
  readonly tracer: () => Tracer
  readonly now: () => EpochMs
  readonly onError: (error: unknown) => void
}): NonNullable<ReturnType<typeof globalState>['runTask']> {
  return (name, fn, options = {}) => {
    const before = context.active()
    const span = deps
      .tracer()
      .startSpan(
        name,
        { kind: SpanKind.INTERNAL, attributes: { ...options.attributes, 'afterspan.task.name': name } },
        before.deleteValue(REQUEST_KEY),
      )
    const { traceId, spanId, traceFlags } = span.spanContext()
    const taskId = `${traceId}${spanId}` as TaskId
    const request = activeRequest(before)
    const parent = activeTask(before)
    const sampled = (traceFlags & TraceFlags.SAMPLED) !== 0
    if (request) request.promised++
    const at = deps.now()
    span.setAttribute('afterspan.task.id', taskId)
    taskChannel.publish({
      kind: 'spawned',
      taskId,
      at,
      system: 'process',
      destination: name,
      name,
      origin: request?.ref ?? { traceId, spanId: trace.getSpanContext(before)?.spanId ?? spanId, sampled },
      ...(request?.route ? { route: request.route } : {}),
      ...(parent ? { parent } : {}),
      ...(request?.counted ? { late: true } : {}),
      ...(options.deadlineMs === undefined ? {} : { deadlineAt: (at + options.deadlineMs) as EpochMs }),
    })
    taskChannel.publish({ kind: 'started', taskId, at, attempt: 1, spanId })
    const scope = liveScope(taskId, options, deps.now)
    const active = trace.setSpan(before, span).setValue(TASK_KEY, taskId).deleteValue(REQUEST_KEY)
    return observe(
      () => context.with(active, fn, undefined, scope.scope),
      () => {
        scope.end()
        ended(span, taskId, deps.now())
      },
      (error, isSync) => {
        scope.end()
        failed(span, taskId, deps.now(), error, isSync)
      },
      deps.onError,
    )
  }
}

function liveScope(
  taskId: TaskId,
  options: TaskOptions,
  now: () => EpochMs,
): { readonly scope: TaskScope; end(): void } {
  const controller = new AbortController()
  const timer =
    options.deadlineMs === undefined
      ? undefined
      : setTimeout(() => {
          controller.abort(new DOMException('the deadline of the task has passed', 'TimeoutError'))
        }, options.deadlineMs).unref()
  return {
    scope: {
      signal: controller.signal,
      heartbeat(progress) {
        taskChannel.publish({ kind: 'heartbeat', taskId, at: now(), ...(progress === undefined ? {} : { progress }) })
      },
    },
    end() {
      clearTimeout(timer)
    },
  }
}

function ended(span: Span, taskId: TaskId, at: EpochMs): void {
  taskChannel.publish({ kind: 'succeeded', taskId, at, attempt: 1 })
  span.setAttribute('afterspan.task.state', 'succeeded')
  span.end()
}

function failed(span: Span, taskId: TaskId, at: EpochMs, error: unknown, isSync: boolean): void {
  const failure = toFailure(error)
  if ((error as { name?: unknown } | null)?.name === 'AbortError') {
    taskChannel.publish({ kind: 'cancelled', taskId, at, reason: 'aborted' })
    span.setAttributes({ 'afterspan.task.state': 'cancelled', 'afterspan.task.reason': 'aborted' })
    span.end()
    return
  }
  const reason = isSync ? 'threw' : 'rejected'
  taskChannel.publish({ kind: 'failed', taskId, at, attempt: 1, reason, failure, willRetry: false })
  span.recordException({
    name: failure.type,
    message: failure.message,
    ...(failure.stack ? { stack: failure.stack } : {}),
  })
  span.setAttributes({ 'error.type': failure.type, 'afterspan.task.state': 'failed', 'afterspan.task.reason': reason })
  span.setStatus({ code: SpanStatusCode.ERROR, message: failure.message })
  span.end()
}
