// OTLP/JSON from OTLP protobuf: what waits for export, in memory and on disk, is protobuf alone.
// Field names and numbers: opentelemetry-proto v1.7; their JSON: https://opentelemetry.io/docs/specs/otlp/#json-protobuf-encoding
import { fields, type ProtobufField } from './protobuf-fields.ts'

export type Value = ProtobufField['value']
export interface Field {
  readonly name: string
  readonly isList?: true
  readonly read: (value: Value) => unknown
}
export type Schema = Readonly<Record<number, Field>>

/** Throws where the bytes are no such message. */
export function protobufJson(body: Uint8Array, schema: Schema): string {
  return JSON.stringify(message(bytes(body), schema))
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

export function bytes(value: Value | Uint8Array): Buffer {
  if (Buffer.isBuffer(value)) return value
  if (value instanceof Uint8Array) return Buffer.from(value.buffer, value.byteOffset, value.byteLength)
  throw new RangeError('a number where bytes should be')
}

export const text = (name: string): Field => ({ name, read: (value) => bytes(value).toString() })
export const hex = (name: string): Field => ({ name, read: (value) => bytes(value).toString('hex') })
/** 32 bits and enums, as numbers. */
export const small = (name: string): Field => ({
  name,
  read: (value) => (Buffer.isBuffer(value) ? value.readUInt32LE() : Number(value)),
})
/** 64 bits, as text. */
export const time = (name: string): Field => ({ name, read: (value) => String(bytes(value).readBigUInt64LE()) })
export const one = (name: string, schema: () => Schema): Field => ({
  name,
  read: (value) => message(bytes(value), schema()),
})
export const many = (name: string, schema: () => Schema): Field => ({ ...one(name, schema), isList: true })

const KEY_VALUE: Schema = { 1: text('key'), 2: one('value', () => ANY_VALUE) }
export const ANY_VALUE: Schema = {
  1: text('stringValue'),
  2: { name: 'boolValue', read: Boolean },
  3: { name: 'intValue', read: (value) => String(BigInt.asIntN(64, BigInt(value as number))) },
  4: { name: 'doubleValue', read: (value) => double(bytes(value).readDoubleLE()) },
  5: one('arrayValue', () => ({ 1: many('values', () => ANY_VALUE) })),
  6: one('kvlistValue', () => ({ 1: attributes('values') })),
  7: { name: 'bytesValue', read: (value) => bytes(value).toString('base64') },
}
export function attributes(name = 'attributes'): Field {
  return many(name, () => KEY_VALUE)
}
export function double(value: number): number | string {
  return Number.isFinite(value) ? value : String(value)
}

export const DROPPED = 'droppedAttributesCount'
const SCOPE: Schema = { 1: text('name'), 2: text('version'), 3: attributes(), 4: small(DROPPED) }
const RESOURCE: Schema = { 1: attributes(), 2: small(DROPPED) }

/** An export of any signal: what is told stands in its scope, and that in its resource. The names are `Spans` and `spans`, or alike. */
export function exported(signal: string, records: string, record: Schema): Schema {
  const inScope: Schema = { 1: one('scope', () => SCOPE), 2: many(records, () => record), 3: text('schemaUrl') }
  const inResource: Schema = {
    1: one('resource', () => RESOURCE),
    2: many(`scope${signal}`, () => inScope),
    3: text('schemaUrl'),
  }
  return { 1: many(`resource${signal}`, () => inResource) }
}
