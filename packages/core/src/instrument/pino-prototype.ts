import { ownerOf } from './replace-method.ts'

type MakePino = (options: { readonly enabled: false }, stream: { write(line: string): void }) => object

/**
 * What all loggers of a pino share, where the method of this symbol is: pino itself is a function that an ES module has bound already.
 * Throws where it is nowhere.
 */
export function pinoPrototype(pino: MakePino, symbol: symbol): Record<symbol, unknown> {
  const owner = ownerOf(pino({ enabled: false }, { write() {} }), symbol)
  if (!owner) throw new Error(`this pino has no ${String(symbol)} of its own`)
  return owner as Record<symbol, unknown>
}
