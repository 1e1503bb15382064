import { context, trace } from '@opentelemetry/api'
import type { TraceRef } from '../contracts/task.ts'
import { inFlight } from '../http/in-flight.ts'
import { activeRequest, activeTask, type RequestRecord } from '../http/request-record.ts'
import { refOf } from '../tasks/producer.ts'

/** Whose code threw: the context that is still active in `uncaughtExceptionMonitor` tells. Without one, a request that is alone in flight is taken; with several, nobody is named. */
export interface Culprit {
  readonly ref: TraceRef
  readonly record?: RequestRecord
  readonly isTask: boolean
}

export function findCulprit(): Culprit | undefined {
  const active = context.active()
  const record = activeRequest(active)
  if (record) return { ref: record.ref, record, isTask: false }
  const span = trace.getSpan(active)
  if (span && activeTask(active)) return { ref: refOf(span), isTask: true }
  if (inFlight.size !== 1) return undefined
  const [only] = inFlight
  return { ref: only!.ref, record: only!.record, isTask: false }
}
