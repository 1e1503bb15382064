// restify says itself what it has routed to, and all that its handlers throw or hand on comes to one method.
import type { ModuleHook } from '../../contracts/module-hook.ts'
import { replaceMethod } from '../../instrument/replace-method.ts'
import { withExport, type RequestTeller } from './framework.ts'

interface Server {
  on(event: 'routed', listener: (request: unknown, response: unknown, route: { readonly path?: unknown }) => void): void
}

export function restifyHook({ recordError, setRoute }: RequestTeller): ModuleHook {
  return {
    name: 'restify',
    module: 'restify',
    versions: '>=8.0.0 <13',
    patch(exports) {
      const create = exports.createServer as (...args: unknown[]) => Server
      return withExport(exports, 'createServer', function (this: unknown, ...args: unknown[]) {
        const server = create.apply(this, args)
        server.on('routed', (request, _response, route) => {
          const path = route?.path
          if (typeof path === 'string' || path instanceof RegExp) setRoute(request, String(path))
        })
        watchErrors(Object.getPrototypeOf(server) as object)
        return server
      })
    },
  }

  function watchErrors(prototype: object): void {
    replaceMethod(
      prototype,
      '_onHandlerError',
      (original) =>
        function (this: unknown, error: unknown, request: unknown, ...rest: unknown[]) {
          // The name of a route to go on with comes here too; and that there is no route, which is no error.
          if (error instanceof Error && (request as { route?: unknown } | undefined)?.route) recordError(request, error)
          return original.call(this, error, request, ...rest)
        },
    )
  }
}
