// The route template of Express 4 and 5, from the router's own layers. `req.baseUrl` is concrete ('/api/acme'), so the template
// of a mounted router is found by walking the tree once for each Route object, and remembered.
import type { ModuleHook } from '../../contracts/module-hook.ts'
import { pathOf } from '../request-attributes.ts'
import { mountOf, type RegexpLayer } from './express-mount.ts'
import type { RequestTeller } from './framework.ts'

interface Layer extends RegexpLayer {
  readonly route?: Route
  readonly handle?: unknown
  readonly name?: string
  rawPath?: unknown
  [MOUNT]?: unknown
}
interface Route {
  readonly path?: unknown
}
interface Router {
  readonly stack?: Layer[]
}
interface App {
  readonly router?: Router
  readonly _router?: Router
  readonly mountpath?: unknown
  readonly parent?: App
}
interface ExpressRequest {
  readonly route?: Route
  readonly app?: App
  readonly baseUrl?: string
  readonly originalUrl?: string
}

const MOUNT: unique symbol = Symbol.for('afterspan.mount') as never
/** All templates of a route: its router may be mounted more than once, and each path may be one of a list. */
const templates = new WeakMap<Route, readonly string[]>()
/** Those of a route whose router was reached by a function, by the root. */
const behind = new WeakMap<Router, WeakMap<Route, readonly string[]>>()
/** Everything that is mounted below a root, as long as that has so many layers. */
const mountsOf = new WeakMap<Router, { readonly size: number; readonly found: readonly string[] }>()
const patterns = new Map<string, RegExp | undefined>()
const MOST_LAYERS = 10_000
const MOST_TEMPLATES = 64
const MOST_DEPTH = 10
/** The apps that were mounted on an app. */
const mounted = new WeakMap<App, App[]>()
/** Once Express is looked for: patches the router of an app whose Express was not seen as it was loaded. */
let adopt: ((router: Router) => void) | undefined

/** The template of the route that answered, '/api/:tenant/orders/:id', or of the mount below which something did, or had the request as it was aborted; undefined where Express did not route. */
export function expressRoute(request: unknown, status: number | undefined): string | undefined {
  const { route, app, baseUrl, originalUrl } = request as ExpressRequest
  if (typeof app !== 'function') return undefined
  // Express takes the mount back from what hands on.
  if (!route) return baseUrl && status !== 404 ? mountOfAnswer(app, baseUrl) : undefined
  const known = templates.get(route) ?? findAll(app, route)
  if (known.length === 1) return known[0]
  const path = pathOf(originalUrl ?? '').slice(0, 1_024)
  if (known.length === 0) return baseUrl ? behindMount(app, route, path) : ownPath(route, path)
  // A path that is a regular expression of the app's own cannot be tried: it is what is left.
  return (
    known.find((template) => patternOf(template)?.test(path)) ??
    behindMount(app, route, path) ??
    known.find((template) => /\/\^|\\/.test(template)) ??
    known[0]
  )
}

function findAll(app: App, route: Route): readonly string[] {
  const found: string[] = []
  findIn(app, route, { left: MOST_LAYERS, found }, 0)
  const all = [...new Set(found.map(clean))]
  if (all.length > 0) templates.set(route, all)
  return all
}

/** Nothing is mounted above it that is known: of a list of paths, the one that fits. */
function ownPath(route: Route, path: string): string | undefined {
  const paths = texts(route.path).map(clean)
  return paths.find((template) => patternOf(template)?.test(path)) ?? paths[0]
}

/** The route is not in the tree: its router was handed the request by a function, which is mounted somewhere. */
function behindMount(app: App, route: Route, path: string): string | undefined {
  const root = rootRouter(app)
  let found = root && behind.get(root)?.get(route)
  if (root && !found) {
    const mounts: string[] = []
    findMounts(root, appPrefixes(app), { left: MOST_LAYERS, found: mounts })
    found = joined([...new Set(mounts)], route.path).map(clean)
    behind.set(root, (behind.get(root) ?? new WeakMap<Route, readonly string[]>()).set(route, found))
  }
  return found?.find((template) => patternOf(template)?.test(path))
}

