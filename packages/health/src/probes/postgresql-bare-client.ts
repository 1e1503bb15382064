import type { Row } from './postgresql-questions.ts'

/** A client of pg that no pool has, as it is in pg 8; what starts with an underscore only where it is there. */
export interface BareClient {
  query(text: string): Promise<{ readonly rows: readonly Row[] }>
  readonly connectionParameters?: Readonly<Record<'database' | 'host' | 'port' | 'user', unknown>>
  readonly password?: unknown
  readonly connection?: {
    on?(event: 'readyForQuery', listener: (told?: { readonly status?: unknown }) => void): unknown
    readonly stream?: { readonly bytesRead?: number; destroy?(): void }
  }
  /** The backend's, as the server told it at the start of the connection. */
  readonly processID?: number | null
  /** No statement is on its way. */
  readonly readyForQuery?: boolean
  readonly _queryQueue?: readonly unknown[]
  readonly queryQueue?: readonly unknown[]
  readonly _connected?: boolean
  readonly _connectionError?: boolean
  readonly _ending?: boolean
  readonly _queryable?: boolean
  /** From 8.17 on: 'I' where the app has no transaction open. */
  getTransactionStatus?(): unknown
}
