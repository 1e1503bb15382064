// Pools of threads that all requests share. What a request has one of them do goes by ports, which nobody can follow from outside: so
// it is a span of the request, from the call to its answer. Where the response does not wait for it, that span is work left behind.
import { context, SpanKind, SpanStatusCode, trace } from '@opentelemetry/api'
import { activeRequest } from '../http/request-record.ts'
import { replaceMethod } from '../instrument/replace-method.ts'
import { observe } from '../tasks/observe.ts'
import { toFailure } from '../tasks/redact.ts'

/** `exports`: of the package, whichever way it has the class. */
export function patch(exports: Readonly<Record<string, unknown>>, name: string): undefined {
  for (const each of [exports, exports['default'], exports['Piscina']])
    if (typeof each === 'function') replaceMethod(each.prototype, 'run', (run) => running(name, run))
}

function running(
  name: string,
  run: (this: unknown, ...args: unknown[]) => unknown,
): (this: unknown, ...args: unknown[]) => unknown {
  return function (...args) {
    if (!activeRequest()) return run.apply(this, args)
    const span = trace.getTracer('afterspan').startSpan(`${name} run`, { kind: SpanKind.INTERNAL })
    return observe(() => context.with(trace.setSpan(context.active(), span), () => run.apply(this, args)), {
      onSuccess: () => span.end(),
      onFailure: (error) => {
        const { type, message } = toFailure(error)
        span.setAttribute('error.type', type)
        span.setStatus({ code: SpanStatusCode.ERROR, message })
        span.end()
      },
      onError: () => {},
    })
  }
}