/** Where something is mounted that is no route: what serves files, GraphQL, tRPC or another service. */
function mountOfAnswer(app: App, baseUrl: string): string | undefined {
  const root = rootRouter(app)
  if (!root) return undefined
  const size = root.stack?.length ?? 0
  let known = mountsOf.get(root)
  if (known?.size !== size) {
    const found: string[] = []
    findMounts(root, appPrefixes(app), { left: MOST_LAYERS, found })
    known = { size, found: [...new Set(found.map(clean))].filter((template) => template !== '/') }
    mountsOf.set(root, known)
  }
  const path = baseUrl.slice(0, 1_024)
  return known.found.find((template) => patternOf(template)?.test(path))
}

/** Express gives the request back to the outer app before an error goes on there: the route may be of an app that is mounted on this one. */
function findIn(app: App, route: Route, search: Search, depth: number): void {
  const root = rootRouter(app)
  if (root) {
    adopt?.(root)
    find(root, route, appPrefixes(app), search)
  }
  if (search.found.length === 0 && depth < MOST_DEPTH)
    for (const inner of mounted.get(app) ?? []) findIn(inner, route, search, depth + 1)
}

/** Only to choose between templates: nearer than Express itself it need not be. */
function patternOf(template: string): RegExp | undefined {
  if (patterns.has(template)) return patterns.get(template)
  const source = template
    .replaceAll(/[\\.+^$|[\]]/g, String.raw`\$&`)
    .replaceAll('{', '(?:')
    .replaceAll('}', ')?')
    .replaceAll(/:\w+(?:\([^)]*\))?([?*+]?)/g, (_, many: string) => (many === '' ? '[^/]+' : '.*'))
    .replaceAll(/(?<!\.)\*\w*/g, '.*')
  let pattern: RegExp | undefined
  try {
    pattern = new RegExp(`^${source}/?$`, 'i')
  } catch {
    // a regular expression of the app's own: it cannot be told apart
  }
  if (patterns.size < MOST_LAYERS) patterns.set(template, pattern)
  return pattern
}

function rootRouter(app: App): Router | undefined {
  // Express 4 throws from the getter `app.router`: ask for its own field first.
  if (app._router) return app._router
  try {
    return app.router
  } catch {
    return undefined
  }
}

interface Search {
  left: number
  readonly found: string[]
}

function find(router: Router, route: Route, prefixes: readonly string[], search: Search): void {
  for (const layer of router.stack ?? []) {
    if (search.left-- <= 0 || search.found.length >= MOST_TEMPLATES) return
    if (layer.route === route) search.found.push(...joined(prefixes, route.path))
    const handle = layer.handle as Router | undefined
    if (!layer.route && handle && Array.isArray(handle.stack)) find(handle, route, prefixesAt(layer, prefixes), search)
  }
}

function findMounts(router: Router, prefixes: readonly string[], search: Search): void {
  for (const layer of router.stack ?? []) {
    if (layer.route || search.left-- <= 0 || search.found.length >= MOST_TEMPLATES) continue
    const paths = prefixesAt(layer, prefixes)
    search.found.push(...paths)
    const handle = layer.handle as Router | undefined
    if (handle && Array.isArray(handle.stack)) findMounts(handle, paths, search)
  }
}

/** None where nobody knows: routers before 2.3 that were not seen as they were mounted. */
function prefixesAt(layer: Layer, prefixes: readonly string[]): readonly string[] {
  const path = layer[MOUNT] ?? layer.rawPath ?? mountOf(layer)
  return path === undefined ? [] : joined(prefixes, path)
}

function joined(prefixes: readonly string[], path: unknown): string[] {
  return prefixes.flatMap((prefix) => texts(path).map((text) => prefix + text)).slice(0, MOST_TEMPLATES)
}

function appPrefixes(app: App): readonly string[] {
  let prefixes = ['']
  for (let at: App | undefined = app, depth = 0; at?.parent && depth < MOST_DEPTH; at = at.parent, depth++) {
    const inner = prefixes
    prefixes = joined(texts(at.mountpath), inner)
  }
  return prefixes
}

/** One path, or several: what Express takes. */
function texts(path: unknown): readonly string[] {
  if (path === '/') return ['']
  if (typeof path === 'string') return [path]
  if (Array.isArray(path) && path.length > 0) return path.flatMap(texts)
  return [path instanceof RegExp ? String(path) : '']
}

