// A server of GraphQL answers 200 with what a resolver threw among its words. Whichever server it is, that passes one function of
// graphql-js, which says where in the query it was.
import type { ModuleHook } from '../../contracts/module-hook.ts'
import { recordActiveError } from './active-teller.ts'
import { withExport } from './framework.ts'

type Locate = (thrown: unknown, ...rest: unknown[]) => unknown

export function graphqlHook(): ModuleHook {
  return {
    name: 'graphql',
    module: 'graphql',
    versions: '>=15.0.0 <18',
    files: ['error/locatedError.js', 'error/locatedError.mjs'],
    hasModules: true,
    patch(exports) {
      const locate = exports.locatedError as Locate
      return withExport(exports, 'locatedError', function (this: unknown, thrown: unknown, ...rest: unknown[]) {
        hear(thrown)
        return locate.call(this, thrown, ...rest)
      })
    },
  }
}

function hear(thrown: unknown): void {
  const { originalError } = (thrown ?? {}) as { readonly originalError?: unknown }
  recordActiveError(originalError ?? thrown)
}
