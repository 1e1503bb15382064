// The pool that Knex keeps its connections in (tarn): who waits in it and for how long, and how to borrow one without harm.
import { untilAborted } from '../until-aborted.ts'

/** As Knex makes it with `pg`: a Client, not a client of a Pool. */
export interface KnexConnection {
  query(text: string): Promise<{ readonly rows: readonly Readonly<Record<string, unknown>>[] }>
  readonly connection?: { readonly stream?: { destroy?(): void } }
  /** Knex has seen it end. */
  __knex__disposed?: unknown
}
interface Kept {
  readonly resource: KnexConnection
  settle?(): void
}
/** Of tarn 3; what starts with an underscore only where it is there. */
export interface TarnPool {
  readonly destroyed?: boolean
  readonly idleTimeoutMillis?: number
  readonly max: number
  readonly min: number
  readonly free?: readonly Kept[]
  readonly used?: Kept[]
  acquire(): { readonly promise: Promise<KnexConnection>; abort?(): void }
  numFree(): number
  numUsed(): number
  on(event: 'acquireRequest', listener: (id: number) => void): unknown
  on(event: 'acquireSuccess', listener: (id: number, resource: KnexConnection) => void): unknown
  on(event: 'acquireFail', listener: (id: number) => void): unknown
  on(event: 'release', listener: (resource: KnexConnection) => void): unknown
  release(resource: KnexConnection): unknown
  _destroy?(resource: KnexConnection): unknown
  _tryAcquireOrCreate?(): void
}

export class KnexPoolWatch {
  readonly #pool: TarnPool
  readonly #now: () => number
  /** Of the app: since when each waits, and has what it holds. */
  readonly #waiting = new Map<number, number>()
  readonly #held = new Map<KnexConnection, number>()
  readonly #ownRequests = new Set<number>()
  #isOwn = false
  #lastUseAt = Number.NEGATIVE_INFINITY
  /** How often a connection was handed to the app, or came back from it. */
  moves = 0

  constructor(pool: TarnPool, now: () => number) {
    this.#pool = pool
    this.#now = now
    pool.on('acquireRequest', (id) => {
      if (this.#isOwn) this.#ownRequests.add(id)
      else this.#waiting.set(id, (this.#lastUseAt = now()))
    })
    pool.on('acquireSuccess', (id, connection) => {
      if (this.#ownRequests.delete(id)) return
      this.#waiting.delete(id)
      this.moves++
      this.#held.set(connection, now())
    })
    pool.on('acquireFail', (id) => {
      this.#ownRequests.delete(id)
      this.#waiting.delete(id)
    })
    pool.on('release', (connection) => {
      if (!this.#held.delete(connection)) return
      this.moves++
      this.#lastUseAt = now()
    })
  }

  /** Of the app. */
  get waiting(): number {
    return this.#waiting.size
  }

  /** The first in each map is the oldest. */
  get oldestWaiterMs(): number {
    for (const since of this.#waiting.values()) return this.#now() - since
    return 0
  }
  get longestHeldMs(): number {
    for (const since of this.#held.values()) return this.#now() - since
    return 0
  }

  /** none: the app has asked for nothing so far. idle: so long ago that its connections are, or soon will be, closed; a question would keep them. */
  get use(): 'busy' | 'idle' | 'none' {
    const { min, idleTimeoutMillis = 30_000 } = this.#pool
    const ago = this.#now() - this.#lastUseAt
    if (ago === Number.POSITIVE_INFINITY) return 'none'
    return min === 0 && this.#held.size === 0 && this.#waiting.size === 0 && ago > idleTimeoutMillis / 2
      ? 'idle'
      : 'busy'
  }

  get isFull(): boolean {
    return this.#pool.numFree() === 0 && this.#pool.numUsed() >= this.#pool.max
  }

  /** The pool would have to dial: and what it dials it waits for, up to half a minute, and so does whoever comes next. */
  get wouldDial(): boolean {
    const { free } = this.#pool
    const isFree = free ? free.some(({ resource }) => !resource.__knex__disposed) : this.#pool.numFree() > 0
    return !isFree && !this.isFull
  }

  /** Rejects as the pool does. When the signal comes first, the place in the queue is given up; what comes all the same goes back. */
  async borrow(signal: AbortSignal): Promise<KnexConnection | 'late'> {
    this.#isOwn = true
    let pending: ReturnType<TarnPool['acquire']>
    try {
      pending = this.#pool.acquire()
    } finally {
      this.#isOwn = false
    }
    const first = await untilAborted(pending.promise, signal)
    if (first !== 'late') return first
    pending.promise.then(
      (connection) => this.#pool.release(connection),
      () => {},
    )
    pending.abort?.()
    return 'late'
  }

  /** One that failed or hangs leaves the pool. By the pool's own list: put back, Knex would print that it is broken. */
  giveBack(connection: KnexConnection, isSound: boolean): void {
    const pool = this.#pool
    const at = pool.used?.findIndex(({ resource }) => resource === connection) ?? -1
    if (isSound || at < 0 || !pool._destroy) {
      if (!isSound) connection.__knex__disposed = 'given up by a health check'
      pool.release(connection)
      return
    }
    const [used] = pool.used!.splice(at, 1)
    used!.settle?.()
    pool._destroy(connection)
    connection.connection?.stream?.destroy?.()
    pool._tryAcquireOrCreate?.()
  }
}
