// 0http, and restana on it: the sequential router answers what is thrown itself, and tells nobody.
import type { ModuleHook } from '../../contracts/module-hook.ts'
import { copyNature, putMethod } from '../../instrument/replace-method.ts'
import { follow, type RequestTeller } from './framework.ts'

type Handler = (this: unknown, ...args: any[]) => unknown
interface Config {
  readonly errorHandler?: Handler
}
interface Router {
  readonly id: unknown
  [method: string]: unknown
}
const METHODS = ['get', 'head', 'patch', 'post', 'put', 'delete', 'options', 'connect', 'trace', 'all']
const MOST_MOUNTS = 10

export function zeroHttpHook({ recordError, setRoute }: RequestTeller): ModuleHook {
  const { heard, followed, followedWithNext } = tellers(recordError)
  /** Where a router is mounted, by its id. */
  const mounts = new Map<unknown, { readonly on: unknown; readonly base: string }>()
  return {
    name: '0http',
    module: '0http',
    files: ['lib/router/sequential.js'],
    versions: '>=3.0.0 <6',
    patch(exports) {
      const create = exports as (config?: Config) => Router
      return copyNature(create, function (this: unknown, config?: Config) {
        const { errorHandler } = config ?? {}
        const isHeard = typeof errorHandler === 'function'
        const router = create.call(this, isHeard ? { ...config, errorHandler: heard(errorHandler) } : config)
        watch(router, isHeard ? followed : followedWithNext)
        return router
      })
    },
  }

  function watch(router: Router, toldBy: (handler: Handler) => Handler): void {
    // A router that is mounted stays itself.
    const told = (handler: unknown): unknown => (isMiddleware(handler) ? toldBy(handler) : handler)
    const wrap = (method: string, at: number): void => {
      const add = router[method]
      if (typeof add !== 'function') return
      router[method] = function (this: unknown, ...args: unknown[]): unknown {
        const handlers = args.slice(at + 1).flat()
        const routed = handlers.map((one) => (isMiddleware(one) ? reached(router, args[at], toldBy(one)) : one))
        return (add as Handler).call(this, ...args.slice(0, at + 1), ...routed)
      }
    }
    for (const method of METHODS) wrap(method, 0)
    wrap('add', 1)
    const use = router['use'] as Handler
    putMethod(router, 'use', function (this: unknown, ...args: unknown[]) {
      const base = typeof args[0] === 'string' ? args[0] : ''
      for (const layer of args as ({ readonly id?: unknown } | undefined)[])
        if (layer?.id !== undefined) mounts.set(layer.id, { on: router.id, base })
      return use.apply(this, args.map(told))
    })
  }

  function reached(router: Router, path: unknown, handler: Handler): Handler {
    if (typeof path !== 'string') return handler
    const route = (): string => templateOf(router.id, path)
    return copyNature(handler, function (this: unknown, ...args: unknown[]) {
      setRoute(args[0], route)
      return handler.apply(this, args)
    })
  }

  function templateOf(router: unknown, path: string): string {
    let whole = path
    for (let at = mounts.get(router), depth = 0; at && depth < MOST_MOUNTS; at = mounts.get(at.on), depth++)
      whole = `${at.base}/${whole}`
    return `/${whole}`.replace(/\/{2,}/g, '/').replace(/(?<=.)\/$/, '')
  }
}

interface Tellers {
  /** What is given to `next` comes there, where the app has one. */
  heard(errorHandler: Handler): Handler
  followed(handler: Handler): Handler
  /** The router's own error handler cannot be reached: what goes to it is seen on its way. */
  followedWithNext(handler: Handler): Handler
}

/** Handlers as they were, but what they throw, reject with or give on is told. */
function tellers(recordError: RequestTeller['recordError']): Tellers {
  function heard(errorHandler: Handler): Handler {
    return copyNature(errorHandler, function (this: unknown, ...args: unknown[]) {
      recordError(args[1], args[0])
      return errorHandler.apply(this, args)
    })
  }

  function followed(handler: Handler): Handler {
    return follow(handler, ([request], error) => {
      recordError(request, error)
    })
  }

  function followedWithNext(handler: Handler): Handler {
    const inner = followed(handler)
    return copyNature(handler, function (this: unknown, request: unknown, response: unknown, next: Handler) {
      const seen = (error?: unknown): unknown => {
        if (error) recordError(request, error)
        return next(error)
      }
      return inner.call(this, request, response, copyNature(next, seen))
    })
  }
  return { heard, followed, followedWithNext }
}

function isMiddleware(value: unknown): value is Handler {
  return typeof value === 'function' && (value as { readonly id?: unknown }).id === undefined
}
