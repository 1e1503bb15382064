// An attempt that goes on in another process or thread: what it spawns there is its task's, and what it throws.
import { context, propagation, ROOT_CONTEXT, trace } from '@opentelemetry/api'
import type { Carrier } from '../contracts/integration.ts'
import type { TaskId } from '../contracts/task.ts'
import { AttemptContext } from './attempt-context.ts'
import { CARRIER_GETTER } from './consumer.ts'
import { observe } from './observe.ts'

/** `message` is what its message carries, and names the task; `attempt`, where it is there, names the span that is under way. `workOf`: what goes on when `run` has returned. */
export function resumeAttempt<R>(message: Carrier, attempt: Carrier, run: () => R, workOf?: () => unknown): R {
  const sent = trace.getSpanContext(propagation.extract(ROOT_CONTEXT, message, CARRIER_GETTER))
  if (!sent) return run()
  const taskId = `${sent.traceId}${sent.spanId}` as TaskId
  const carried = propagation.extract(ROOT_CONTEXT, attempt, CARRIER_GETTER)
  const span = trace.getSpan(carried) ?? trace.wrapSpanContext(sent)
  const active = new AttemptContext(carried, span, taskId)
  active.isResumed = true
  const end = (): void => {
    active.isOver = true
  }
  const ending = { onSuccess: end, onFailure: end, onError: end }
  if (!workOf) return observe(() => context.with(active, run), ending)
  const result = context.with(active, run)
  void observe(workOf, ending)
  return result
}

/** What `resumeAttempt` needs of the attempt that is under way here. */
export function carryAttempt(carrier: Carrier): void {
  propagation.inject(context.active(), carrier, { set: (to, key, value) => to.set(key, value) })
}
