// Elysia compiles its handlers. What they throw goes to one function of the app, which it makes anew as it compiles.
import type { ModuleHook } from '../../contracts/module-hook.ts'
import { replaceMethod } from '../../instrument/replace-method.ts'
import { recordActiveBroken, recordActiveError } from './active-teller.ts'
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

type Handle = (this: unknown, generator: unknown, ...rest: unknown[]) => unknown

/** What a generator throws once it has yielded goes to the console, and the body ends as if it were whole. */
export function elysiaStreamHook(): ModuleHook {
  return {
    name: 'elysia',
    module: 'elysia',
    files: ['dist/adapter/utils.js', 'dist/adapter/utils.mjs'],
    hasModules: true,
    versions: '>=1.0.0 <2',
    patch(exports) {
      const create = exports.createStreamHandler as ((...args: unknown[]) => Handle) | undefined
      if (typeof create !== 'function') return undefined
      return withExport(exports, 'createStreamHandler', function (this: unknown, ...args: unknown[]): Handle {
        const handle = create.apply(this, args)
        return function (generator, ...rest) {
          watchYields(generator)
          return handle.call(this, generator, ...rest)
        }
      })
    },
  }
}

/** The first step is the handler's answer: what that throws is an error like any other. */
function watchYields(generator: unknown): void {
  if (!Object.isExtensible(generator)) return
  let steps = 0
  replaceMethod(generator, 'next', (next) => {
    return function (this: unknown, ...args) {
      const isFirst = steps++ === 0
      try {
        const step = next.apply(this, args)
        if (isFirst || !(step instanceof Promise)) return step
        return step.then(undefined, (error: unknown) => {
          recordActiveBroken(error)
          throw error
        })
      } catch (error) {
        if (!isFirst) recordActiveBroken(error)
        throw error
      }
    }
  })
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
