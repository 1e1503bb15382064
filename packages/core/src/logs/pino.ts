import type { ModuleHook } from '../contracts/module-hook.ts'
import { pinoPrototype } from '../instrument/pino-prototype.ts'
import { activeIds } from './log-ids.ts'

interface Pino {
  (options: { readonly enabled: false }, stream: { write(line: string): void }): object
  readonly symbols: { readonly mixinSym: symbol; readonly writeSym: symbol }
}
type Mixin = (this: unknown, ...args: unknown[]) => object

/** By pino's own mixin, so that a field of the app's by the same name wins and the line stays pino's. */
export const pinoHook: ModuleHook = {
  name: 'pino',
  module: 'pino',
  versions: '>=7 <11',
  patch(pino: Pino) {
    const { mixinSym, writeSym } = pino.symbols
    const prototype = pinoPrototype(pino, writeSym)
    const write = prototype[writeSym] as (...args: unknown[]) => void
    prototype[writeSym] = function (this: Record<symbol, unknown>, ...args: unknown[]): void {
      const own = this[mixinSym] as (Mixin & { [OURS]?: true }) | undefined
      if (!own?.[OURS]) this[mixinSym] = withIds(own)
      write.apply(this, args)
    }
  },
}

const OURS = Symbol('afterspan.mixin')

function withIds(own: Mixin | undefined): Mixin {
  const mixin: Mixin = function (...args) {
    const ids = activeIds()
    return own ? { ...ids, ...own.apply(this, args) } : { ...ids }
  }
  return Object.assign(mixin, { [OURS]: true })
}
