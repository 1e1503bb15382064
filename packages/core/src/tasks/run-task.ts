import { context, isSpanContextValid, SpanKind, trace, type Tracer } from '@opentelemetry/api'
import type { EpochMs, TaskId } from '../contracts/task.ts'
import { globalState } from '../global-state.ts'
import { REQUEST_KEY, TASK_KEY } from '../http/request-record.ts'
import { taskChannel } from './channel.ts'
import { isAbort } from './consumer.ts'
import { observe } from './observe.ts'
import { tellCancelled, tellFailed, tellSucceeded } from './outcome.ts'
import { activePromiser, publishSpawned } from './producer.ts'
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
 * counts as an unhandled rejection: the failure is in the trace and the ledger instead. A function that throws before it has a
 * promise comes back as a rejected one: nothing is thrown at the caller, with the preload or without.
 */
export function track<T>(
  name: string,
  work: Promise<T> | ((scope: TaskScope) => Promise<T>),
  options?: TaskOptions,
): Promise<T> {
  let followed: Promise<T>
  try {
    followed = runTask(name, (scope) => Promise.resolve(typeof work === 'function' ? work(scope) : work), options)
  } catch (error) {
    followed = Promise.reject(error as Error)
  }
  followed.catch(() => {})
  return followed
}

function bareScope(options: TaskOptions | undefined): TaskScope {
  const never = new AbortController().signal
  return { signal: options?.deadlineMs === undefined ? never : AbortSignal.timeout(options.deadlineMs), heartbeat() {} }
}

interface RunTaskDeps {
  readonly tracer: () => Tracer
  readonly now: () => EpochMs
  readonly onError: (error: unknown) => void
  /** When work that gives no deadline is overdue. It is not aborted. */
  readonly overdueMs: number
}

/** The implementation that core's boot puts into the global state. */
export function createRunTask(deps: RunTaskDeps): NonNullable<ReturnType<typeof globalState>['runTask']> {
  return (name, fn, options = {}) => {
    const before = context.active()
    const attributes = { ...options.attributes, 'afterspan.task.name': name }
    // Without the request in its context, so that the span itself is not taken for a leftover of it.
    const parent = before.deleteValue(REQUEST_KEY)
    const span = deps.tracer().startSpan(name, { kind: SpanKind.INTERNAL, attributes }, parent)
    const { traceId, spanId } = span.spanContext()
    if (!isSpanContextValid(span.spanContext())) return fn(bareScope(options))
    const taskId = `${traceId}${spanId}` as TaskId
    span.setAttribute('afterspan.task.id', taskId)
    const at = deps.now()
    const draft = { system: 'process', destination: name, name, deadlineMs: options.deadlineMs ?? deps.overdueMs }
    publishSpawned(activePromiser(before, span), taskId, draft, at)
    taskChannel.publish({ kind: 'started', taskId, at, attempt: 1, spanId })

    const ending = { taskId, span, attempt: 1 }
    const live = liveScope(taskId, options, deps.now)
    const active = trace.setSpan(before, span).setValue(TASK_KEY, taskId).deleteValue(REQUEST_KEY)
    return observe(() => context.with(active, fn, undefined, live.scope), {
      onSuccess: () => {
        live.end()
        tellSucceeded(ending, deps.now())
      },
      onFailure: (error, isSync) => {
        live.end()
        if (isAbort(error)) tellCancelled(ending, deps.now(), 'aborted')
        else
          tellFailed(ending, deps.now(), {
            reason: isSync ? 'threw' : 'rejected',
            failure: toFailure(error),
            willRetry: false,
          })
      },
      onError: deps.onError,
    })
  }
}

function liveScope(
  taskId: TaskId,
  { deadlineMs }: TaskOptions,
  now: () => EpochMs,
): { readonly scope: TaskScope; end(): void } {
  const controller = new AbortController()
  const abort = (): void => {
    controller.abort(new DOMException('the deadline of the task has passed', 'TimeoutError'))
  }
  const timer = deadlineMs === undefined ? undefined : setTimeout(abort, deadlineMs).unref()
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
