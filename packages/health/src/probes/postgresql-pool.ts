// The few things of a pg pool that a probe needs, and how to borrow one of its clients without harm: no wedged client goes back, none is
// kept, a borrowed one keeps no process alive, and no error of a connection that only the probe keeps open reaches the app.

import { PoolControl } from './pool-control.ts'
import { PoolHolders } from './postgresql-holders.ts'
import type { PgClient, PgPool, Release } from './postgresql-pooled-client.ts'

export type Borrowed =
  | { readonly kind: 'client'; readonly client: PgClient; giveBack(sound: boolean): void }
  | { readonly kind: 'refused'; readonly error: unknown }
  | { readonly kind: 'late'; readonly exhausted: boolean }

/** Watches one pool: its listeners only note the time. */
export class PoolWatch {
  readonly control: PoolControl
  readonly holders: PoolHolders
  readonly #pool: PgPool
  readonly #now: () => number
  #lastAppUseAt = Number.NEGATIVE_INFINITY
  #useBefore = Number.NEGATIVE_INFINITY
  #lastAcquired: PgClient | undefined
  #ours: PgClient | undefined

  constructor(pool: PgPool, now: () => number, deadMs: number) {
    this.#pool = pool
    this.#now = now
    this.holders = new PoolHolders(pool, now)
    this.control = new PoolControl(this.holders.tickets, now, deadMs)
    pool.on('acquire', (client) => {
      this.#useBefore = this.#lastAppUseAt
      this.#lastAppUseAt = now()
      this.#lastAcquired = client
    })
    pool.on('release', (_error, client) => {
      if (client !== this.#ours) this.#lastAppUseAt = now()
    })
    // No listener: the app, and its libraries, look whether there is one, and do without their own.
    const emit = pool.emit
    const value = (...args: unknown[]): unknown => {
      // Without the probe this connection would long be closed. With a listener of the app's own, or while the app uses its pool,
      // everything is as it would be without us: an error that nobody listens for is thrown.
      if (args[0] === 'error' && pool.listenerCount('error') === 0 && this.#isLeftAlone()) return false
      return emit.apply(pool, args)
    }
    Object.defineProperty(pool, 'emit', { value, writable: true, configurable: true })
  }

  /** One client of the pool, or none when the signal comes first: then the place in the queue is given up, or the connection that was being made. */
  borrow(signal: AbortSignal): Promise<Borrowed> {
    return new Promise((resolve) => {
      let isGivenUp = false
      let withdraw = (): void => {}
      const onAbort = (): void => {
        isGivenUp = true
        resolve({ kind: 'late', exhausted: isExhausted(this.#pool) })
        withdraw()
      }
      if (signal.aborted) return onAbort()
      signal.addEventListener('abort', onAbort, { once: true })
      withdraw = this.#connect((error, client, release) => {
        signal.removeEventListener('abort', onAbort)
        if (error || !client) return resolve({ kind: 'refused', error })
        if (this.#lastAcquired === client) this.#lastAppUseAt = this.#useBefore
        this.#ours = client
        // Late: it goes back as it came.
        if (isGivenUp) this.#giveBack(client, release, true)
        else resolve({ kind: 'client', client, giveBack: (sound) => this.#giveBack(client, release, sound) })
      })
    })
  }

  /** Asks for a client; what is returned takes the wish back. */
  #connect(then: (error: unknown, client: PgClient | undefined, release: Release) => void): () => void {
    const pool = this.#pool
    const queue = pool._pendingQueue
    const lastBefore = queue?.at(-1)
    const clientsBefore = pool._clients?.length ?? 0
    let isCalled = false
    const once: typeof then = (error, client, release) => {
      if (isCalled) return
      isCalled = true
      then(error, client, release)
    }
    const returned = this.holders.tickets.unwatched(() => pool.connect(once))
    // A subclass with a connect() of its own may know promises only.
    if (isPromise(returned))
      returned.then(
        (client) => once(undefined, client, (destroy) => client.release?.(destroy)),
        (error: unknown) => once(error, undefined, () => {}),
      )
    const last = queue?.at(-1)
    const place = last === lastBefore ? undefined : last
    const dialled = !place && (pool._clients?.length ?? 0) > clientsBefore ? pool._clients?.at(-1) : undefined
    return () => {
      const at = place && queue ? queue.indexOf(place) : -1
      if (at >= 0) queue?.splice(at, 1)
      // As the pool itself does when a connection takes too long: it then strikes the client from its list.
      else if (!isCalled) dialled?.connection?.stream?.destroy?.()
    }
  }

  #giveBack(client: PgClient, release: Release, sound: boolean): void {
    try {
      release(!sound)
    } catch {
      // it was released by someone else, who said so already
    }
    this.#ours = undefined
    const { options, _idle } = this.#pool
    if (!sound || options?.allowExitOnIdle === undefined || !this.#isLeftAlone()) return
    // A script that forgot pool.end() leaves once its idle clients time out; the probe must not be what keeps them.
    const idle = _idle?.find((item) => item.client === client)
    if (!idle) return
    idle.timeoutId?.unref?.()
    client.unref?.()
  }

  /** The app itself would have let its idle clients go by now. */
  #isLeftAlone(): boolean {
    const { options, totalCount, idleCount, waitingCount } = this.#pool
    const idleMs = options?.idleTimeoutMillis ?? 10_000
    const inUse = totalCount - idleCount - (this.#ours ? 1 : 0)
    return idleMs > 0 && inUse <= 0 && waitingCount === 0 && this.#now() - this.#lastAppUseAt >= idleMs
  }
}

function isPromise(value: unknown): value is PromiseLike<PgClient> {
  return typeof (value as { then?: unknown } | null | undefined)?.then === 'function'
}

/** All clients are taken, no more may be made, and others wait too. */
function isExhausted(pool: PgPool): boolean {
  return pool.waitingCount > 0 && pool.idleCount === 0 && pool.totalCount >= (pool.options?.max ?? 10)
}
