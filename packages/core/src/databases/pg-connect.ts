import type { Context, Span } from '@opentelemetry/api'
import { followPromise } from './followed-promise.ts'
import { PRODUCT } from './pg-question.ts'
import { recordServerError } from './question.ts'
import type { Teller } from './teller.ts'

type Callback = (...args: never[]) => unknown

/** Ends the span when the connection is there, or has failed. What the app is called with, it is called with in its own context. `args` are changed. */
export function tellConnect(
  span: Span,
  args: unknown[],
  { caller, callIn }: { readonly caller: Context; readonly callIn: Teller['callIn'] },
  connect: () => unknown,
): unknown {
  const end = (error?: unknown): void => {
    if (error) recordServerError(span, error, PRODUCT)
    span.end()
  }
  const [callback] = args
  if (typeof callback === 'function')
    args[0] = function (this: unknown, ...given: unknown[]) {
      end(given[0])
      return callIn(caller, callback as Callback, this, given)
    }
  let result: unknown
  try {
    result = connect()
  } catch (error) {
    end(error)
    throw error
  }
  return followPromise(result, { settle: end })
}
