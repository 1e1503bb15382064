// How to borrow one connection of a mysql2 pool without harm: what the probe gives up leaves no place in the queue, no connection that is
// being made, and no open socket.
import { untilAborted } from '../until-aborted.ts'

/** As options: those of the app's own may have rows come as arrays, in tables, or as it likes. */
export interface Asked {
  readonly sql: string
  readonly rowsAsArray: false
  readonly nestTables: false
  readonly typeCast: true
}
export function asked(sql: string): Asked {
  return { sql, rowsAsArray: false, nestTables: false, typeCast: true }
}

/** Of mysql2 2 and 3. */
export interface MysqlConnection {
  query(sql: Asked, done: (error: unknown, rows?: unknown) => void): unknown
  release(): void
  destroy(): void
  readonly stream?: { destroy?(): void }
  /** Of the server, for this connection. */
  readonly threadId?: number | null
  /** A statement that was sent and has not ended, and those that wait for it. */
  readonly _command?: unknown
  readonly _commands?: { readonly length: number }
  readonly _handshakePacket?: { readonly serverVersion?: unknown }
}
export type Done = (error: unknown, connection?: MysqlConnection) => void
interface Queue {
  readonly length: number
  get?(index: number): unknown
  removeOne?(index: number): unknown
}
export interface MysqlPool {
  getConnection(done: Done): unknown
  on?(event: 'release', listener: () => void): unknown
  readonly _closed?: boolean
  readonly _allConnections?: Queue
  readonly _freeConnections?: Queue
  readonly _connectionQueue?: Queue
  readonly config?: {
    readonly connectionLimit?: number
    readonly connectionConfig?: { readonly host?: string }
  }
}
/** Rejects as the pool does. A connection that comes late goes back as it came. `unwatched`: around what is not the app's wish. */
export function borrow(
  pool: MysqlPool,
  signal: AbortSignal,
  unwatched: <T>(ask: () => T) => T,
): Promise<MysqlConnection | 'late'> {
  return new Promise((resolve, reject) => {
    if (signal.aborted) {
      resolve('late')
      return
    }
    let isGivenUp = false
    let withdraw = (): void => {}
    const done: Done = (error, connection) => {
      signal.removeEventListener('abort', onAbort)
      if (isGivenUp) connection?.release()
      else if (error || !connection) reject(error as Error)
      else resolve(connection)
    }
    const onAbort = (): void => {
      isGivenUp = true
      resolve('late')
      withdraw()
    }
    signal.addEventListener('abort', onAbort, { once: true })
    withdraw = unwatched(() => connect(pool, done))
  })
}

/** Asks for a connection; what is returned takes the wish back. */
function connect(pool: MysqlPool, done: Done): () => void {
  const { _allConnections: all, _connectionQueue: queue } = pool
  const before = { all: all?.length ?? 0, waiting: queue?.length ?? 0 }
  pool.getConnection(done)
  // Whoever watches pools by their channel has wrapped `done`: what stands there now is known by its place alone.
  const place = (queue?.length ?? 0) > before.waiting ? queue?.get?.(queue.length - 1) : undefined
  const dialled = (all?.length ?? 0) > before.all ? all?.get?.(all.length - 1) : undefined
  return () => {
    if (place) withdraw(queue, place)
    // Each round would make one more, until the pool is full of them and the app gets none.
    else if (dialled) discard(dialled as MysqlConnection)
  }
}

function withdraw(queue: Queue | undefined, place: unknown): void {
  for (let i = 0; i < (queue?.length ?? 0); i++)
    if (queue?.get?.(i) === place) {
      queue?.removeOne?.(i)
      return
    }
}

/** A connection that failed or hangs does not go back: it would block whoever gets it next. */
export async function ask(
  connection: MysqlConnection,
  question: string,
  signal: AbortSignal,
): Promise<Readonly<Record<string, unknown>> | 'late'> {
  const answer = new Promise<Readonly<Record<string, unknown>>>((resolve, reject) => {
    connection.query(asked(question), (error, rows) => {
      if (error) reject(error as Error)
      else resolve((rows as readonly Record<string, unknown>[] | undefined)?.[0] ?? {})
    })
  })
  try {
    const first = await untilAborted(answer, signal)
    if (first === 'late') discard(connection)
    else connection.release()
    return first
  } catch (error) {
    discard(connection)
    throw error
  }
}

/** mysql2 itself only says goodbye, and waits for a server that may never answer. */
function discard(connection: MysqlConnection): void {
  connection.destroy()
  connection.stream?.destroy?.()
}

/** All connections that it may have are there, and none is free. */
export function isFull({ config, _allConnections, _freeConnections }: MysqlPool): boolean {
  const limit = config?.connectionLimit ?? 0
  return limit > 0 && (_allConnections?.length ?? 0) >= limit && (_freeConnections?.length ?? 0) === 0
}
