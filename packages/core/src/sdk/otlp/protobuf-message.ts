// Protobuf for what is sent now and then: a message is a list of pieces. Spans, of which there are many, have an encoder of their own.
import type { AttributeValue } from '@opentelemetry/api'

const DOUBLE = 8

export class ProtobufMessage {
  readonly #pieces: Uint8Array[] = []

  bytes(field: number, value: Uint8Array): this {
    this.#pieces.push(varintOf(BigInt((field << 3) | 2)), varintOf(BigInt(value.length)), value)
    return this
  }
  hex(field: number, value: string): this {
    return this.bytes(field, Buffer.from(value, 'hex'))
  }
  /** Nothing where it is empty, as protobuf has its defaults. */
  text(field: number, value: string | undefined): this {
    return value ? this.bytes(field, Buffer.from(value)) : this
  }
  message(field: number, fill: (message: ProtobufMessage) => void): this {
    const message = new ProtobufMessage()
    fill(message)
    return this.bytes(field, message.encoded())
  }
  /** Whole numbers of any sign, enums and booleans. */
  varint(field: number, value: number | bigint): this {
    this.#pieces.push(varintOf(BigInt(field << 3)), varintOf(BigInt.asUintN(64, BigInt(value))))
    return this
  }
  /** `sint32`: small where the number is, whatever its sign. */
  signed(field: number, value: number): this {
    return this.varint(field, value < 0 ? -2 * value - 1 : 2 * value)
  }
  fixed32(field: number, value: number): this {
    const piece = Buffer.allocUnsafe(4)
    piece.writeUInt32LE(value >>> 0)
    this.#pieces.push(varintOf(BigInt((field << 3) | 5)), piece)
    return this
  }
  fixed64(field: number, value: bigint): this {
    this.#pieces.push(varintOf(BigInt((field << 3) | 1)), fixed64Of(value))
    return this
  }
  double(field: number, value: number): this {
    this.#pieces.push(varintOf(BigInt((field << 3) | 1)), doublesOf([value]))
    return this
  }
  doubles(field: number, values: readonly number[]): this {
    return this.bytes(field, doublesOf(values))
  }
  fixed64s(field: number, values: readonly number[]): this {
    return this.bytes(field, Buffer.concat(values.map((value) => fixed64Of(BigInt(value)))))
  }
  varints(field: number, values: readonly number[]): this {
    return this.bytes(field, Buffer.concat(values.map((value) => varintOf(BigInt(value)))))
  }
  /** KeyValue fields. What has no value is left out. */
  attributes(field: number, attributes: Readonly<Record<string, unknown>>): this {
    for (const [key, value] of Object.entries(attributes))
      if (value !== undefined && value !== null)
        this.message(field, (pair) => pair.bytes(1, Buffer.from(key)).message(2, (any) => anyValue(any, value)))
    return this
  }
  encoded(): Buffer {
    return Buffer.concat(this.#pieces)
  }
}

const MOST_DEPTH = 16

/** AnyValue. What OTLP has no kind for is told as its text; a throw of the app's own getters is the caller's to catch. */
export function anyValue(message: ProtobufMessage, value: unknown, depth = 0): void {
  if (value === undefined || value === null || depth > MOST_DEPTH) return
  if (typeof value === 'string') message.bytes(1, Buffer.from(value))
  else if (typeof value === 'boolean') message.varint(2, value ? 1 : 0)
  else if (typeof value === 'number') {
    if (Number.isSafeInteger(value)) message.varint(3, value)
    else message.double(4, value)
  } else if (value instanceof Uint8Array) message.bytes(7, value)
  else if (Array.isArray(value)) message.message(5, (list) => listOf(list, value as AttributeValue[], depth))
  else if (typeof value === 'object' && !(value instanceof Date))
    message.message(6, (map) => {
      for (const [key, inner] of Object.entries(value).filter(([, one]) => one !== undefined))
        map.message(1, (pair) =>
          pair.bytes(1, Buffer.from(key)).message(2, (any) => {
            anyValue(any, inner, depth + 1)
          }),
        )
    })
  else message.bytes(1, Buffer.from(textOf(value as Date | bigint | symbol)))
}

function textOf(value: Date | bigint | symbol): string {
  return value instanceof Date && !Number.isNaN(value.getTime()) ? value.toISOString() : String(value)
}

function listOf(list: ProtobufMessage, values: readonly unknown[], depth: number): void {
  for (const value of values)
    list.message(1, (any) => {
      anyValue(any, value, depth + 1)
    })
}

function varintOf(value: bigint): Buffer {
  const bytes: number[] = []
  let rest = value
  while (rest > 0x7fn) {
    bytes.push(Number(rest & 0x7fn) | 0x80)
    rest >>= 7n
  }
  bytes.push(Number(rest))
  return Buffer.from(bytes)
}

function fixed64Of(value: bigint): Buffer {
  const piece = Buffer.allocUnsafe(8)
  piece.writeBigUInt64LE(BigInt.asUintN(64, value))
  return piece
}

function doublesOf(values: readonly number[]): Buffer {
  const piece = Buffer.allocUnsafe(DOUBLE * values.length)
  values.forEach((value, i) => piece.writeDoubleLE(value, DOUBLE * i))
  return piece
}
