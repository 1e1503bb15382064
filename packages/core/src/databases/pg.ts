// PostgreSQL by pg and pg-pool. Why not the official instrumentation: docs/decisions/own-database-spans.md
import { watchPgClient } from './pg-client.ts'
import { watchPgPool } from './pg-pool.ts'
import type { Teller } from './teller.ts'

/** The package itself. */
export function patchPg({ Client }: { readonly Client?: unknown }, teller: Teller): void {
  patchPgClient(Client, teller)
}

/** A file of the package whose export is a client: the one in JavaScript, or the one by libpq. */
export function patchPgClient(Client: unknown, teller: Teller): void {
  watchPgClient(prototypeOf(Client), teller)
}

export function patchPgPool(exports: { readonly default?: unknown } | undefined, teller: Teller): void {
  watchPgPool(prototypeOf(typeof exports === 'function' ? exports : exports?.default), teller)
}

function prototypeOf(constructor: unknown): object {
  if (typeof constructor !== 'function') throw new TypeError('there is no constructor where there should be one')
  return constructor.prototype as object
}
