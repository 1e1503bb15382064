// The narrow waist: an integration says what is sent and what is run; spans, carrier, journal and outcome are decided here.
import { types } from 'node:util'
import {
  context,
  propagation,
  ROOT_CONTEXT,
  SpanKind,
  SpanStatusCode,
  trace,
  TraceFlags,
  type Attributes,
  type Context,
  type Span,
  type SpanContext,
  type Tracer,
} from '@opentelemetry/api'
import type { AttemptInfo, Carrier, TaskDraft, TaskKit } from '../contracts/integration.ts'
import type { EpochMs, Evidence, TaskId, TaskReason, TraceRef } from '../contracts/task.ts'
import { activeRequest, activeTask, REQUEST_KEY, TASK_KEY } from '../http/request-record.ts'
import { taskChannel } from './channel.ts'
import { toFailure } from './redact.ts'

export interface KitDeps {
  readonly tracer: () => Tracer
  readonly now: () => EpochMs
  readonly onError: (error: unknown) => void
}

const getter = {
  get: (carrier: Carrier, key: string) => carrier.get(key),
  keys: () => ['traceparent', 'tracestate', 'baggage'],
}
const setter = {
  set: (carrier: Carrier, key: string, value: string) => {
    carrier.set(key, value)
  },
}

/** The kit never throws into the app: what goes wrong inside it is counted, and send and run are called all the same, once. */
export function createKit(deps: KitDeps): TaskKit {
  return {
    enqueue(draft, carrier, send, messageIdOf) {
      let spawn: Spawn | undefined
      try {
        spawn = spawned(deps, draft, carrier)
      } catch (error) {
        deps.onError(error)
      }
      if (!spawn) return send()
      const { active } = spawn
      return observe(
        () => context.with(active, send),
        (result) => {
          confirmed(deps, spawn, messageIdOf?.(result as never))
        },
        (error) => {
          neverEnqueued(deps, spawn, error)
        },
        deps.onError,
      )
    },
    attempt(info, carrier, run) {
      let attempt: Attempt | undefined
      try {
        attempt = started(deps, info, carrier)
      } catch (error) {
        deps.onError(error)
      }
      if (!attempt) return run()
      const { active } = attempt
      return observe(
        () => context.with(active, run),
        () => {
          succeeded(deps, attempt)
        },
        (error, isSync) => {
          failed(deps, attempt, error, isSync)
        },
        deps.onError,
        true,
      )
    },
    settle(taskId: TaskId, event: 'failed' | 'cancelled' | 'lost', reason: TaskReason, evidence: Evidence) {
      const at = deps.now()
      if (event === 'cancelled') taskChannel.publish({ kind: 'cancelled', taskId, at, reason })
      else if (event === 'lost') taskChannel.publish({ kind: 'lost', taskId, at, attempt: 0, reason, evidence })
      else
        taskChannel.publish({
          kind: 'failed',
          taskId,
          at,
          attempt: 0,
          reason,
          failure: { type: reason, message: '' },
          willRetry: false,
        })
    },
    wrap(target, method, replace) {
      wrapMethod(target, method, replace, deps.onError)
    },
  }
}

/**
 * Calls `run` once and looks at how it ends without standing in its way. A promise comes back as its own `then`: a second branch
 * beside the app's would make Node take a rejection for handled. Other thenables are lazy in some libraries (calling `then` runs
 * them), so they are only adopted where the caller is going to await them anyway.
 */
export function observe<R>(
  run: () => R,
  onSuccess: (value: unknown) => void,
  onFailure: (error: unknown, isSync: boolean) => void,
  onError: (error: unknown) => void,
  adoptThenables = false,
): R {
  const quietly = (tell: () => void): void => {
    try {
      tell()
    } catch (error) {
      onError(error)
    }
  }
  let result: R
  try {
    result = run()
  } catch (error) {
    quietly(() => {
      onFailure(error, true)
    })
    throw error
  }
  const promise = types.isPromise(result)
    ? result
    : adoptThenables && isThenable(result)
      ? Promise.resolve(result)
      : undefined
  if (!promise) {
    quietly(() => {
      onSuccess(result)
    })
    return result
  }
  return promise.then(
    (value) => {
      quietly(() => {
        onSuccess(value)
      })
      return value
    },
    (error: unknown) => {
      quietly(() => {
        onFailure(error, false)
      })
      throw error
    },
  ) as R
}
function isThenable(value: unknown): value is PromiseLike<unknown> {
  try {
    return typeof (value as { then?: unknown } | null | undefined)?.then === 'function'
  } catch {
    return false
  }
}

