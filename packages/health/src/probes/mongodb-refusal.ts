// What a refusal means: the server's number, the network's code, or the driver's own name for it.
import { networkCode } from '../codes.ts'
import type { MongoDescription } from './mongodb-client.ts'

/** By the server's number: https://github.com/mongodb/mongo/blob/master/src/mongo/base/error_codes.yml */
const BY_NUMBER: Readonly<Record<number, string>> = {
  6: 'EHOSTUNREACH', // mongos, of a shard
  7: 'ENOTFOUND',
  11: 'auth_failed',
  13: 'no_permission',
  18: 'auth_failed',
  50: 'timeout',
  89: 'timeout',
  91: 'connection_lost',
  133: 'no_primary',
  189: 'no_primary',
  202: 'timeout',
  262: 'timeout',
  391: 'auth_failed',
  8000: 'auth_failed', // Atlas, of a wrong name or password
  9001: 'connection_lost',
  10058: 'no_primary',
  10107: 'no_primary',
  11600: 'connection_lost',
  11602: 'no_primary',
  13435: 'no_primary',
  13436: 'no_primary',
  14031: 'disk_full',
}
const BY_NAME: Readonly<Record<string, string>> = {
  MongoMissingCredentialsError: 'auth_failed',
  MongoNetworkTimeoutError: 'timeout',
  MongoOperationTimeoutError: 'timeout',
  MongoTopologyClosedError: 'client_ended',
  MongoWaitQueueTimeoutError: 'pool_exhausted',
}
const TLS = /^(?:ERR_TLS|ERR_SSL|CERT_|SELF_SIGNED|UNABLE_TO|DEPTH_ZERO)/
const NO_PERMISSION = 13

interface Thrown {
  readonly name?: unknown
  readonly code?: unknown
  readonly message?: unknown
  readonly cause?: unknown
}

/** A code of the table; 'error' where nothing is known of it. */
export function refusalCode(error: unknown): string {
  const { name, code, cause } = (error ?? {}) as Thrown
  const message = messageOf(error)
  if (typeof code === 'number' && BY_NUMBER[code] !== undefined) return BY_NUMBER[code]
  const network = networkCode(error) ?? networkCode({ code: /\bE[A-Z]{4,}\b/.exec(message)?.[0] })
  if (network) return network
  if (TLS.test(String(code)) || /\b(?:SSL|TLS|certificate)\b/i.test(message)) return 'tls'
  const named = BY_NAME[String(name)]
  if (named) return named
  const caused = cause === undefined || cause === null || cause === error ? 'error' : refusalCode(cause)
  if (caused !== 'error') return caused
  return /^Mongo(?:Network|PoolCleared|PoolClosed|ServerClosed)/.test(String(name)) ? 'connection_lost' : 'error'
}

/** Why no server can be used, as its monitor met with it; undefined where none of them has failed. */
export function serverError({ servers }: MongoDescription): unknown {
  const errors = [...servers.values()]
    .map(({ error }) => error)
    .filter((error) => error !== undefined && error !== null)
  return errors.find((error) => refusalCode(error) !== 'error') ?? errors[0]
}

export function isUnauthorized(error: unknown): boolean {
  return (error as Thrown | null | undefined)?.code === NO_PERMISSION
}

/** It tells that no server was found for it, or that the one that was has just been lost: what is wrong is said by the servers' monitors. */
export function isOfSelection(error: unknown): boolean {
  return /^Mongo(?:ServerSelection|PoolCleared)/.test(String((error as Thrown | null | undefined)?.name))
}

export function messageOf(error: unknown): string {
  const { message } = (error ?? {}) as Thrown
  return typeof message === 'string' ? message : String(error)
}
