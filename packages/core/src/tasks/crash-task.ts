import { context, SpanKind, trace, type Tracer } from '@opentelemetry/api'
import type { EpochMs, TaskId } from '../contracts/task.ts'
import type { Culprit } from '../guard/attribution.ts'
import { REQUEST_KEY } from '../http/request-record.ts'
import { taskChannel } from './channel.ts'
import { tellFailed } from './outcome.ts'
import { publishSpawned } from './producer.ts'
import { toFailure } from './redact.ts'

/**
 * A request was answered, and code that it left behind then threw and ends the process: that code is a task of the request,
 * written at the moment it failed, with a span of its own in the request's trace.
 */
export function createCrashTask(
  tracer: () => Tracer,
  now: () => EpochMs,
): (culprit: Culprit, error: unknown, origin: string) => void {
  return ({ ref, record }, error, origin) => {
    if (!record) return
    const { traceId, spanId, sampled } = ref
    // Without the request in its context, so that the span is not taken for a leftover of it too.
    const parent = trace.setSpanContext(context.active().deleteValue(REQUEST_KEY), {
      traceId,
      spanId,
      traceFlags: sampled ? 1 : 0,
    })
    const span = tracer().startSpan(origin, { kind: SpanKind.INTERNAL }, parent)
    const own = span.spanContext()
    const taskId = `${own.traceId}${own.spanId}` as TaskId
    span.setAttributes({ 'afterspan.task.id': taskId, 'afterspan.crash.role': 'culprit' })
    const at = now()
    const failure = toFailure(error)
    const draft = { system: 'process', destination: origin, name: failure.type }
    publishSpawned({ request: record, origin: ref }, taskId, draft, at)
    taskChannel.publish({ kind: 'started', taskId, at, attempt: 1, spanId: own.spanId })
    const reason = origin === 'unhandledRejection' ? 'rejected' : 'threw'
    tellFailed({ taskId, span, attempt: 1 }, at, { reason, failure, willRetry: false })
  }
}
