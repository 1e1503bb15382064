// Hono keeps its dispatch private, but hands every handler to its router: there they are followed, and say which of them answered.
import type { ModuleHook } from '../../contracts/module-hook.ts'
import { copyNature } from '../../instrument/replace-method.ts'
import { follow, withExport, type RequestTeller, type Route } from './framework.ts'

type Handler = (this: unknown, context: Context, next: unknown) => unknown
interface Router {
  add(method: string, path: string, handler: readonly [Handler, ...unknown[]]): void
}
interface Context {
  /** Of @hono/node-server. */
  readonly env?: { readonly incoming?: object }
  /** What the error handler of a mounted app was given. */
  readonly error?: unknown
  readonly req: { readonly matchedRoutes?: readonly { readonly method: string; readonly path: string }[] }
}
/** Marks a handler of a mounted app that has an error handler of its own, which is all that sees the error. */
const MOUNTED = '__COMPOSED_HANDLER'
type Constructor = new (...args: never[]) => { readonly router: Router }

export function honoHooks(teller: RequestTeller): readonly ModuleHook[] {
  const watchedRouters = new WeakSet<object>()
  const hook: ModuleHook = {
    name: 'hono',
    module: 'hono',
    versions: '>=4.0.0 <5',
    patch(exports) {
      const Hono = exports.Hono as Constructor
      const watchedHono = new Proxy(Hono, {
        construct(target, args, newTarget) {
          const app = Reflect.construct(target, args, newTarget) as InstanceType<Constructor>
          if (!watchedRouters.has(app.router)) {
            watchedRouters.add(app.router)
            watchRouter(app.router, teller)
          }
          return app
        },
      })
      return withExport(exports, 'Hono', watchedHono)
    },
  }
  const files = ['tiny', 'quick'].flatMap((preset) => [`dist/cjs/preset/${preset}.js`, `dist/preset/${preset}.js`])
  return [hook, { ...hook, files, imports: ['hono/tiny', 'hono/quick'] }]
}

function watchRouter(router: Router, { recordError, setRoute }: RequestTeller): void {
  const { add } = router
  router.add = function (method, path, [handler, ...rest]) {
    const route = routeOf(path)
    const isMiddleware = method === 'ALL' && path.endsWith('*')
    const followed = follow(handler as never, ([context], error) => {
      recordError((context as Context).env?.incoming, error)
    })
    const entered: Handler = function (context, next) {
      const incoming = context.env?.incoming
      if (!incoming) return followed.call(this, context, next)
      setRoute(incoming, (isMiddleware && behind(context)) || route)
      const result = followed.call(this, context, next)
      if (MOUNTED in handler && result instanceof Promise)
        result.then(
          () => {
            if (context.error !== undefined) recordError(incoming, context.error)
          },
          () => {},
        )
      return result
    }
    add.call(this, method, path, [copyNature(handler, entered), ...rest])
  }
}

/** The route that middleware stands before: it may answer in its place. */
function behind({ req }: Context): Route | undefined {
  const found = req.matchedRoutes?.find(({ method }) => method !== 'ALL')
  return found && routeOf(found.path)
}

/** What matches everything is no route of a request that was not found. */
function routeOf(path: string): Route {
  const route = path.slice(0, 256)
  return route.endsWith('*') ? (status) => (status === 404 ? undefined : route) : route
}
