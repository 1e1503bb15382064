import type { Attributes } from '@opentelemetry/api'
import type { ConnectionParameters } from './durations.ts'

export function attributesOf({ database, host, port }: ConnectionParameters): Attributes {
  const attributes: Attributes = { 'db.system.name': 'postgresql' }
  if (typeof database === 'string') attributes['db.namespace'] = database
  if (typeof host === 'string') attributes['server.address'] = host
  if (Number.isInteger(port)) attributes['server.port'] = port as number
  return attributes
}