function clean(path: string): string {
  const one = path.replace(/\/{2,}/g, '/')
  return one === '' ? '/' : one.length > 256 ? one.slice(0, 256) : one
}

/** Remembers mount paths (Express 4 and routers before 2.3 do not) and sees errors, which reach either an error-handling layer or the end of the root router. */
export function expressHook(teller: RequestTeller): ModuleHook {
  const patch = routerPatch(teller)
  const adopted = new WeakSet<object>()
  adopt = (router) => {
    const proto = Object.getPrototypeOf(router) as object | null
    if (!proto || adopted.has(proto)) return
    adopted.add(proto)
    // Where it is no router's, nothing of it is ours.
    if (typeof (proto as { handle?: unknown }).handle === 'function') patch.router(proto)
    patch.layers(router)
  }
  return {
    name: 'express',
    module: 'express',
    versions: '>=4.0.0 <6',
    patch(exports) {
      watchMounts(exports.application)
      const Router = exports.Router
      patch.router(typeof Router.use === 'function' ? Router : Router.prototype)
    },
  }
}

function routerPatch({ recordError: onError }: RequestTeller): {
  router(proto: object): void
  layers(of: Router): void
} {
  const watchErrors = layerPatch(onError)
  return {
    layers: watchErrors,
    router(proto) {
      wrap(
        proto,
        'use',
        (original) =>
          function (this: Router, ...args: unknown[]) {
            const before = this.stack?.length ?? 0
            const result = original.apply(this, args)
            const path = typeof args[0] === 'function' ? '/' : args[0]
            for (const layer of (this.stack ?? []).slice(before)) layer[MOUNT] = path
            watchErrors(this)
            return result
          },
      )
      // Named parameters, not `...args`: with an array of arguments that is written to, V8 kept every request until the next
      // full collection, and the young generation grew to 128 MB.
      wrap(
        proto,
        'handle',
        (original) =>
          function (this: Router, request: unknown, response: unknown, out: unknown) {
            watchErrors(this)
            if (typeof out !== 'function') return original.call(this, request, response, out)
            return original.call(this, request, response, function (this: unknown, error: unknown) {
              if (error && error !== 'route' && error !== 'router') onError(request, error)
              return out.call(this, error) as unknown
            })
          },
      )
    },
  }
}

/** The class of a router's layers, once. */
function layerPatch(onError: RequestTeller['recordError']): (router: Router) => void {
  const patchedLayers = new WeakSet<object>()
  return (router) => {
    const first = router.stack?.[0]
    const layerProto = first && Object.getPrototypeOf(first)
    if (!layerProto || patchedLayers.has(layerProto)) return
    patchedLayers.add(layerProto)
    for (const method of ['handleError', 'handle_error']) {
      if (typeof layerProto[method] !== 'function') continue
      wrap(
        layerProto,
        method,
        (original) =>
          function (this: unknown, error: unknown, request: unknown, ...rest: unknown[]) {
            if (error && error !== 'route' && error !== 'router') onError(request, error)
            return original.call(this, error, request, ...rest)
          },
      )
    }
  }
}

/** Remembers the apps that are mounted on an app. */
function watchMounts(application: object): void {
  wrap(
    application,
    'use',
    (original) =>
      function (this: App, ...args: unknown[]) {
        const result = original.apply(this, args)
        const inner = (args.flat(Infinity) as (App | undefined)[]).filter((value) => value?.parent === this) as App[]
        if (inner.length > 0) mounted.set(this, [...(mounted.get(this) ?? []), ...inner])
        return result
      },
  )
}

function wrap(target: any, method: string, replace: (original: (...args: unknown[]) => unknown) => unknown): void {
  const original = target[method]
  if (typeof original !== 'function' || original[MOUNT]) return
  const replacement = replace(original) as object
  Object.defineProperty(replacement, MOUNT, { value: true })
  Object.defineProperty(replacement, 'length', { value: original.length, configurable: true })
  Object.defineProperty(replacement, 'name', { value: original.name, configurable: true })
  target[method] = replacement
}
