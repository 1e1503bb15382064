import { AsyncLocalStorage } from 'node:async_hooks'
import { EventEmitter } from 'node:events'
import { bindEmitter } from './bound-emitter.ts'
import { noteThrower } from './last-thrower.ts'
import { ROOT_CONTEXT, type Context, type ContextManager } from '@opentelemetry/api'

/** OpenTelemetry's context on one AsyncLocalStorage. `enter` is ours: it sets the context for the rest of the current callback, as a diagnostics channel's start hook needs. */
export class AsyncContextManager implements ContextManager {
  readonly #storage = new AsyncLocalStorage<Context>()

  active(): Context {
    return this.#storage.getStore() ?? ROOT_CONTEXT
  }

  with<A extends unknown[], F extends (...args: A) => ReturnType<F>>(
    context: Context,
    fn: F,
    thisArg?: ThisParameterType<F>,
    ...args: A
  ): ReturnType<F> {
    return thisArg === undefined || thisArg === null
      ? this.#storage.run(context, fn as (...args: A) => ReturnType<F>, ...args)
      : this.#storage.run(context, () => (fn as (...args: A) => ReturnType<F>).apply(thisArg, args))
  }

  bind<T>(context: Context, target: T): T {
    if (typeof target !== 'function') return target instanceof EventEmitter ? bindEmitter(target, context) : target
    const storage = this.#storage
    const fn = target as unknown as (...args: unknown[]) => unknown
    const bound = function (this: unknown, ...args: unknown[]): unknown {
      let hasThrown = true
      try {
        const result = storage.run(context, () => fn.apply(this, args))
        hasThrown = false
        return result
      } finally {
        if (hasThrown) noteThrower(context)
      }
    }
    Object.defineProperty(bound, 'length', { configurable: true, value: fn.length })
    return bound as unknown as T
  }

  enter(context: Context): void {
    this.#storage.enterWith(context)
  }

  attach(context: Context): { dispose(): void } {
    const before = this.#storage.getStore()
    this.#storage.enterWith(context)
    return {
      dispose: () => {
        this.#storage.enterWith(before as Context)
      },
    }
  }

  enable(): this {
    return this
  }
  disable(): this {
    this.#storage.disable()
    return this
  }
}
