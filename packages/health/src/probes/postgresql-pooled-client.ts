// A pool of pg and its clients, as far as a probe uses them.

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
export type Release = (destroy?: boolean | Error) => void
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
