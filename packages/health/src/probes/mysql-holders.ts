// Who waits for a connection of a pool of mysql2, and who holds one; and whether a restart would help a pool that gives none.
import { within } from '../within.ts'
import { CONTROL_MS } from './control-deadline.ts'
import { isWedged, PoolControl, type HeldClient } from './pool-control.ts'
import { PoolTickets, type LongestHeld, type Ticket } from './pool-tickets.ts'
import { asked, type Done, type MysqlConnection, type MysqlPool } from './mysql-pool.ts'

/** Of mysql2: made, it connects. */
type Connect = new (options: { readonly config: unknown }) => FreshConnection
export type FreshConnection = MysqlConnection & { on(event: 'error', listener: () => void): unknown }
export type FindConnection = () => Connect | undefined

/** One row at least: that of the question itself. */
const QUESTION = `SELECT id, CONNECTION_ID() AS own FROM information_schema.processlist WHERE command <> 'Sleep'`

export class MysqlHolders {
  readonly tickets: PoolTickets
  readonly control: PoolControl
  readonly #pool: MysqlPool
  readonly #by = new WeakMap<MysqlConnection, Ticket>()

  constructor(pool: MysqlPool, now: () => number, deadMs: number) {
    this.#pool = pool
    this.tickets = new PoolTickets(now)
    this.control = new PoolControl(this.tickets, now, deadMs)
    // Told only where nobody waits for it: else it is the next one that gets it.
    pool.on?.('release', () => this.tickets.cameBack())
  }

  /** What the pool is to call in place of `done`. */
  asks(done: Done, boundary: (...args: never[]) => unknown): Done {
    if (this.tickets.isOurs || typeof done !== 'function') return done
    const ticket = this.tickets.ask(boundary, this.#isTight())
    const { tickets } = this
    const by = this.#by
    return function (this: unknown, error, connection) {
      tickets.answered(ticket, connection !== undefined)
      if (connection) by.set(connection, ticket)
      return done.call(this, error, connection)
    }
  }

  longestHeld(): LongestHeld | undefined {
    const out = heldConnections(this.#pool).map((connection) => this.#by.get(connection))
    return this.tickets.longestHeld(out.filter((ticket) => ticket !== undefined))
  }

  #isTight(): boolean {
    const { _allConnections, _freeConnections, config } = this.#pool
    const inUse = (_allConnections?.length ?? 0) - (_freeConnections?.length ?? 0)
    return (inUse + 1) * 2 >= (config?.connectionLimit || Number.POSITIVE_INFINITY)
  }
}

/** Those that are not free. */
function heldConnections({ _allConnections, _freeConnections }: MysqlPool): MysqlConnection[] {
  const all = (queue: MysqlPool['_allConnections']): MysqlConnection[] =>
    Array.from({ length: queue?.length ?? 0 }, (_, i) => queue?.get?.(i) as MysqlConnection | undefined).filter(
      (connection) => connection !== undefined,
    )
  const free = new Set(all(_freeConnections))
  return all(_allConnections).filter((connection) => !free.has(connection))
}

/** A connection of its own, made as the pool makes them, asked once, and ended whatever happens. Rejects where the server is not well. */
export async function experiment(pool: MysqlPool, find: FindConnection): Promise<boolean> {
  const Connection = find()
  const config = pool.config?.connectionConfig
  if (!Connection || !config) return false
  const make = (): FreshConnection => new Connection({ config: Object.create(config, { pool: { value: undefined } }) })
  return askBeside(make, () => heldConnections(pool))
}

/** Whether the server does nothing for those that are held, as a connection beside them finds it. */
export async function askBeside(
  make: () => FreshConnection,
  held: () => readonly Pick<MysqlConnection, '_command' | '_commands' | 'threadId'>[],
): Promise<boolean> {
  const connection = make()
  connection.on('error', () => {})
  const answer = new Promise<boolean>((resolve, reject) => {
    connection.query(asked(QUESTION), (error, rows) => {
      if (error) return reject(error as Error)
      const answer = rows as readonly { readonly id: unknown; readonly own: unknown }[]
      const active = answer.map(({ id }) => Number(id))
      resolve(
        isWedged(held().map(heldConnection), {
          pid: connection.threadId ?? undefined,
          own: Number(answer[0]?.own),
          active,
        }),
      )
    })
  })
  try {
    return await within(answer, CONTROL_MS)
  } finally {
    connection.destroy()
    connection.stream?.destroy?.()
  }
}

function heldConnection({
  threadId,
  _command,
  _commands,
}: Pick<MysqlConnection, '_command' | '_commands' | 'threadId'>): HeldClient {
  return { pid: threadId ?? undefined, isBusy: Boolean(_command) || (_commands?.length ?? 0) > 0 }
}
