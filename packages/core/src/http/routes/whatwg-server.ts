// @whatwg-node/server puts a function from Request to Response on Node's server, and answers what it throws with 500, without a word.
import type { ModuleHook } from '../../contracts/module-hook.ts'
import { replaceMethod } from '../../instrument/replace-method.ts'
import { recordActiveError } from './active-teller.ts'
import { follow, withExport } from './framework.ts'

type Handler = (this: unknown, ...args: any[]) => unknown

export function whatwgServerHook(): ModuleHook {
  return {
    name: '@whatwg-node/server',
    module: '@whatwg-node/server',
    versions: '>=0.9.0 <1',
    patch(exports) {
      const create = exports.createServerAdapter as Handler
      if (typeof create !== 'function') return undefined
      return withExport(exports, 'createServerAdapter', function (this: unknown, base: unknown, ...rest: unknown[]) {
        if (typeof base === 'object') replaceMethod(base, 'handle', followed)
        return create.call(this, typeof base === 'function' ? followed(base as Handler) : base, ...rest)
      })
    },
  }
}

function followed(handler: Handler): Handler {
  return follow(handler, (_, error) => {
    recordActiveError(error)
  })
}
