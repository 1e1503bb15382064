// One task of the active request, from its first word to its last: what `runTask` and `openTask` are made of.
import { context, isSpanContextValid, SpanKind, type Tracer } from '@opentelemetry/api'
import type { EpochMs, TaskId } from '../contracts/task.ts'
import { REQUEST_KEY } from '../http/request-record.ts'
import { AttemptContext } from './attempt-context.ts'
import { taskChannel } from './channel.ts'
import { isAbort } from './aborted.ts'
import { tellCancelled, tellFailed, tellSucceeded } from './outcome.ts'
import { activePromiser, publishSpawned } from './producer.ts'
import { toFailure } from './redact.ts'
import { createScope, type TaskOptions, type TaskScope } from './scope.ts'

/** Ends once, by the first word; later ones are ignored. None of it throws, but for what `run` is given. */
export interface BegunTask {
  readonly scope: TaskScope
  /** Runs in the context of the task: what that spawns is its own. */
  run<R>(fn: (scope: TaskScope) => R): R
  succeed(): void
  cancel(): void
  /** An AbortError is no failure: it cancels. */
  fail(error: unknown, isSync?: boolean): void
}

/** Undefined where nobody follows: then it is not recorded. */
export type BeginTask = (name: string, options?: TaskOptions) => BegunTask | undefined

export interface BeginTaskDeps {
  readonly tracer: () => Tracer
  readonly now: () => EpochMs
  readonly onError: (error: unknown) => void
  /** When work that gives no deadline is overdue. It is not aborted. */
  readonly overdueMs: number
}

/** What is too long for a record of the journal would be in none. */
const MOST_NAME = 1_000

export function createBeginTask(deps: BeginTaskDeps): BeginTask {
  return (name, options) => {
    try {
      return begin(deps, String(name).slice(0, MOST_NAME), options ?? {})
    } catch (error) {
      deps.onError(error)
      return undefined
    }
  }
}

function begin(deps: BeginTaskDeps, name: string, options: TaskOptions): BegunTask | undefined {
  const before = context.active()
  const attributes = { ...options.attributes, 'afterspan.task.name': name }
  // Without the request in its context, so that the span itself is not taken for a leftover of it.
  const parent = before.deleteValue(REQUEST_KEY)
  const span = deps.tracer().startSpan(name, { kind: SpanKind.INTERNAL, attributes }, parent)
  const spanContext = span.spanContext()
  if (!isSpanContextValid(spanContext)) return undefined
  const { traceId, spanId } = spanContext
  const taskId = `${traceId}${spanId}` as TaskId
  span.setAttribute('afterspan.task.id', taskId)
  const at = deps.now()
  const deadlineMs = Number.isFinite(options.deadlineMs) ? options.deadlineMs! : deps.overdueMs
  const draft = { system: 'process', destination: name, name, deadlineMs }
  publishSpawned(activePromiser(before, span), taskId, draft, at)
  taskChannel.publish({ kind: 'started', taskId, at, attempt: 1, spanId })

  const live = createScope(options, (progress) => {
    taskChannel.publish({ kind: 'heartbeat', taskId, at: deps.now(), ...(progress === undefined ? {} : { progress }) })
  })
  const active = new AttemptContext(before, span, taskId)
  const ending = { taskId, span, attempt: 1 }
  let isOver = false
  const once = (tell: () => void): void => {
    if (isOver) return
    isOver = true
    active.isOver = true
    live.end()
    try {
      tell()
    } catch (error) {
      deps.onError(error)
    }
  }
  return {
    scope: live.scope,
    run: (fn) => context.with(active, fn, undefined, live.scope),
    succeed() {
      once(() => tellSucceeded(ending, deps.now()))
    },
    cancel() {
      once(() => tellCancelled(ending, deps.now(), 'aborted'))
    },
    fail(error, isSync = false) {
      once(() => {
        if (isAbort(error)) tellCancelled(ending, deps.now(), 'aborted')
        else {
          const reason = isSync ? 'threw' : 'rejected'
          tellFailed(ending, deps.now(), { reason, failure: toFailure(error), willRetry: false })
        }
      })
    },
  }
}
