// Who waits for a client of a pool of pg, and who holds one.
import { PoolTickets, type LongestHeld, type Ticket } from './pool-tickets.ts'
import type { PgClient, PgPool } from './postgresql-pooled-client.ts'

type Callback = (error: unknown, client?: PgClient, release?: unknown) => unknown
type Connect = (this: PgPool, callback?: Callback) => unknown

export class PoolHolders {
  readonly #pool: PgPool
  readonly tickets: PoolTickets
  readonly #held = new Map<PgClient, Ticket>()

  /** Stands before the pool's own connect(), which pool.query() uses too; a method that others wrap on the prototype stays wrapped. */
  constructor(pool: PgPool, now: () => number) {
    this.#pool = pool
    this.tickets = new PoolTickets(now)
    const forget = (client: PgClient): void => {
      if (this.#held.delete(client)) this.tickets.cameBack()
    }
    pool.on('release', (_error, client) => forget(client))
    pool.on('remove', forget)
    const isOurs = (): boolean => this.tickets.isOurs
    const ask = (boundary: Connect): Ticket => this.tickets.ask(boundary, this.#isTight())
    const got = (ticket: Ticket, client: PgClient | undefined): void => this.#got(ticket, client)
    const connect: Connect = function (callback) {
      const original = Object.getPrototypeOf(pool).connect as Connect
      if (isOurs() || this !== pool) return original.call(this, callback)
      const ticket = ask(connect)
      if (typeof callback === 'function')
        return original.call(this, function (this: unknown, error, client, release) {
          got(ticket, client)
          return callback.call(this, error, client, release)
        })
      const result = original.call(this)
      if (typeof (result as { then?: unknown } | undefined)?.then !== 'function') return result
      return (result as Promise<PgClient>).then(
        (client) => {
          got(ticket, client)
          return client
        },
        (error: unknown) => {
          got(ticket, undefined)
          throw error
        },
      )
    }
    Object.defineProperty(pool, 'connect', { value: connect, writable: true, configurable: true })
  }

  longestHeld(): LongestHeld | undefined {
    return this.tickets.longestHeld(this.#held.values())
  }

  #got(ticket: Ticket, client: PgClient | undefined): void {
    this.tickets.answered(ticket, client !== undefined)
    if (client) this.#held.set(client, ticket)
  }

  #isTight(): boolean {
    const { totalCount, idleCount, options } = this.#pool
    return (totalCount - idleCount + 1) * 2 >= (options?.max ?? 10)
  }
}
