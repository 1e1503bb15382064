// What is handed to a queue is run by whoever has just finished there, in that one's context. Here it keeps its own.
import { context, type Context } from '@opentelemetry/api'

type Fn = (this: any, ...args: any[]) => unknown

/** Calls it in that context. Where that is the one at hand, as with a queue of one request alone, nothing is done but the call. */
export function callIn(own: Context, fn: Fn, self: unknown, args: readonly unknown[]): unknown {
  return (context.active() === own ? fn : context.bind(own, fn)).apply(self, args as unknown[])
}

/** The function in the context of this moment, whoever calls it; what is no function stays what it is. */
export function keepContext<T>(given: T): T {
  if (typeof given !== 'function') return given
  const own = context.active()
  const fn = given as unknown as Fn
  const kept = function (this: unknown, ...args: unknown[]): unknown {
    return callIn(own, fn, this, args)
  }
  Object.defineProperty(kept, 'length', { configurable: true, value: fn.length })
  return kept as unknown as T
}
