// What Fastify gives to nobody: what a handler rejects with once it has replied, and what hooks of the kind onResponse end with, which
// are where it has an app put what is done behind the response. Both are only logged. Its channel for what handlers throw has an object
// made, and four messages sent, for every request.
import { types } from 'node:util'
import { copyNature, replaceMethod } from '../../instrument/replace-method.ts'

type Hook = (this: unknown, ...args: unknown[]) => unknown
type Tell = (request: { readonly raw: object }, error: unknown) => void

interface Route {
  handler?: unknown
  onResponse?: unknown
}
export interface Hooked {
  addHook(name: 'onRoute', hook: (route: Route) => void): unknown
}

const NAME = 'onResponse'
const heard = new WeakSet<Hook>()

/** Those of an instance, of what is registered in it later, and of single routes. */
export function hearBehind(fastify: Hooked, tell: Tell): void {
  replaceMethod(
    fastify,
    'addHook',
    (original) =>
      function (this: unknown, ...args: unknown[]) {
        if (args[0] === NAME) args[1] = hear(args[1], tell)
        return original.apply(this, args)
      },
  )
  fastify.addHook('onRoute', (route) => {
    const { handler, onResponse } = route
    if (handler) route.handler = hear(handler, tell)
    if (Array.isArray(onResponse)) route.onResponse = onResponse.map((hook) => hear(hook, tell))
    else if (onResponse) route.onResponse = hear(onResponse, tell)
  })
}

/** What Fastify refuses is left for it to refuse. Whatever is given back is given on as it is: Fastify hears of it as well. */
function hear(given: unknown, tell: Tell): unknown {
  if (typeof given !== 'function' || heard.has(given as Hook)) return given
  const hook = given as Hook
  if (hook.constructor.name === 'AsyncFunction' && hook.length > 2) return given
  const hearing = copyNature(hook, function (this: unknown, request: { readonly raw: object }, ...rest: unknown[]) {
    const failed = (error: unknown): void => {
      tell(request, error)
    }
    const done = rest[1]
    if (typeof done === 'function')
      rest[1] = (error: unknown, ...more: unknown[]): unknown => {
        if (error) failed(error)
        return (done as Hook)(error, ...more)
      }
    try {
      const result = hook.call(this, request, ...rest)
      if (types.isPromise(result)) result.then(undefined, failed)
      return result
    } catch (error) {
      failed(error)
      throw error
    }
  } as Hook)
  heard.add(hearing)
  return hearing
}
