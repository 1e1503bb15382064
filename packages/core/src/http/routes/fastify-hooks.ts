// Hooks of the kind onResponse are where Fastify has an app put what is done behind the response. What they end with is only logged.
import { copyNature, replaceMethod } from '../../instrument/replace-method.ts'
import { isThenable } from '../../tasks/observe.ts'

type Hook = (this: unknown, ...args: unknown[]) => unknown
type Tell = (request: { readonly raw: object }, error: unknown) => void

export interface Hooked {
  addHook(name: 'onRoute', hook: (route: { onResponse?: unknown }) => void): unknown
}

const NAME = 'onResponse'
const heard = new WeakSet<Hook>()

/** Those of an instance, of what is registered in it later, and of single routes. */
export function hearHooksBehind(fastify: Hooked, tell: Tell): void {
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
    const { onResponse } = route
    if (Array.isArray(onResponse)) route.onResponse = onResponse.map((hook) => hear(hook, tell))
    else if (onResponse) route.onResponse = hear(onResponse, tell)
  })
}

/** What Fastify refuses is left for it to refuse. */
function hear(given: unknown, tell: Tell): unknown {
  if (typeof given !== 'function' || heard.has(given as Hook)) return given
  const hook = given as Hook
  if (hook.constructor.name === 'AsyncFunction' && hook.length > 2) return given
  const hearing = copyNature(hook, function (this: unknown, ...args: unknown[]) {
    const [request, , done] = args as [{ readonly raw: object }, unknown, unknown]
    const failed = (error: unknown): never => {
      tell(request, error)
      throw error
    }
    if (typeof done === 'function')
      args[2] = (error: unknown, ...more: unknown[]): unknown => {
        if (error) tell(request, error)
        return (done as Hook)(error, ...more)
      }
    let result: unknown
    try {
      result = hook.apply(this, args)
    } catch (error) {
      return failed(error)
    }
    return isThenable(result) ? result.then((value) => value, failed) : result
  } as Hook)
  heard.add(hearing)
  return hearing
}
