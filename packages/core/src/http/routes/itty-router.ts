// itty-router keeps its routes in an array that the app may bring: ours follows each handler as it is pushed.
import type { ModuleHook } from '../../contracts/module-hook.ts'
import { copyNature, putMethod } from '../../instrument/replace-method.ts'
import { recordActiveError, setActiveRoute } from './active-teller.ts'
import { follow, withExport } from './framework.ts'

type Handler = (this: unknown, ...args: any[]) => unknown
type Route = [method: string, pattern: RegExp, handlers: Handler[], path: string]
type Create = (options?: { readonly routes?: Route[] }) => unknown
const ROUTERS = ['Router', 'AutoRouter', 'IttyRouter'] as const

export function ittyRouterHooks(): readonly ModuleHook[] {
  const hook: ModuleHook = {
    name: 'itty-router',
    module: 'itty-router',
    versions: '>=5.0.0 <6',
    patch(exports) {
      let result: unknown = exports
      for (const name of ROUTERS) {
        const create = exports[name] as Create | undefined
        if (typeof create !== 'function') continue
        result = withExport(result, name, function (this: unknown, options: Parameters<Create>[0] = {}) {
          return create.call(this, { ...options, routes: watched(options.routes ?? []) })
        })
      }
      return result
    },
  }
  const files = ROUTERS.flatMap((name) => [`${name}.js`, `${name}.mjs`])
  return [hook, { ...hook, files, imports: ROUTERS.map((name) => `itty-router/${name}`) }]
}

function watched(routes: Route[]): Route[] {
  putMethod(routes, 'push', function (this: Route[], ...added: Route[]) {
    return Array.prototype.push.apply(
      this,
      added.map(([method, pattern, handlers, path]) => [method, pattern, handlers.map((one) => told(one, path)), path]),
    )
  })
  return routes
}

function told(handler: Handler, path: string): Handler {
  if (typeof handler !== 'function') return handler
  const followed = follow(handler, (_, error) => {
    recordActiveError(error)
  })
  if (path.endsWith('*')) return followed
  return copyNature(handler, function (this: unknown, ...args: unknown[]) {
    setActiveRoute(path)
    return followed.apply(this, args)
  })
}
