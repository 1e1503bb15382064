// Who waits for a client of a pool, and who holds one: pg-pool keeps neither times nor names. A time costs next to nothing and is noted each
// time; the place in the code and the trace only while half of the pool is in use, when it may matter.
import { trace } from '@opentelemetry/api'
import { callerIn } from '../made-at.ts'
import type { PgClient, PgPool } from './postgresql-pool.ts'

type Callback = (error: unknown, client?: PgClient, release?: unknown) => unknown
type Connect = (this: PgPool, callback?: Callback) => unknown
interface Ticket {
  /** When the client was asked for; then when it was got. */
  since: number
  /** Read only when it is told: until then V8 has not even made text of it. */
  readonly place: { readonly stack?: string } | undefined
  readonly traceId: string | undefined
}
export interface LongestHeld {
  readonly ms: number
  /** file:line; absent where it was taken while the pool had plenty. */
  readonly at?: string
  readonly traceId?: string
}

const FRAMES = 16
/** A place costs some ten microseconds: so many at once, and a second. A leak is slower than that; a pool that is merely busy is not. */
const MOST_PLACES = 20

export class PoolHolders {
  readonly #pool: PgPool
  readonly #now: () => number
  /** In the order in which they came. */
  readonly #waiting = new Set<Ticket>()
  readonly #held = new Map<PgClient, Ticket>()
  #isOurs = false
  #places = MOST_PLACES
  #placesAt = Number.NEGATIVE_INFINITY
  #lastMoveAt: number
  #lastAskAt = Number.NEGATIVE_INFINITY

  /** Stands before the pool's own connect(), which pool.query() uses too; a method that others wrap on the prototype stays wrapped. */
  constructor(pool: PgPool, now: () => number) {
    this.#pool = pool
    this.#now = now
    this.#lastMoveAt = now()
    const forget = (client: PgClient): void => {
      if (this.#held.delete(client)) this.#lastMoveAt = now()
    }
    pool.on('release', (_error, client) => forget(client))
    pool.on('remove', forget)
    const isOurs = (): boolean => this.#isOurs
    const ask = (boundary: Connect): Ticket => this.#ask(boundary)
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

  /** How long ago a client was last handed to the app, or came back from it. */
  get stillMs(): number {
    return this.#now() - this.#lastMoveAt
  }

  /** How long ago the app last wanted a client; 0 while it waits for one. */
  get unaskedMs(): number {
    return this.#waiting.size > 0 ? 0 : this.#now() - this.#lastAskAt
  }

  /** What `ask` does with the pool is neither waiting nor holding. */
  unwatched<T>(ask: () => T): T {
    this.#isOurs = true
    try {
      return ask()
    } finally {
      this.#isOurs = false
    }
  }

  oldestWaiterMs(): number {
    for (const { since } of this.#waiting) return this.#now() - since
    return 0
  }

  longestHeld(): LongestHeld | undefined {
    let longest: Ticket | undefined
    for (const ticket of this.#held.values()) if (!longest || ticket.since < longest.since) longest = ticket
    if (!longest) return undefined
    const at = longest.place?.stack && callerIn(longest.place.stack)
    const { traceId } = longest
    return { ms: this.#now() - longest.since, ...(at ? { at } : {}), ...(traceId ? { traceId } : {}) }
  }

  #ask(boundary: Connect): Ticket {
    this.#lastAskAt = this.#now()
    const isTight = this.#isTight() && this.#mayTakePlace(this.#lastAskAt)
    const traceId = isTight ? trace.getActiveSpan()?.spanContext().traceId : undefined
    const ticket: Ticket = { since: this.#lastAskAt, place: isTight ? placeAbove(boundary) : undefined, traceId }
    this.#waiting.add(ticket)
    return ticket
  }

  #got(ticket: Ticket, client: PgClient | undefined): void {
    this.#waiting.delete(ticket)
    if (!client) return
    this.#lastMoveAt = ticket.since = this.#now()
    this.#held.set(client, ticket)
  }

  #mayTakePlace(now: number): boolean {
    if (now - this.#placesAt >= 1000) {
      this.#placesAt = now
      this.#places = MOST_PLACES
    }
    return this.#places > 0 && this.#places-- > 0
  }

  #isTight(): boolean {
    const { totalCount, idleCount, options } = this.#pool
    return (totalCount - idleCount + 1) * 2 >= (options?.max ?? 10)
  }
}

function placeAbove(boundary: Connect): { readonly stack?: string } | undefined {
  const limit = Error.stackTraceLimit
  const place: { stack?: string } = {}
  try {
    Error.stackTraceLimit = FRAMES
    Error.captureStackTrace(place, boundary)
    return place
  } catch {
    return undefined // frozen intrinsics
  } finally {
    try {
      Error.stackTraceLimit = limit
    } catch {
      // it was never changed
    }
  }
}
