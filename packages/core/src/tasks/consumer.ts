// The running half of the kit: a CONSUMER span in the producer's trace, 'started' before the handler runs, then how it ended.
import { INVALID_TRACEID, propagation, ROOT_CONTEXT, SpanKind, trace, type Attributes } from '@opentelemetry/api'
import type { AttemptInfo, Carrier } from '../contracts/integration.ts'
import type { EpochMs, TaskId, TaskReason } from '../contracts/task.ts'
import { isAbort } from './aborted.ts'
import { AttemptContext } from './attempt-context.ts'
import { taskChannel } from './channel.ts'
import type { KitDeps } from './kit-deps.ts'
import { messaging } from './messaging.ts'
import { tellCancelled, tellFailed, tellReleased, tellSucceeded, type Ending } from './outcome.ts'
import { refOf } from './producer.ts'
import { toFailure } from './redact.ts'

export interface Attempt extends Ending {
  readonly active: AttemptContext
  readonly info: AttemptInfo
}

/** What a message carries of its context. */
export const CARRIER_GETTER = {
  get: (carrier: Carrier, key: string) => carrier.get(key),
  keys: () => ['traceparent', 'tracestate', 'baggage'],
}

export function start(deps: KitDeps, info: AttemptInfo, carrier: Carrier): Attempt | undefined {
  // Never of the active context: a handler is called where its connection was opened, and that may have been a probe of ours, or a send.
  const extracted = propagation.extract(ROOT_CONTEXT, carrier, CARRIER_GETTER)
  const producer = trace.getSpan(extracted)
  const span = deps.tracer().startSpan(
    `process ${info.destination}`,
    {
      kind: SpanKind.CONSUMER,
      attributes: describe(info),
      // The child relation puts the attempt into the request's trace; the link says so to backends that follow links.
      ...(producer ? { links: [{ context: producer.spanContext() }] } : {}),
    },
    extracted,
  )
  const own = span.spanContext()
  if (own.traceId === INVALID_TRACEID) return undefined
  const origin = refOf(producer ?? span)
  const taskId = `${origin.traceId}${origin.spanId}` as TaskId
  span.setAttribute('afterspan.task.id', taskId)
  const active = new AttemptContext(extracted, span, taskId)
  const { system, destination, name, attempt, maxAttempts, messageId, reader = info.consumerGroup } = info
  taskChannel.publish({
    kind: 'started',
    taskId,
    at: deps.now(),
    attempt,
    spanId: own.spanId,
    description: { system, destination, name },
    origin,
    ...(maxAttempts === undefined ? {} : { maxAttempts }),
    ...(messageId ? { messageId } : {}),
    ...(reader ? { reader } : {}),
    ...(info.isTakeover ? { isTakeover: true } : {}),
    ...(info.isReturn ? { isReturn: true } : {}),
  })
  return { taskId, span, active, info, attempt }
}

function describe({ attempt, consumerGroup, maxAttempts, messageId, ...info }: AttemptInfo): Attributes {
  return {
    ...messaging(info, 'process'),
    'afterspan.task.name': info.name,
    ...(messageId ? { 'messaging.message.id': messageId } : {}),
    ...(consumerGroup ? { 'messaging.consumer.group.name': consumerGroup } : {}),
    ...(attempt > 0 ? { 'afterspan.task.attempt': attempt } : {}),
    ...(maxAttempts === undefined ? {} : { 'afterspan.task.attempts': maxAttempts }),
  }
}

export function succeed(deps: KitDeps, attempt: Attempt): void {
  attempt.active.isOver = true
  tellSucceeded(attempt, deps.now())
}

export function fail(deps: KitDeps, attempt: Attempt, error: unknown, isSync: boolean): void {
  const { active, info } = attempt
  active.isOver = true
  const lateMs = info.overSinceMs === undefined ? 0 : performance.now() - info.overSinceMs
  const at = Math.floor(deps.now() - lateMs) as EpochMs
  // A queue that retries takes an abort for a failure like any other.
  const outcome =
    info.outcomeOf?.(error) ?? (isAbort(error) && info.maxAttempts === undefined ? 'cancelled' : undefined)
  if (outcome === 'released') tellReleased(attempt, at)
  else if (outcome === 'cancelled') tellCancelled(attempt, at, 'aborted')
  else {
    const isLast = info.maxAttempts === undefined || (info.attempt > 0 && info.attempt >= info.maxAttempts)
    const willRetry = outcome === 'retrying' || (outcome === undefined && !isLast)
    const isExhausted = outcome === undefined && isLast && (info.maxAttempts ?? 1) > 1
    const failedAs = willRetry ? undefined : info.failedAs
    const reason: TaskReason = failedAs ?? (isExhausted ? 'retries_exhausted' : isSync ? 'threw' : 'rejected')
    tellFailed(attempt, at, { reason, failure: toFailure(error), willRetry })
  }
}
