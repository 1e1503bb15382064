// moleculer-web exports what a service is mixed of: two of its methods are where a request is routed, and where it fails.
import type { ModuleHook } from '../../contracts/module-hook.ts'
import { replaceMethod } from '../../instrument/replace-method.ts'
import type { RequestTeller } from './framework.ts'

export function moleculerWebHook({ recordError, setRoute }: RequestTeller): ModuleHook {
  return {
    name: 'moleculer-web',
    module: 'moleculer-web',
    versions: '>=0.9.0 <0.12',
    patch(exports) {
      const { methods } = exports as { readonly methods: object }
      replaceMethod(
        methods,
        'aliasHandler',
        (original) =>
          function (this: unknown, request: unknown, response: unknown, alias: { fullPath?: unknown }, ...rest) {
            if (typeof alias?.fullPath === 'string') setRoute(request, alias.fullPath)
            return original.call(this, request, response, alias, ...rest)
          },
      )
      replaceMethod(
        methods,
        'sendError',
        (original) =>
          function (this: unknown, request: unknown, response: unknown, error: unknown, ...rest) {
            // That nothing matches comes here too.
            if (error instanceof Error && error.name !== 'NotFoundError') recordError(request, error)
            return original.call(this, request, response, error, ...rest)
          },
      )
    },
  }
}
