// Koa routes nothing itself: what its middleware throws is seen here, routes come from its router (koa-router.ts).
import type { ModuleHook } from '../../contracts/module-hook.ts'
import { replaceMethod } from '../../instrument/replace-method.ts'
import { follow, type RequestTeller } from './framework.ts'

type Middleware = (...args: unknown[]) => unknown
interface Application {
  middleware: Middleware[]
}
interface Context {
  readonly req: unknown
}

export function koaHook({ recordError }: RequestTeller): ModuleHook {
  const onError = ([context]: readonly (Context | undefined)[], error: unknown): void => {
    recordError(context?.req, error)
  }
  return {
    name: 'koa',
    module: 'koa',
    versions: '>=2.0.0 <4',
    patch(exports) {
      const { prototype } = (typeof exports === 'function' ? exports : exports.default) as {
        readonly prototype: object
      }
      // The list is read once, when the app is composed: the app's own list stays as it is.
      replaceMethod(
        prototype,
        'callback',
        (original) =>
          function (this: Application, ...args) {
            const own = this.middleware
            this.middleware = followed(own, onError)
            try {
              return original.apply(this, args)
            } finally {
              this.middleware = own
            }
          },
      )
      // What ends here has passed no middleware: a body that is a stream and breaks, a response that cannot be written.
      replaceMethod(
        prototype,
        'emit',
        (original) =>
          function (this: Application, ...args) {
            const [event, error, context] = args as [string, unknown, Context | undefined]
            if (event === 'error' && context?.req) recordError(context.req, error)
            return original.apply(this, args)
          },
      )
    },
  }
}

/** The app's list, live, each of whose functions tells what it throws. */
function followed(list: Middleware[], onError: Parameters<typeof follow>[1]): Middleware[] {
  return new Proxy(list, {
    get(target, key, receiver) {
      const value: unknown = Reflect.get(target, key, receiver)
      return typeof value === 'function' && typeof key === 'string' && /^\d/.test(key)
        ? follow(value as Middleware, onError)
        : value
    },
  })
}
