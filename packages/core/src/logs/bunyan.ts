import type { ModuleHook } from '../contracts/module-hook.ts'
import { activeIds } from './log-ids.ts'

type Emit = (this: unknown, record: Record<string, unknown>, ...rest: unknown[]) => unknown

/** The record is bunyan's own, made for each line. */
export const bunyanHook: ModuleHook = {
  name: 'bunyan',
  module: 'bunyan',
  versions: '>=1 <3',
  patch({ prototype }: { readonly prototype: { _emit: Emit } }) {
    const { _emit: emit } = prototype
    prototype._emit = function (record, ...rest) {
      const ids = activeIds()
      if (ids && record && !('trace_id' in record)) Object.assign(record, ids)
      return emit.call(this, record, ...rest)
    }
  },
}
