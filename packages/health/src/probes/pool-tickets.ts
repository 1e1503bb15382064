// Who waits for a client of a pool, and who holds one: no library of pools keeps times or names. A time costs next to nothing and is noted
// each time; the place in the code and the trace only while half of the pool is in use, when it may matter.
import { trace } from '@opentelemetry/api'
import type { ProbeResult } from '@afterspan/core/internal'
import { callerIn } from '../made-at.ts'

export interface Ticket {
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

/** Of one pool. */
export class PoolTickets {
  readonly #now: () => number
  /** In the order in which they came. */
  readonly #waiting = new Set<Ticket>()
  #isOurs = false
  #places = MOST_PLACES
  #placesAt = Number.NEGATIVE_INFINITY
  #lastMoveAt: number
  #lastAskAt = Number.NEGATIVE_INFINITY

  constructor(now: () => number) {
    this.#now = now
    this.#lastMoveAt = now()
  }

  /** A client is wanted. `boundary`: whose caller wants it. */
  ask(boundary: (...args: never[]) => unknown, isTight: boolean): Ticket {
    this.#lastAskAt = this.#now()
    const isNoted = isTight && this.#mayTakePlace(this.#lastAskAt)
    const traceId = isNoted ? trace.getActiveSpan()?.spanContext().traceId : undefined
    const ticket: Ticket = { since: this.#lastAskAt, place: isNoted ? placeAbove(boundary) : undefined, traceId }
    this.#waiting.add(ticket)
    return ticket
  }

  /** Whether there was one for it. */
  answered(ticket: Ticket, isGot: boolean): void {
    this.#waiting.delete(ticket)
    if (isGot) this.#lastMoveAt = ticket.since = this.#now()
  }

  cameBack(): void {
    this.#lastMoveAt = this.#now()
  }

  get stillMs(): number {
    return this.#now() - this.#lastMoveAt
  }

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

  get isOurs(): boolean {
    return this.#isOurs
  }

  oldestWaiterMs(): number {
    for (const { since } of this.#waiting) return this.#now() - since
    return 0
  }

  /** Of the tickets of the clients that are out. */
  longestHeld(tickets: Iterable<Ticket>): LongestHeld | undefined {
    let longest: Ticket | undefined
    for (const ticket of tickets) if (!longest || ticket.since < longest.since) longest = ticket
    if (!longest) return undefined
    const at = longest.place?.stack && callerIn(longest.place.stack)
    const { traceId } = longest
    return { ms: this.#now() - longest.since, ...(at ? { at } : {}), ...(traceId ? { traceId } : {}) }
  }

  #mayTakePlace(now: number): boolean {
    if (now - this.#placesAt >= 1000) {
      this.#placesAt = now
      this.#places = MOST_PLACES
    }
    return this.#places > 0 && this.#places-- > 0
  }
}

/** Who has had a client for the longest time. */
export function heldObserved(held: LongestHeld | undefined): NonNullable<ProbeResult['observed']> {
  if (!held) return {}
  return {
    longestHeld: { value: Math.round(held.ms), unit: 'ms' },
    ...(held.at ? { heldAt: { value: held.at, unit: 'file:line' } } : {}),
    ...(held.traceId ? { heldTrace: { value: held.traceId } } : {}),
  }
}

function placeAbove(boundary: (...args: never[]) => unknown): { readonly stack?: string } | undefined {
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
