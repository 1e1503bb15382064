// The router of Fastify and restify, which have hooks of their own, and of apps that use it alone: each handler says that it is reached.
import type { ModuleHook } from '../../contracts/module-hook.ts'
import { copyNature, replaceMethod } from '../../instrument/replace-method.ts'
import { follow, type RequestTeller } from './framework.ts'

type Handler = (this: unknown, ...args: any[]) => unknown

export function findMyWayHook({ recordError, setRoute }: RequestTeller): ModuleHook {
  const told = (path: string, handler: Handler): Handler => {
    const followed = follow(handler, ([request], error) => {
      recordError(request, error)
    })
    return copyNature(handler, function (this: unknown, ...args: unknown[]) {
      setRoute(args[0], path)
      return followed.apply(this, args)
    })
  }
  return {
    name: 'find-my-way',
    module: 'find-my-way',
    versions: '>=4.0.0 <10',
    isQuiet: true,
    patch(exports) {
      replaceMethod(
        exports.prototype,
        'on',
        (original) =>
          function (this: unknown, method: unknown, path: unknown, ...rest: unknown[]) {
            const at = typeof rest[0] === 'function' ? 0 : 1
            const handler = rest[at]
            if (typeof handler === 'function' && typeof path === 'string' && !isFrameworks(rest[at + 1]))
              rest[at] = told(path, handler as Handler)
            return original.call(this, method, path, ...rest)
          },
      )
    },
  }
}

/** What Fastify keeps with a route. */
function isFrameworks(store: unknown): boolean {
  return typeof store === 'object' && store !== null && 'errorHandler' in store && 'preHandler' in store
}
