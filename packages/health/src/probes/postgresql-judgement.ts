// What answers and refusals of a PostgreSQL server mean, whichever client got them.
import type { Cause, ProbeResult } from '@afterspan/core/internal'
import { networkCode, SQLSTATE } from '../codes.ts'
import { scrub } from '../scrub.ts'
import { NOT_UNDERSTOOD, PLAIN_QUESTION, QUESTION, type Row } from './postgresql-questions.ts'

const BROKEN_TRANSACTION = '25P02'

export type Observed = NonNullable<ProbeResult['observed']>

/** What is known of one server. */
export interface PostgresqlServer {
  wasWritable: boolean
  /** Its address or options say that it is a replica. */
  readonly hint: boolean
}

export function sick(code: string, reason: string, observed: Observed, cause: Cause = 'dependency'): ProbeResult {
  return { status: 'fail', code, cause, reason, observed }
}

/** Of a server that answered; what it shows is remembered in `server`. */
export function judgeServer(
  row: Row,
  server: PostgresqlServer,
  given: {
    readonly observed: Observed
    readonly anotherIsWritable: () => boolean
    /** It was not asked for its role. */
    readonly isPlain: boolean
  },
): ProbeResult {
  const { observed, anotherIsWritable, isPlain } = given
  const inRecovery = String(row['in_recovery']) === 'true'
  if (!inRecovery && row['read_only'] !== 'on') {
    server.wasWritable = !isPlain
    return { status: 'pass', observed }
  }
  // A pool that never could write, in an app that writes elsewhere or that asked for a replica, is as it is meant to be.
  if (!server.wasWritable && (server.hint || anotherIsWritable()))
    return { status: 'pass', observed: { ...observed, role: { value: inRecovery ? 'replica' : 'read_only' } } }
  return inRecovery
    ? sick('in_recovery', 'the server is in recovery: it refuses every write', observed)
    : sick('read_only', 'transactions are read-only: the server refuses every write', observed)
}

/** Of a question that was refused. One that this server does not understand is put plainly from the next time on. */
export function judgeRefusal(
  error: unknown,
  server: { question: string },
  given: { readonly observed: Observed; readonly isFull: boolean },
): ProbeResult {
  const { observed } = given
  if (server.question === QUESTION && NOT_UNDERSTOOD.has((error as { code?: unknown } | null)?.code)) {
    server.question = PLAIN_QUESTION
    return { status: 'pass', observed }
  }
  return refusal(error, given)
}

/** What the server or the network said, as a code of the table and in scrubbed words. */
export function refusal(
  error: unknown,
  { observed, isFull }: { readonly observed: Observed; readonly isFull: boolean },
): ProbeResult {
  const message = error instanceof Error ? error.message : String(error)
  const code = refusalCode(error, message, isFull)
  const result = sick(code, scrub(message), observed)
  // An app that put a client back in the middle of a broken transaction: the next user suffers, the database is well.
  return code === BROKEN_TRANSACTION ? { ...result, status: 'warn', cause: 'self_recoverable' } : result
}

function refusalCode(error: unknown, message: string, isFull: boolean): string {
  const code = (error as { code?: unknown } | null | undefined)?.code
  if (typeof code === 'string' && SQLSTATE.test(code)) return code
  const network = networkCode(error)
  if (network) return network
  if (/timeout/i.test(message) || code === 'CONNECT_TIMEOUT') return isFull ? 'pool_exhausted' : 'timeout'
  if (/SASL|SCRAM|password/i.test(message)) return 'auth_failed'
  if (
    /\b(?:SSL|TLS|certificate)\b/i.test(message) ||
    /^(?:ERR_TLS|ERR_SSL|CERT_|SELF_SIGNED|UNABLE_TO|DEPTH_ZERO)/.test(String(code))
  )
    return 'tls'
  return /terminated|closed|ended|not queryable/i.test(message) || String(code).startsWith('CONNECTION_')
    ? 'connection_lost'
    : 'error'
}
