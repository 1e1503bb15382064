// What a MySQL or MariaDB server is asked, and what its answers and refusals mean.
import type { ProbeResult } from '@afterspan/core/internal'
import { networkCode } from '../codes.ts'
import { scrub } from '../scrub.ts'

export type Observed = NonNullable<ProbeResult['observed']>
export type Row = Readonly<Record<string, unknown>>

/** What is known of one server. */
export interface MysqlServer {
  wasWritable: boolean
  /** Its address says that it is a replica. */
  readonly hint: boolean
  /** It did not understand the question about the session. */
  isPlain: boolean
}

const PLAIN_QUESTION = 'SELECT @@global.read_only AS read_only'
/** Unknown variable, syntax, unknown table, not supported: of what only speaks the protocol. */
const NOT_UNDERSTOOD: ReadonlySet<unknown> = new Set([1193, 1064, 1109, 1235])
/** FLUSH TABLES WITH READ LOCK and backups: every write waits, every reader is served. */
const ALL_LOCKED = `'Waiting for global read lock', 'Waiting for backup lock', 'Waiting for commit lock'`
/** LOCK TABLES, and a change of a table that waits for its readers. */
const TABLE_LOCKED = `'Waiting for table metadata lock', 'Waiting for table level lock'`

/** `version` as the server greets. What a session may has a name of its own in MariaDB. `isHeld`: a statement of the app's may be waiting. */
export function questionOf({ isPlain }: MysqlServer, version: unknown, isHeld = false): string {
  if (isPlain) return PLAIN_QUESTION
  const variable = /mariadb/i.test(String(version)) ? 'tx_read_only' : 'transaction_read_only'
  const locks = isHeld ? `, ${waitingFor(ALL_LOCKED)} AS all_locked, ${waitingFor(TABLE_LOCKED)} AS table_locked` : ''
  return `${PLAIN_QUESTION}, @@session.${variable} AS session_read_only${locks}`
}

function waitingFor(states: string): string {
  return `(SELECT COUNT(*) FROM information_schema.processlist WHERE time >= 1 AND user = SUBSTRING_INDEX(USER(), '@', 1) AND state IN (${states}))`
}

/** Of a server that answered; what it shows is remembered in `server`. */
export function judgeServer(
  row: Row,
  server: MysqlServer,
  { observed, anotherIsWritable }: { readonly observed: Observed; readonly anotherIsWritable: () => boolean },
): ProbeResult {
  const isOfSession = Number(row['read_only']) === 0
  if (isOfSession && Number(row['session_read_only'] ?? 0) === 0) {
    server.wasWritable = true
    return judgeLocks(row, observed)
  }
  // A pool that never could write, in an app that writes elsewhere or that asked for a replica, is as it is meant to be.
  if (!server.wasWritable && (server.hint || anotherIsWritable()))
    return { status: 'pass', observed: { ...observed, role: { value: 'read_only' } } }
  const reason = isOfSession
    ? 'transactions are read-only: the server refuses every write'
    : 'the server is read-only: it refuses every write'
  return sick('read_only', reason, observed)
}

function judgeLocks({ all_locked: all, table_locked: table }: Row, observed: Observed): ProbeResult {
  const isAll = Number(all ?? 0) > 0
  if (!isAll && !(Number(table ?? 0) > 0)) return { status: 'pass', observed }
  const waiting = { value: Number(isAll ? all : table), unit: 'count' }
  const which = isAll ? 'the whole server, which takes no write' : 'a table'
  const result = sick('locked', `statements of the app wait for a lock on ${which}`, { ...observed, locked: waiting })
  return isAll ? result : { ...result, status: 'warn' }
}

/** Of a question that was refused. One that this server does not understand is put plainly from the next time on. */
export function judgeRefusal(error: unknown, server: MysqlServer, observed: Observed): ProbeResult {
  if (!server.isPlain && NOT_UNDERSTOOD.has((error as { errno?: unknown } | null | undefined)?.errno)) {
    server.isPlain = true
    return { status: 'pass', observed }
  }
  const message = error instanceof Error ? error.message : String(error)
  return sick(refusalCode(error, message), scrub(message), observed)
}

export function sick(
  code: string,
  reason: string,
  observed: Observed,
  cause: NonNullable<ProbeResult['cause']> = 'dependency',
): ProbeResult {
  return { status: 'fail', code, cause, reason, observed }
}

/** By the server's number: its words are in the language that it was started with. */
const BY_NUMBER: Readonly<Record<number, string>> = {
  1021: 'disk_full',
  1040: 'too_many_connections',
  1044: 'no_permission',
  1045: 'auth_failed',
  1049: 'no_database',
  1053: 'connection_lost',
  1114: 'disk_full',
  1129: 'auth_failed', // this host has been turned away too often
  1130: 'auth_failed', // no user may come from this host
  1142: 'no_permission',
  1143: 'no_permission',
  1203: 'too_many_connections',
  1205: 'lock_timeout',
  1226: 'too_many_connections',
  1290: 'read_only',
  1370: 'no_permission',
  1698: 'auth_failed',
  1792: 'read_only',
  1820: 'auth_failed', // the password must be changed
  1836: 'read_only',
  1862: 'auth_failed', // the password has expired
  1927: 'connection_lost', // killed
  1969: 'timeout', // max_statement_time
  3024: 'timeout', // max_execution_time
  3118: 'auth_failed', // the account is locked: MySQL
  4151: 'auth_failed', // and MariaDB
}

/** Of what the server itself has refused. */
export function codeOf(error: unknown): string | undefined {
  const { errno } = (error ?? {}) as { errno?: unknown }
  return typeof errno === 'number' ? BY_NUMBER[errno] : undefined
}

function refusalCode(error: unknown, message: string): string {
  const known = codeOf(error)
  if (known) return known
  const network = networkCode(error)
  if (network) return network
  if (/queue limit|no connections available/i.test(message)) return 'pool_exhausted'
  if (/timeout/i.test(message)) return 'timeout'
  return /closed|lost/i.test(message) ? 'connection_lost' : 'error'
}
