// Elysia compiles its handlers. What they throw goes to one function of the app, which it makes anew as it compiles.
import type { ModuleHook } from '../../contracts/module-hook.ts'
import { recordActiveError } from './active-teller.ts'
import { withExport } from './framework.ts'

type HandleError = (this: unknown, context: unknown, error: unknown, ...rest: unknown[]) => unknown
type Constructor = new (...args: never[]) => { readonly handleError: HandleError }

export function elysiaHook(): ModuleHook {
  return {
    name: 'elysia',
    module: 'elysia',
    versions: '>=1.0.0 <2',
    patch(exports) {
      const watched = new Proxy(exports.Elysia as Constructor, {
        construct(target, args, newTarget) {
          const app = Reflect.construct(target, args, newTarget) as InstanceType<Constructor>
          watchErrors(app)
          return app
        },
      })
      const result = withExport(exports, 'Elysia', watched)
      return exports.default === undefined ? result : withExport(result, 'default', watched)
    },
  }
}

function watchErrors(app: InstanceType<Constructor>): void {
  let current = heard(app.handleError)
  Object.defineProperty(app, 'handleError', {
    configurable: true,
    enumerable: true,
    get: () => current,
    set(value: HandleError) {
      current = heard(value)
    },
  })
}

/** That nothing matches comes here too. */
function heard(handle: HandleError): HandleError {
  if (typeof handle !== 'function') return handle
  return function (context, error, ...rest) {
    if (error instanceof Error && (error as { readonly code?: unknown }).code !== 'NOT_FOUND') recordActiveError(error)
    return handle.call(this, context, error, ...rest)
  }
}
