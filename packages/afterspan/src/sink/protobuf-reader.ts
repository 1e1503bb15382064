// Protobuf's wire format by hand: a cursor over one message. Every read is checked against the end of the message it is in.
import { type Budget, integer, MalformedError, MAX_DEPTH, spend } from './span-draft.ts'

/** Stands on the value of one field; `tag` is field number * 8 + wire type, as it is in the bytes. */
export interface Cursor {
  readonly bytes: Buffer
  readonly end: number
  readonly depth: number
  readonly budget: Budget
  at: number
  tag: number
}

/** A cursor before the first field of a whole message. */
export function openMessage(bytes: Uint8Array, budget: Budget): Cursor {
  const view = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  return { bytes: view, end: view.length, depth: 0, budget, at: 0, tag: 0 }
}

/** Goes to the next field; false at the end. The value must then be read or skipped. */
export function nextField(cursor: Cursor): boolean {
  if (cursor.at >= cursor.end) return false
  const tag = Number(readVarint(cursor))
  if (tag < 8 || tag > 0xffff_ffff) throw new MalformedError(`field number out of range at byte ${cursor.at}`)
  cursor.tag = tag
  return true
}

/** Leaves out a field that nobody asked for. Groups, which OTLP does not have, are malformed. */
export function skipField(cursor: Cursor): void {
  const wire = cursor.tag % 8
  if (wire === 0) readVarint(cursor)
  else if (wire === 1) advance(cursor, 8)
  else if (wire === 2) advance(cursor, readLength(cursor))
  else if (wire === 5) advance(cursor, 4)
  else throw new MalformedError(`wire type ${wire} at byte ${cursor.at}`)
}

/** A cursor into the message that is this field's value; the outer one is already behind it. */
export function enterMessage(cursor: Cursor): Cursor {
  if (cursor.depth >= MAX_DEPTH) throw new MalformedError('nested too deeply')
  spend(cursor.budget, 'messages')
  const length = readLength(cursor)
  const at = advance(cursor, length)
  return { bytes: cursor.bytes, end: at + length, depth: cursor.depth + 1, budget: cursor.budget, at, tag: 0 }
}

/** int64, exact. */
export function readInteger(cursor: Cursor): number | bigint {
  const value = readVarint(cursor)
  return typeof value === 'number' ? value : integer(BigInt.asIntN(64, value))
}

/** uint32 and enums; what does not fit is cut to 32 bits, as protobuf does. */
export function readSmall(cursor: Cursor): number {
  const value = readVarint(cursor)
  return typeof value === 'number' && value <= 0xffff_ffff ? value : Number(BigInt.asUintN(32, BigInt(value)))
}

export function readFixed32(cursor: Cursor): number {
  return cursor.bytes.readUInt32LE(advance(cursor, 4))
}

export function readFixed64(cursor: Cursor): bigint {
  return cursor.bytes.readBigUInt64LE(advance(cursor, 8))
}

export function readDouble(cursor: Cursor): number {
  return cursor.bytes.readDoubleLE(advance(cursor, 8))
}

/** UTF-8; bytes that are not come out as U+FFFD. */
export function readString(cursor: Cursor): string {
  const length = readLength(cursor)
  const at = advance(cursor, length)
  return cursor.bytes.toString('utf8', at, at + length)
}

export function readHex(cursor: Cursor): string {
  const length = readLength(cursor)
  const at = advance(cursor, length)
  return cursor.bytes.toString('hex', at, at + length)
}

/** A copy: a view would keep the whole request in memory. */
export function readBytes(cursor: Cursor): Uint8Array {
  const length = readLength(cursor)
  const at = advance(cursor, length)
  return new Uint8Array(cursor.bytes.buffer, cursor.bytes.byteOffset + at, length).slice()
}

/** A number up to 49 bits, else a bigint of up to 64: most varints are one byte long. */
function readVarint(cursor: Cursor): number | bigint {
  let value = 0
  let weight = 1
  const start = cursor.at
  for (let n = 0; n < 7; n++) {
    const byte = byteAt(cursor)
    value += (byte & 127) * weight
    if (byte < 128) return value
    weight *= 128
  }
  let big = BigInt(value)
  for (let n = 7n; n < 10n; n++) {
    const byte = byteAt(cursor)
    big |= BigInt(byte & 127) << (n * 7n)
    if (byte < 128) return BigInt.asUintN(64, big)
  }
  throw new MalformedError(`varint longer than ten bytes at byte ${start}`)
}

function readLength(cursor: Cursor): number {
  return Number(readVarint(cursor))
}

function byteAt(cursor: Cursor): number {
  const byte = cursor.at < cursor.end ? cursor.bytes[cursor.at] : undefined
  if (byte === undefined) throw new MalformedError(`ends inside a value at byte ${cursor.at}`)
  cursor.at++
  return byte
}

/** Where the next `length` bytes begin; the cursor is behind them. */
function advance(cursor: Cursor, length: number): number {
  const at = cursor.at
  if (length > cursor.end - at) throw new MalformedError(`ends inside a value at byte ${at}`)
  cursor.at = at + length
  return at
}
