// Work whose end somebody tells later: a child process, a worker thread. What `runTask` is for a function, this is for a handle.
import { context, isSpanContextValid, SpanKind, trace, type Attributes } from '@opentelemetry/api'
import type { TaskDraft } from '../contracts/integration.ts'
import type { Evidence, TaskFailure, TaskId, TaskReason } from '../contracts/task.ts'
import { REQUEST_KEY, activeRequest, activeTask } from '../http/request-record.ts'
import { isOwnWork } from '../sdk/suppress.ts'
import { taskChannel } from './channel.ts'
import type { KitDeps } from './kit-deps.ts'
import { tellAttemptLost, tellCancelled, tellFailed, tellReleased, tellSucceeded, type Ending } from './outcome.ts'
import { activePromiser, publishSpawned } from './producer.ts'

/** Ends once, by the first word; later ones are ignored. */
export interface OpenWork {
  readonly taskId: TaskId
  /** Span id of who promised it. */
  readonly promisedBy: string
  succeed(attributes?: Attributes): void
  cancel(reason: TaskReason): void
  /** Nobody here can tell any more how it ends: it is in other hands. */
  release(): void
  fail(how: { readonly reason: TaskReason; readonly failure: TaskFailure; readonly exitCode?: number }): void
  lose(how: {
    readonly reason: TaskReason
    readonly evidence: Evidence
    readonly failure?: TaskFailure
    readonly exitCode?: number
    readonly signal?: string
  }): void
}

/** Begins work of the active request or task; undefined where there is none, or nobody follows: then it is nobody's promise. */
export type BeginWork = (draft: TaskDraft, attributes?: Attributes) => OpenWork | undefined

export function createBeginWork(deps: KitDeps & { readonly overdueMs: number }): BeginWork {
  return (draft, attributes = {}) => {
    try {
      return begin(deps, draft, attributes)
    } catch (error) {
      deps.onError(error)
      return undefined
    }
  }
}

/** Who would promise work that begins now; undefined: nobody. */
export function activePromise(): string | undefined {
  const active = context.active()
  if (isOwnWork()) return undefined
  return activeRequest(active)?.ref.spanId ?? (activeTask(active) && trace.getSpan(active)?.spanContext().spanId)
}

function begin(
  deps: KitDeps & { readonly overdueMs: number },
  draft: TaskDraft,
  attributes: Attributes,
): OpenWork | undefined {
  const promisedBy = activePromise()
  if (promisedBy === undefined) return undefined
  const before = context.active()
  const span = deps.tracer().startSpan(
    draft.name,
    { kind: SpanKind.INTERNAL, attributes: { ...attributes, 'afterspan.task.name': draft.name } },
    before.deleteValue(REQUEST_KEY), // so that the span is not taken for a leftover of the request too
  )
  const { traceId, spanId } = span.spanContext()
  if (!isSpanContextValid(span.spanContext())) return undefined
  const taskId = `${traceId}${spanId}` as TaskId
  span.setAttribute('afterspan.task.id', taskId)
  const at = deps.now()
  publishSpawned(activePromiser(before, span), taskId, { deadlineMs: deps.overdueMs, ...draft }, at)
  taskChannel.publish({ kind: 'started', taskId, at, attempt: 1, spanId })

  return { promisedBy, ...endings(deps, { taskId, span, attempt: 1 }) }
}

function endings(deps: KitDeps, ending: Ending): Omit<OpenWork, 'promisedBy'> {
  const { taskId, span } = ending
  let isOver = false
  const once = (tell: () => void): void => {
    if (isOver) return
    isOver = true
    try {
      tell()
    } catch (error) {
      deps.onError(error)
    }
  }
  return {
    taskId,
    succeed(more) {
      once(() => {
        if (more) span.setAttributes(more)
        tellSucceeded(ending, deps.now())
      })
    },
    cancel(reason) {
      once(() => {
        tellCancelled(ending, deps.now(), reason)
      })
    },
    release() {
      once(() => {
        tellReleased(ending, deps.now())
      })
    },
    fail(how) {
      once(() => {
        tellFailed(ending, deps.now(), { ...how, willRetry: false })
      })
    },
    lose(how) {
      once(() => {
        tellAttemptLost(ending, deps.now(), how)
      })
    },
  }
}
