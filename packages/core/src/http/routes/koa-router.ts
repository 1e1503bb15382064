// The router of Koa, under both of its names. Nested routers are flattened when they are mounted, so that a layer has its whole path.
import type { ModuleHook } from '../../contracts/module-hook.ts'
import { pathOf } from '../request-attributes.ts'
import { copyNature, replaceMethod } from '../../instrument/replace-method.ts'
import { follow, type RequestTeller } from './framework.ts'

interface Layer {
  readonly methods: readonly string[]
  readonly path: unknown
  stack?: ((...args: unknown[]) => unknown)[]
}
interface Context {
  readonly _matchedRoute?: unknown
  readonly matched?: readonly Layer[]
  readonly method: string
  readonly mountPath?: string
  readonly originalUrl: string
  readonly path: string
  readonly req: unknown
  readonly routeMatched?: boolean
}
type Dispatch = (this: unknown, context: Context, ...rest: unknown[]) => unknown

export function koaRouterHook(module: '@koa/router' | 'koa-router', teller: RequestTeller): ModuleHook {
  return {
    name: module,
    module,
    versions: '>=7.4.0 <16',
    patch(exports) {
      const Router = [exports.Router, exports.default, exports].find((value) => typeof value === 'function')
      // One of the two is often the other, or calls it.
      for (const method of ['routes', 'middleware'])
        replaceMethod(
          Router.prototype,
          method,
          (original) =>
            function (...args) {
              return watched(original.apply(this, args) as Dispatch, teller)
            },
        )
      // Middleware of the router may swallow what a handler throws: it is seen where it is thrown.
      replaceMethod(
        Router.prototype,
        'register',
        (original) =>
          function (this: unknown, ...args) {
            const layer = original.apply(this, args) as Layer | undefined
            // For several paths at once it is the router itself, whose stack are layers.
            if (layer !== this && Array.isArray(layer?.stack) && layer.stack.every((fn) => typeof fn === 'function'))
              layer.stack = layer.stack.map((fn) =>
                follow(fn, ([context], error) => {
                  teller.recordError((context as Context | undefined)?.req, error)
                }),
              )
            return layer
          },
      )
    },
  }
}

const dispatches = new WeakSet<object>()
/** How many routes were told. */
let told = 0

function watched(dispatch: Dispatch, { setRoute }: RequestTeller): Dispatch {
  if (dispatches.has(dispatch)) return dispatch
  const replacement: Dispatch = function (context, ...rest) {
    const prefix = mountPrefix(context)
    const before = told
    const result = dispatch.call(this, context, ...rest)
    // A router below this one has told already, and knows where it is mounted.
    if (context._matchedRoute === undefined || told !== before) return result
    told++
    setRoute(context.req, () => routeOf(context, prefix))
    return result
  }
  dispatches.add(replacement)
  return copyNature(dispatch, replacement)
}

/** The layer that ran last, if it is a route: middleware of the router has layers too. Else the route that it kept the request from. */
function routeOf({ _matchedRoute, matched = [], method }: Context, prefix: string): string | undefined {
  const routes = matched.filter((layer) => layer.methods.length > 0)
  const found =
    routes.find((layer) => layer.path === _matchedRoute) ??
    routes.findLast((layer) => layer.methods.includes(method)) ??
    routes.at(-1)
  if (!found) return undefined
  const path = prefix + (found.path instanceof RegExp ? String(found.path) : (found.path as string))
  return path === '' ? '/' : path.slice(0, 256)
}

/** What koa-mount has taken off the path: concrete, as its prefixes are. */
function mountPrefix({ mountPath, originalUrl, path }: Context): string {
  const whole = pathOf(originalUrl)
  if (whole === path) return ''
  if (whole.endsWith(path) && path !== '/') return whole.slice(0, -path.length)
  return path === '/' && mountPath && whole.replace(/\/$/, '').endsWith(mountPath) ? whole.replace(/\/$/, '') : ''
}
