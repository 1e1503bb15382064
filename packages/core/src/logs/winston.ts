import type { ModuleHook } from '../contracts/module-hook.ts'
import { activeIds, type LogIds } from './log-ids.ts'

interface Winston {
  readonly Logger: { readonly prototype: { write(info: unknown, ...rest: unknown[]): boolean } }
}

/** Fields of the info, which the app's own format then shows or does not. The app's object itself is not touched: it may log it again. */
export const winstonHook: ModuleHook = {
  name: 'winston',
  module: 'winston',
  versions: '>=3 <4',
  patch({ Logger: { prototype } }: Winston) {
    const { write } = prototype
    prototype.write = function (this: unknown, info, ...rest) {
      const ids = activeIds()
      return write.call(this, ids && isOpen(info) ? withIds(info, ids) : info, ...rest)
    }
  },
}

function isOpen(info: unknown): info is object {
  return typeof info === 'object' && info !== null && !('trace_id' in info)
}

/** An Error stays one: its message is no enumerable property. */
function withIds(info: object, ids: LogIds): object {
  const copy = Object.create(
    Object.getPrototypeOf(info) as object | null,
    Object.getOwnPropertyDescriptors(info),
  ) as object
  return Object.assign(copy, ids)
}
