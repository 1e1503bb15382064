import { context, trace, type Attributes } from '@opentelemetry/api'
import { replaceMethod } from '../instrument/replace-method.ts'
import type { ConnectionParameters } from './durations.ts'
import { attributesOf } from './pg-connection.ts'
import { tellConnect } from './pg-connect.ts'
import { PoolConnections, type CountedPool } from './pg-pool-connections.ts'
import { asker, isNew, type Teller } from './teller.ts'

interface PoolOptions {
  readonly connectionString?: unknown
  readonly database?: unknown
  readonly host?: unknown
  readonly idleTimeoutMillis?: unknown
  readonly maxClient?: unknown
  readonly port?: unknown
}
interface PgPool extends CountedPool {
  readonly options: PoolOptions
  readonly _idle?: readonly unknown[]
  readonly _isFull?: () => boolean
}

/** Tells how long a client of the pool was waited for, and how many there are. */
export function watchPgPool(prototype: object, { startSpan, callIn, metrics }: Teller): void {
  if (!isNew(prototype)) return
  let connections: PoolConnections | undefined
  replaceMethod(
    prototype,
    'connect',
    (original) =>
      function (this: PgPool, ...args: unknown[]) {
        const caller = asker()
        if (!caller) return original.apply(this, args)
        connections ??= new PoolConnections(metrics)
        connections.note(this)
        const span = startSpan('pg-pool.connect', poolAttributes(this.options), caller)
        // Only a connection that is made now is part of it.
        const connect = dials(this)
          ? () => context.with(trace.setSpan(caller, span), Reflect.apply, undefined, original, this, args)
          : () => original.apply(this, args)
        return tellConnect(span, args, { caller, callIn }, connect)
      },
  )
}

/** No client is free, and there may be one more. */
function dials(pool: PgPool): boolean {
  return !(pool._idle && pool._idle.length > 0) && pool._isFull?.() !== true
}

function poolAttributes(options: PoolOptions = {}): Attributes {
  const { idleTimeoutMillis, maxClient } = options
  const attributes = attributesOf(addressOf(options))
  if (typeof idleTimeoutMillis === 'number') attributes['db.postgresql.idle.timeout.millis'] = idleTimeoutMillis
  if (typeof maxClient === 'number') attributes['db.postgresql.max.client'] = maxClient
  return attributes
}

/** By connection string: apps have few, and each is read once. */
const addresses = new Map<string, ConnectionParameters>()
const MOST_ADDRESSES = 100

function addressOf({ connectionString, database, host, port }: PoolOptions): ConnectionParameters {
  const own = Number.isInteger(port) ? port : undefined
  if (typeof connectionString !== 'string' || connectionString === '') return { database, host, port: own }
  const known = addresses.get(connectionString)
  if (known) return known.port === undefined ? { ...known, port: own } : known
  let read: ConnectionParameters
  try {
    const url = new URL(connectionString)
    read = { database: url.pathname.slice(1), host: url.hostname, port: Number(url.port) || undefined }
  } catch {
    return { database, host, port: own }
  }
  if (addresses.size >= MOST_ADDRESSES) addresses.clear()
  addresses.set(connectionString, read)
  return read.port === undefined ? { ...read, port: own } : read
}
