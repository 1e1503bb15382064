// polka exports a function alone, and binds the methods of an app as it makes it: its class is met through an app of ours.
import type { ModuleHook } from '../../contracts/module-hook.ts'
import { replaceMethod } from '../../instrument/replace-method.ts'
import type { RequestTeller } from './framework.ts'

type Handler = (this: unknown, ...args: any[]) => unknown
type Mounts = WeakMap<object, { readonly on: object; readonly base: string }>

export function polkaHook({ recordError, setRoute }: RequestTeller): ModuleHook {
  /** Where an app is mounted. */
  const mounts: Mounts = new WeakMap()
  return {
    name: 'polka',
    module: 'polka',
    versions: '>=0.5.0 <2',
    patch(exports) {
      const create = (typeof exports === 'function' ? exports : exports.default) as () => object
      const prototype = Object.getPrototypeOf(create()) as object
      replaceMethod(
        prototype,
        'add',
        (original) =>
          function (this: object, method: unknown, pattern: unknown, ...handlers: unknown[]) {
            watchErrors(this, recordError)
            return original.call(
              this,
              method,
              pattern,
              ...handlers.flat().map((handler) => told(this, pattern, handler)),
            )
          },
      )
      replaceMethod(
        prototype,
        'use',
        (original) =>
          function (this: object, base: unknown, ...handlers: unknown[]) {
            watchErrors(this, recordError)
            for (const handler of [base, ...handlers])
              if (isPolka(prototype, handler))
                mounts.set(handler, { on: this, base: typeof base === 'string' ? base : '' })
            return original.call(this, base, ...handlers)
          },
      )
    },
  }

  function told(app: object, pattern: unknown, handler: unknown): unknown {
    if (typeof handler !== 'function') return handler
    const route = (): string => templateOf(mounts, app, pattern)
    return function (this: unknown, ...args: unknown[]) {
      setRoute(args[0], route)
      return (handler as Handler).apply(this, args)
    }
  }
}

/** What a handler gives to `next`, or rejects with where polka looks. That nothing matches does not come here. */
function watchErrors(app: object, recordError: RequestTeller['recordError']): void {
  replaceMethod(
    app,
    'onError',
    (original) =>
      function (this: unknown, error: unknown, request: unknown, ...rest: unknown[]) {
        if (error instanceof Error) recordError(request, error)
        return original.call(this, error, request, ...rest)
      },
  )
}

function isPolka(prototype: object, value: unknown): value is object {
  return value instanceof (prototype.constructor as new () => object)
}

function templateOf(mounts: Mounts, app: object, pattern: unknown): string {
  let path = String(pattern)
  for (let at = mounts.get(app), depth = 0; at && depth < 10; at = mounts.get(at.on), depth++)
    path = `${at.base}/${path}`
  return `/${path}`.replace(/\/{2,}/g, '/').replace(/(?<=.)\/$/, '')
}
