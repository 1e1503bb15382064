import type { Attributes } from '@opentelemetry/api'

/** Where a connection of pg leads. */
export interface ConnectionParameters {
  readonly database?: unknown
  readonly host?: unknown
  readonly port?: unknown
}

export function attributesOf({ database, host, port }: ConnectionParameters): Attributes {
  const attributes: Attributes = { 'db.system.name': 'postgresql' }
  if (typeof database === 'string') attributes['db.namespace'] = database
  if (typeof host === 'string') attributes['server.address'] = host
  if (Number.isInteger(port)) attributes['server.port'] = port as number
  return attributes
}
