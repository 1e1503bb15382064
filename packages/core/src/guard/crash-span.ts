import type { TraceRef } from '../contracts/task.ts'
import { spanId, traceId } from '../sdk/ids.ts'
import { OTLP_KIND, type SpanData } from '../sdk/span-data.ts'
import { nowMs } from '../sdk/time.ts'
import { toFailure } from '../tasks/redact.ts'

/**
 * A crash that nobody in particular is guilty of has a span of its own, in a trace of its own: else no trace would have a word of it. No
 * sampler is asked. With a parent it is in that trace: for a crash whose error is a failed task's.
 */
export function tellCrash(
  deliver: (span: SpanData) => void,
  error: unknown,
  origin: string,
  parent?: TraceRef,
): TraceRef {
  const { type, message, stack } = toFailure(error)
  const at = nowMs()
  const ref = { traceId: parent?.traceId ?? traceId(), spanId: spanId(), sampled: true }
  deliver({
    traceId: ref.traceId,
    spanId: ref.spanId,
    parentSpanId: parent?.spanId,
    name: origin,
    kind: OTLP_KIND.internal,
    startMs: at,
    endMs: at,
    attributes: { 'error.type': type, 'afterspan.crash.role': 'culprit' },
    events: [
      {
        name: 'exception',
        atMs: at,
        attributes: {
          'exception.type': type,
          'exception.message': message,
          ...(stack ? { 'exception.stacktrace': stack } : {}),
        },
      },
    ],
    status: { code: 2, message },
    flags: 1,
  })
  return ref
}
