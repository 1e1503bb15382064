// Pools of threads that all requests share. What a request has one of them do goes by ports, which nobody can follow from outside: so
// it is a span of the request, from the call to its answer. Where the response does not wait for it, that span is work left behind.
import { context, SpanKind, SpanStatusCode, trace, type Span } from '@opentelemetry/api'
import { activeRequest } from '../http/request-record.ts'
import { ownerOf, replaceMethod } from '../instrument/replace-method.ts'
import { isAbort } from '../tasks/aborted.ts'
import { observe, type RunObserver } from '../tasks/observe.ts'
import { toFailure } from '../tasks/redact.ts'

/** `exports`: of the package, whichever way it has its classes. `method` is the one that all ways to have a pool work come down to. */
export function patch(exports: Readonly<Record<string, unknown>>, name: string, method: string): undefined {
  for (const each of [exports, ...Object.values(exports)]) {
    if (typeof each !== 'function') continue
    const owner = ownerOf(each.prototype, method)
    if (owner) replaceMethod(owner, method, (run) => running(name, method, run))
  }
}

function running(
  name: string,
  method: string,
  run: (this: unknown, ...args: unknown[]) => unknown,
): (this: unknown, ...args: unknown[]) => unknown {
  return function (...args) {
    // workerpool makes a name of a function, and comes back with that.
    if (!activeRequest() || (method === 'exec' && typeof args[0] !== 'string')) return run.apply(this, args)
    const span = trace.getTracer('afterspan').startSpan(`${name} ${method}`, { kind: SpanKind.INTERNAL })
    const call = (): unknown => context.with(trace.setSpan(context.active(), span), () => run.apply(this, args))
    const observer = {
      onSuccess: () => span.end(),
      onFailure: (error: unknown) => fail(span, error),
      onError: () => {},
    }
    return method === 'exec' ? observeOwn(call, observer) : observe(call, observer)
  }
}

/** A promise of workerpool's own: of one that nobody handles nobody hears, so that a second look at it changes nothing. */
function observeOwn(
  call: () => unknown,
  { onSuccess, onFailure }: Pick<RunObserver, 'onSuccess' | 'onFailure'>,
): unknown {
  let result: unknown
  try {
    result = call()
  } catch (error) {
    onFailure(error, true)
    throw error
  }
  const { then } = (result ?? {}) as Partial<PromiseLike<unknown>>
  then?.call(
    result as PromiseLike<unknown>,
    (value) => {
      onSuccess(value, false)
    },
    (error: unknown) => {
      onFailure(error, false)
    },
  )
  return result
}

function fail(span: Span, error: unknown): void {
  const { type, message } = toFailure(error)
  span.setAttribute('error.type', calledBy(type, error))
  span.setStatus({ code: SpanStatusCode.ERROR, message })
  span.end()
}

/** A signal is the app's own wish, and so is cancel() of workerpool; but not a signal whose time has run out. */
function calledBy(type: string, error: unknown): string {
  if (type === 'CancellationError') return 'AbortError'
  return type === 'AbortError' && !isAbort(error) ? 'TimeoutError' : type
}
