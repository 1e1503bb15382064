// ExportLogsServiceRequest. Field numbers: opentelemetry-proto v1.7, logs.proto.
import type { Attributes } from '@opentelemetry/api'
import { anyValue, ProtobufMessage } from '../../sdk/otlp/protobuf-message.ts'
import { boundedValue, TEXTS } from '../../sdk/bounded-value.ts'
import type { LogEntry } from './log-entry.ts'

export interface LogLimits {
  readonly attributes: number
  readonly valueLength: number
}
/** One LogRecord, encoded, and whose it is. */
export interface EncodedLog {
  readonly scope: LogEntry['scope']
  readonly bytes: Buffer
}

const MOST_BODY = 256 * 1024

export function encodeLog(entry: LogEntry, limits: LogLimits): Buffer {
  const message = new ProtobufMessage()
  if (entry.timeMs !== undefined) message.fixed64(1, nanos(entry.timeMs))
  if (entry.severity > 0) message.varint(2, entry.severity)
  message.text(3, entry.severityText)
  if (entry.body !== undefined && entry.body !== null)
    message.message(5, (any) => {
      anyValue(any, cut(entry.body, MOST_BODY, MOST_BODY))
    })
  const given = Object.entries(entry.attributes).filter(([, value]) => value !== undefined && value !== null)
  const kept = given
    .slice(0, limits.attributes)
    .map(([key, value]) => [key, cut(value, limits.valueLength, TEXTS * limits.valueLength)])
  message.attributes(6, Object.fromEntries(kept) as Record<string, unknown>)
  if (given.length > kept.length) message.varint(7, given.length - kept.length)
  const { ids } = entry
  if (ids) message.fixed32(8, Number.parseInt(ids.trace_flags, 16)).hex(9, ids.trace_id).hex(10, ids.span_id)
  message.fixed64(11, nanos(entry.observedMs)).text(12, entry.eventName)
  return message.encoded()
}

export function encodeLogs(resource: Attributes, logs: readonly EncodedLog[]): Buffer {
  const byScope = new Map<string, EncodedLog[]>()
  for (const log of logs) {
    const { name, version = '', schemaUrl = '' } = log.scope
    const key = `${name} ${version} ${schemaUrl}`
    const known = byScope.get(key)
    if (known) known.push(log)
    else byScope.set(key, [log])
  }
  return new ProtobufMessage()
    .message(1, (resourceLogs) => {
      resourceLogs.message(1, (message) => message.attributes(1, resource))
      for (const group of byScope.values())
        resourceLogs.message(2, (message) => {
          const { name, version, schemaUrl } = group[0]!.scope
          message.message(1, (scope) => scope.text(1, name).text(2, version))
          for (const { bytes } of group) message.bytes(2, bytes)
          message.text(3, schemaUrl)
        })
    })
    .encoded()
}

/** Objects of classes are told too, by what is in them. */
function cut(value: unknown, longest: number, total: number): unknown {
  if (typeof value === 'string') return value.length > longest ? value.slice(0, longest) : value
  return boundedValue(value, { longest, total, isLeaf, isMap: () => true })
}

function isLeaf(value: unknown): boolean {
  return typeof value === 'bigint' || typeof value === 'symbol' || value instanceof Date
}

function nanos(ms: number): bigint {
  const whole = Math.trunc(ms)
  return BigInt(whole) * 1_000_000n + BigInt(Math.round((ms - whole) * 1e6))
}