interface Spawn {
  readonly taskId: TaskId
  readonly span: Span
  readonly active: Context
  readonly draft: TaskDraft
}

function spawned(deps: KitDeps, draft: TaskDraft, carrier: Carrier): Spawn {
  const before = context.active()
  const span = deps
    .tracer()
    .startSpan(
      `send ${draft.destination}`,
      { kind: SpanKind.PRODUCER, attributes: { ...messaging(draft, 'send'), 'afterspan.task.name': draft.name } },
      before,
    )
  const { traceId, spanId, traceFlags } = span.spanContext()
  const taskId = `${traceId}${spanId}` as TaskId
  span.setAttribute('afterspan.task.id', taskId)
  const active = trace.setSpan(before, span)
  propagation.inject(active, carrier, setter)
  const request = activeRequest(before)
  const parentTask = activeTask(before)
  const parentSpan = trace.getSpanContext(before)
  const origin: TraceRef =
    request?.ref ??
    (parentSpan
      ? { traceId: parentSpan.traceId, spanId: parentSpan.spanId, sampled: isSampled(parentSpan) }
      : { traceId, spanId, sampled: (traceFlags & TraceFlags.SAMPLED) !== 0 })
  if (request) request.promised++
  const at = deps.now()
  taskChannel.publish({
    kind: 'spawned',
    taskId,
    at,
    system: draft.system,
    destination: draft.destination,
    name: draft.name,
    origin,
    ...(request?.route ? { route: request.route } : {}),
    ...(parentTask ? { parent: parentTask } : {}),
    ...(request?.counted ? { late: true } : {}),
    ...(draft.deadlineMs === undefined ? {} : { deadlineAt: (at + draft.deadlineMs) as EpochMs }),
  })
  return { taskId, span, active, draft }
}

function confirmed(deps: KitDeps, { taskId, span }: Spawn, messageId: string | undefined): void {
  if (messageId) span.setAttribute('messaging.message.id', messageId)
  taskChannel.publish({ kind: 'confirmed', taskId, at: deps.now(), ...(messageId ? { messageId } : {}) })
  span.end()
}

function neverEnqueued(deps: KitDeps, { taskId, span }: Spawn, error: unknown): void {
  const failure = toFailure(error)
  taskChannel.publish({
    kind: 'lost',
    taskId,
    at: deps.now(),
    attempt: 0,
    reason: 'never_enqueued',
    evidence: 'own_report',
    failure,
  })
  fail(span, error, failure.type, failure.message)
  span.setAttributes({ 'afterspan.task.state': 'lost', 'afterspan.task.reason': 'never_enqueued' })
  span.end()
}

interface Attempt {
  readonly taskId: TaskId
  readonly span: Span
  readonly active: Context
  readonly info: AttemptInfo
}

