// OTLP/JSON from OTLP protobuf: what waits for export, in memory and on disk, is protobuf alone.
// Field names and numbers: opentelemetry-proto v1.7; their JSON: https://opentelemetry.io/docs/specs/otlp/#json-protobuf-encoding
import { fields, type ProtobufField } from './protobuf-fields.ts'

type Value = ProtobufField['value']
interface Field {
  readonly name: string
  readonly isList?: true
  readonly read: (value: Value) => unknown
}
type Schema = Readonly<Record<number, Field>>

/** The JSON of an ExportTraceServiceRequest; throws where the bytes are none. */
export function traceJson(body: Uint8Array): string {
  return JSON.stringify(message(bytes(body), REQUEST))
}

function message(body: Buffer, schema: Schema): Record<string, unknown> {
  const out: Record<string, unknown> = {}
  for (const { number, value } of fields(body)) {
    const field = schema[number]
    if (!field) continue
    if (field.isList) ((out[field.name] ??= []) as unknown[]).push(field.read(value))
    else out[field.name] = field.read(value)
  }
  return out
}

function bytes(value: Value | Uint8Array): Buffer {
  if (Buffer.isBuffer(value)) return value
  if (value instanceof Uint8Array) return Buffer.from(value.buffer, value.byteOffset, value.byteLength)
  throw new RangeError('a number where bytes should be')
}

const text = (name: string): Field => ({ name, read: (value) => bytes(value).toString() })
const hex = (name: string): Field => ({ name, read: (value) => bytes(value).toString('hex') })
/** 32 bits and enums, as numbers. */
const small = (name: string): Field => ({
  name,
  read: (value) => (Buffer.isBuffer(value) ? value.readUInt32LE() : Number(value)),
})
/** 64 bits, as text. */
const time = (name: string): Field => ({ name, read: (value) => String(bytes(value).readBigUInt64LE()) })
const one = (name: string, schema: () => Schema): Field => ({ name, read: (value) => message(bytes(value), schema()) })
const many = (name: string, schema: () => Schema): Field => ({ ...one(name, schema), isList: true })

const KEY_VALUE: Schema = { 1: text('key'), 2: one('value', () => ANY_VALUE) }
const ANY_VALUE: Schema = {
  1: text('stringValue'),
  2: { name: 'boolValue', read: Boolean },
  3: { name: 'intValue', read: (value) => String(BigInt.asIntN(64, BigInt(value as number))) },
  4: { name: 'doubleValue', read: (value) => double(bytes(value).readDoubleLE()) },
  5: one('arrayValue', () => ({ 1: many('values', () => ANY_VALUE) })),
  6: one('kvlistValue', () => ({ 1: attributes('values') })),
  7: { name: 'bytesValue', read: (value) => bytes(value).toString('base64') },
}
function attributes(name = 'attributes'): Field {
  return many(name, () => KEY_VALUE)
}
function double(value: number): number | string {
  return Number.isFinite(value) ? value : String(value)
}
const DROPPED = 'droppedAttributesCount'
const EVENT: Schema = { 1: time('timeUnixNano'), 2: text('name'), 3: attributes(), 4: small(DROPPED) }
const LINK: Schema = {
  1: hex('traceId'),
  2: hex('spanId'),
  3: text('traceState'),
  4: attributes(),
  5: small(DROPPED),
  6: small('flags'),
}
const SPAN: Schema = {
  1: hex('traceId'),
  2: hex('spanId'),
  3: text('traceState'),
  4: hex('parentSpanId'),
  5: text('name'),
  6: small('kind'),
  7: time('startTimeUnixNano'),
  8: time('endTimeUnixNano'),
  9: attributes(),
  10: small(DROPPED),
  11: many('events', () => EVENT),
  12: small('droppedEventsCount'),
  13: many('links', () => LINK),
  14: small('droppedLinksCount'),
  15: one('status', () => ({ 2: text('message'), 3: small('code') })),
  16: small('flags'),
}
const SCOPE: Schema = { 1: text('name'), 2: text('version'), 3: attributes(), 4: small(DROPPED) }
const SCOPE_SPANS: Schema = { 1: one('scope', () => SCOPE), 2: many('spans', () => SPAN), 3: text('schemaUrl') }
const RESOURCE_SPANS: Schema = {
  1: one('resource', () => ({ 1: attributes(), 2: small(DROPPED) })),
  2: many('scopeSpans', () => SCOPE_SPANS),
  3: text('schemaUrl'),
}
const REQUEST: Schema = { 1: many('resourceSpans', () => RESOURCE_SPANS) }
