// The few things of a pg pool that a probe needs, and how to borrow one of its clients without harm: no wedged client goes back, none is
// kept, a borrowed one keeps no process alive, and no error of a connection that only the probe keeps open reaches the app.

import { PoolControl } from './pool-control.ts'
import { PoolHolders } from './postgresql-holders.ts'

/** The part of pg's Client that is used. */
export interface PgClient {
  query(text: string): Promise<{ readonly rows: readonly Readonly<Record<string, unknown>>[] }>
  on(event: 'error', listener: (error: unknown) => void): unknown
  removeListener(event: 'error', listener: (error: unknown) => void): unknown
  release?(destroy?: boolean | Error): void
  unref?(): void
  readonly connection?: { readonly stream?: { destroy?(): void } }
  /** Of the server, for this connection. */
  readonly processID?: number | null
  /** false: a statement was sent and has not ended, or the connection is being made. */
  readonly readyForQuery?: boolean
  /** Statements that wait to be sent; the second is the name until 8.16. */
  readonly _queryQueue?: readonly unknown[]
  readonly queryQueue?: readonly unknown[]
}
type Release = (destroy?: boolean | Error) => void
/** The part of pg-pool's Pool that is used; what starts with an underscore only where it is there. */
export interface PgPool {
  readonly totalCount: number
  readonly idleCount: number
  readonly waitingCount: number
  readonly ending?: boolean
  readonly ended?: boolean
  readonly options?: {
    readonly max?: number
    readonly idleTimeoutMillis?: number
    /** Set by each pool that knows it: such a pool refs a client again when it hands it out. */
    readonly allowExitOnIdle?: boolean
    readonly host?: unknown
    readonly connectionString?: unknown
    readonly options?: unknown
  }
  connect(callback: (error: unknown, client: PgClient | undefined, release: Release) => void): unknown
  on(event: 'acquire', listener: (client: PgClient) => void): unknown
  on(event: 'release', listener: (error: unknown, client: PgClient) => void): unknown
  on(event: 'remove', listener: (client: PgClient) => void): unknown
  emit(...args: unknown[]): unknown
  listenerCount(event: 'error'): number
  readonly Client?: new (options: PgPool['options']) => PgClient & { connect(): Promise<unknown> }
  readonly _clients?: readonly PgClient[]
  readonly _idle?: readonly { readonly client: PgClient; readonly timeoutId?: { unref?(): void } }[]
  readonly _pendingQueue?: object[]
}

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
