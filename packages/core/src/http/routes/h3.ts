// h3 2, on whatever server it stands. Of what a handler throws it logs only what is no HTTPError. Older ones are mostly in a bundle.
import type { ModuleHook } from '../../contracts/module-hook.ts'
import { replaceMethod } from '../../instrument/replace-method.ts'
import { recordActiveError, setActiveRoute } from './active-teller.ts'

interface Event {
  readonly context: { readonly matchedRoute?: { readonly route?: string } }
}
type Handle = (this: unknown, event: Event) => unknown

export function h3Hook(): ModuleHook {
  return {
    name: 'h3',
    module: 'h3',
    versions: '>=2.0.0 <3',
    isQuiet: true,
    patch({ H3Core }) {
      replaceMethod(H3Core?.prototype, 'handler', (handler) => watched(handler as Handle))
      return undefined
    },
  }
}

/** One frame of ours below the app's, no more: V8 shows ten. */
function watched(handler: Handle): Handle {
  /** Events that an app is handling, and whether another one below it knows only the end of the route. */
  const handled = new WeakMap<Event, { isPassedOn: boolean }>()
  const rethrow = (error: unknown): never => {
    recordActiveError(error)
    throw error
  }
  return function (event) {
    const outer = handled.get(event)
    if (outer) {
      outer.isPassedOn = true
      return handler.call(this, event)
    }
    const own = { isPassedOn: false }
    handled.set(event, own)
    let result: unknown
    try {
      result = handler.call(this, event)
    } catch (error) {
      rethrow(error)
    } finally {
      const { route } = event.context.matchedRoute ?? {}
      if (route !== undefined && !own.isPassedOn) setActiveRoute(route.slice(0, 256))
    }
    return result instanceof Promise ? result.then(undefined, rethrow) : result
  }
}
