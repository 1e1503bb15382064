// What a server of MySQL refuses to the app's own statements, and whether it takes the same ones again.
import type { RefusalNews } from '../refusals.ts'
import { codeOf } from './mysql-judgement.ts'

type AsError = ((this: unknown, ...args: unknown[]) => unknown) & { [SEEN]?: true }
export interface ErrorPacket {
  readonly prototype?: { asError?: AsError }
}
/** Of mysql2. */
export interface Command {
  /** Of those that are executed, not of those that are only prepared. */
  readonly sql?: unknown
  readonly statement?: { readonly query?: unknown }
  once?(event: string, listener: (error: unknown) => void): unknown
}

const SEEN = Symbol('afterspan.health')
export const ERROR_PACKET = /[\\/]mysql2[\\/]lib[\\/]packets[\\/]packet\.js$/
/** Of a connection that could not be made: the statement that it was made for is not known. */
const CONNECT = 'connect'
/** A command that has failed ends in the same turn. */
let hasFailed = false

/** What a server refuses is read here, and nothing else is: what goes well costs nothing. */
export function watchErrors({ prototype }: ErrorPacket, news: RefusalNews): void {
  const original = prototype?.asError
  if (!prototype || typeof original !== 'function' || original[SEEN]) return
  const asError: AsError = function (...args) {
    const error = original.apply(this, args)
    try {
      tell(error, news)
    } catch {
      // the app hears its error, whatever becomes of the probe
    }
    return error
  }
  asError[SEEN] = true
  prototype.asError = asError
}

function tell(error: unknown, news: RefusalNews): void {
  hasFailed = true
  // The statement is written on it by whoever has asked for it.
  queueMicrotask(() => {
    hasFailed = false
    const code = codeOf(error)
    const { sql } = error as { readonly sql?: unknown }
    const statement = typeof sql === 'string' ? sql : undefined
    if (code !== undefined) news.refused(code, code === 'too_many_connections' ? (statement ?? CONNECT) : statement)
  })
}

/** Only while something is known to be refused. */
export function hearWhetherWell(command: Command, isHandshake: boolean, news: RefusalNews): void {
  const sql = isHandshake ? CONNECT : (command.sql ?? command.statement?.query)
  if (typeof sql !== 'string') return
  command.once?.('end', () => {
    if (!hasFailed) news.wentWell(sql)
  })
}
