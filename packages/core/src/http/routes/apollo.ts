// Apollo Server answers itself what the app's `context` function throws, with 500, and says nothing of it.
import type { ModuleHook } from '../../contracts/module-hook.ts'
import { replaceMethod } from '../../instrument/replace-method.ts'
import { recordActiveError } from './active-teller.ts'
import { follow } from './framework.ts'

interface Asked {
  readonly context?: (this: unknown) => unknown
}

export function apolloHook(): ModuleHook {
  return {
    name: '@apollo/server',
    module: '@apollo/server',
    versions: '>=4.0.0 <6',
    patch(exports) {
      replaceMethod(exports.ApolloServer?.prototype, 'executeHTTPGraphQLRequest', (execute) => {
        return function (this: unknown, asked: Asked, ...rest: unknown[]) {
          return execute.call(this, heard(asked), ...rest)
        }
      })
      return undefined
    },
  }
}

/** Each integration gives a new function with each request. */
function heard(asked: Asked): Asked {
  if (typeof asked?.context !== 'function') return asked
  const context = follow(asked.context, (_, error) => {
    recordActiveError(error)
  })
  return { ...asked, context }
}