function started(deps: KitDeps, info: AttemptInfo, carrier: Carrier): Attempt {
  const extracted = propagation.extract(ROOT_CONTEXT, carrier, getter)
  const producer = trace.getSpanContext(extracted)
  const span = deps.tracer().startSpan(
    `process ${info.destination}`,
    {
      kind: SpanKind.CONSUMER,
      attributes: {
        ...messaging(info, 'process'),
        'afterspan.task.name': info.name,
        ...(info.messageId ? { 'messaging.message.id': info.messageId } : {}),
        ...(info.attempt > 0 ? { 'afterspan.task.attempt': info.attempt } : {}),
        ...(info.maxAttempts === undefined ? {} : { 'afterspan.task.attempts': info.maxAttempts }),
      },
      // The child relation puts the attempt into the request's trace; the link says so to backends that follow links.
      ...(producer ? { links: [{ context: producer }] } : {}),
    },
    extracted,
  )
  const own = span.spanContext()
  const taskId = (producer ? `${producer.traceId}${producer.spanId}` : `${own.traceId}${own.spanId}`) as TaskId
  span.setAttribute('afterspan.task.id', taskId)
  const active = trace.setSpan(extracted, span).setValue(TASK_KEY, taskId).deleteValue(REQUEST_KEY)
  const origin = producer ?? own
  taskChannel.publish({
    kind: 'started',
    taskId,
    at: deps.now(),
    attempt: info.attempt,
    spanId: own.spanId,
    description: { system: info.system, destination: info.destination, name: info.name },
    origin: { traceId: origin.traceId, spanId: origin.spanId, sampled: isSampled(origin) },
    ...(info.maxAttempts === undefined ? {} : { maxAttempts: info.maxAttempts }),
    ...(info.messageId ? { messageId: info.messageId } : {}),
  })
  return { taskId, span, active, info }
}

function succeeded(deps: KitDeps, { taskId, span, info }: Attempt): void {
  taskChannel.publish({ kind: 'succeeded', taskId, at: deps.now(), attempt: info.attempt })
  span.setAttribute('afterspan.task.state', 'succeeded')
  span.end()
}

function failed(deps: KitDeps, { taskId, span, info }: Attempt, error: unknown, isSync: boolean): void {
  const failure = toFailure(error)
  const at = deps.now()
  if (failure.type === 'AbortError' || (error as { name?: unknown } | null)?.name === 'AbortError') {
    taskChannel.publish({ kind: 'cancelled', taskId, at, reason: 'aborted' })
    span.setAttributes({ 'afterspan.task.state': 'cancelled', 'afterspan.task.reason': 'aborted' })
    span.end()
    return
  }
  const willRetry =
    info.maxAttempts !== undefined &&
    info.attempt > 0 &&
    info.attempt < info.maxAttempts &&
    (error as { isFinal?: unknown } | null)?.isFinal !== true
  const exhausted =
    !willRetry && info.maxAttempts !== undefined && info.maxAttempts > 1 && info.attempt >= info.maxAttempts
  const reason: TaskReason = exhausted ? 'retries_exhausted' : isSync ? 'threw' : 'rejected'
  taskChannel.publish({ kind: 'failed', taskId, at, attempt: info.attempt, reason, failure, willRetry })
  span.setAttributes({ 'afterspan.task.state': willRetry ? 'retrying' : 'failed', 'afterspan.task.reason': reason })
  fail(span, error, failure.type, failure.message)
  span.end()
}

function fail(span: Span, error: unknown, type: string, message: string): void {
  span.recordException(
    error instanceof Error
      ? { name: type, message, ...(error.stack ? { stack: toFailure(error).stack ?? '' } : {}) }
      : { name: type, message },
  )
  span.setAttribute('error.type', type)
  span.setStatus({ code: SpanStatusCode.ERROR, message })
}

function messaging(
  { system, destination }: { readonly system: string; readonly destination: string },
  operation: 'send' | 'process',
): Attributes {
  return {
    'messaging.system': system,
    'messaging.destination.name': destination,
    'messaging.operation.name': operation,
    'messaging.operation.type': operation,
  }
}

function isSampled(span: SpanContext): boolean {
  return (span.traceFlags & TraceFlags.SAMPLED) !== 0
}

/** Replaces a method, keeping name, length and own properties. Where the replacement cannot be made the method stays as it was. */
export function wrapMethod<T extends object, K extends keyof T & string>(
  target: T,
  method: K,
  replace: (original: T[K]) => T[K],
  onError: (error: unknown) => void,
): void {
  try {
    const original = target[method]
    if (typeof original !== 'function') return
    const replacement = replace(original)
    Object.defineProperties(replacement, Object.getOwnPropertyDescriptors(original as object & { length?: number }))
    const descriptor = Object.getOwnPropertyDescriptor(target, method)
    Object.defineProperty(target, method, {
      configurable: true,
      enumerable: descriptor?.enumerable ?? false,
      writable: true,
      value: replacement,
    })
  } catch (error) {
    onError(error)
  }
}
