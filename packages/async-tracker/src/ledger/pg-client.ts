import { createRequire } from 'node:module'
import { join } from 'node:path'
import { AfterspanError } from '@afterspan/core/internal'

/** What the ledger uses of the package `pg`. */
export interface PgPool {
  query(text: string, values?: readonly unknown[]): Promise<{ readonly rows: Row[]; readonly rowCount: number | null }>
  connect(): Promise<PgPoolClient>
  end(): Promise<void>
  on(event: 'error', listener: () => void): unknown
  on(event: 'connect', listener: (client: { on(event: 'error', listener: () => void): unknown }) => void): unknown
}
export interface PgPoolClient {
  query(
    text: string | { readonly text: string; readonly query_timeout: number },
    values?: readonly unknown[],
  ): ReturnType<PgPool['query']>
  release(destroy?: boolean): void
}
export type Row = Record<string, unknown>

const CONNECT_MS = 3_000
const QUERY_MS = 10_000

/**
 * A pool of two connections: one writes, one answers. `pg` is the app's: next to us, or found from where the app was started;
 * who keeps the ledger in SQLite needs none. Throws AFS_LEDGER_FAILED where there is no `pg`.
 */
export function connectPg(url: string, queryMs = QUERY_MS): PgPool {
  const { Pool } = loadPg()
  const pool = new Pool({
    connectionString: url,
    max: 2,
    connectionTimeoutMillis: CONNECT_MS,
    query_timeout: queryMs,
    idle_in_transaction_session_timeout: QUERY_MS,
    application_name: 'afterspan',
    allowExitOnIdle: true,
    keepAlive: true,
  })
  // A connection that breaks while nobody uses it: the next use makes a new one, or says why it cannot.
  pool.on('error', () => {})
  // One that breaks in use tells its query, and then itself: unheard, that would be an uncaught exception.
  pool.on('connect', (client) => client.on('error', () => {}))
  return pool
}

function loadPg(): { Pool: new (settings: object) => PgPool } {
  try {
    return require('pg') as ReturnType<typeof loadPg>
  } catch {
    try {
      return createRequire(join(process.cwd(), 'package.json'))('pg') as ReturnType<typeof loadPg>
    } catch {
      throw new AfterspanError(
        'AFS_LEDGER_FAILED',
        'AFTERSPAN_LEDGER_URL needs the package pg, 8 or later, which is not installed here: npm install pg',
      )
    }
  }
}
