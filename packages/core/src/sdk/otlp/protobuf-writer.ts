// What a protobuf message is made of, written by hand into one growing buffer that all messages share: a message is written from
// `begin` to `written` without anything between.
import { codeAt } from '../../char-code.ts'

let buffer = Buffer.allocUnsafe(16 * 1024)
let at = 0

/** The next message begins, with so much room before it. */
export function begin(from = 0): void {
  at = from
}

export function position(): number {
  return at
}

/** What has been written between two positions. Valid until the next message. */
export function written(from = 0, to = at): Buffer {
  return buffer.subarray(from, to)
}

/** Bytes as they are. */
export function raw(bytes: Uint8Array, from = 0, to = bytes.length): void {
  room(to - from)
  if (from === 0 && to === bytes.length) buffer.set(bytes, at)
  else buffer.set(bytes.subarray(from, to), at)
  at += to - from
}

/** A fixed32 of one byte. */
export function fixed32(value: number): void {
  room(4)
  at = buffer.writeUInt32LE(value, at)
}

export function varintLength(value: number): number {
  let length = 1
  for (let rest = value; rest > 127; rest = Math.floor(rest / 128)) length++
  return length
}

function room(bytes: number): void {
  if (at + bytes <= buffer.length) return
  const bigger = Buffer.allocUnsafe(Math.max(buffer.length * 2, at + bytes))
  buffer.copy(bigger, 0, 0, at)
  buffer = bigger
}

export function byte(value: number): void {
  room(1)
  buffer[at++] = value
}

export function varint(value: number): void {
  room(10)
  while (value > 127) {
    buffer[at++] = (value % 128) | 128
    value = Math.floor(value / 128)
  }
  buffer[at++] = value
}

export function bytesHex(tag: number, hex: string, length: number): void {
  room(length + 2)
  buffer[at++] = tag
  if (hex.length !== length * 2) {
    buffer[at++] = 0 // an id that is not valid is empty: the bytes that stand there already are not ours to send
    return
  }
  buffer[at++] = length
  let wrong = 0
  for (let i = 0; i < length; i++) {
    const high = DIGITS[codeAt(hex, 2 * i)] ?? NO_DIGIT
    const low = DIGITS[codeAt(hex, 2 * i + 1)] ?? NO_DIGIT
    wrong |= high | low
    buffer[at + i] = (high << 4) | low
  }
  if (wrong >= NO_DIGIT) buffer.fill(0, at, at + length) // not hex
  at += length
}

/** An id that one span after the other has, as the spans of one request do: read once, and copied then. */
export class RepeatedId {
  #hex = ''
  readonly #bytes: Uint8Array

  constructor(length: number) {
    this.#bytes = new Uint8Array(length)
  }

  write(tag: number, hex: string): void {
    const { length } = this.#bytes
    if (hex === this.#hex) {
      room(length + 2)
      buffer[at++] = tag
      buffer[at++] = length
      for (let i = 0; i < length; i++) buffer[at++] = this.#bytes[i]!
      return
    }
    bytesHex(tag, hex, length)
    if (hex.length !== length * 2) return
    this.#hex = hex
    for (let i = 0; i < length; i++) this.#bytes[i] = buffer[at - length + i]!
  }
}

/** What a character is as a digit of a hexadecimal number. By hand, as short texts are: the call of a native function costs more. */
const NO_DIGIT = 16
const DIGITS = Uint8Array.from({ length: 128 }, (_, code) => {
  const digit = '0123456789abcdef'.indexOf(String.fromCharCode(code).toLowerCase())
  return digit < 0 ? NO_DIGIT : digit
})

/** Up to here a loop is faster than the call of a native function. */
const BY_HAND = 42

export function string(tag: number, text: string): void {
  const most = text.length * 3
  room(most + 6)
  buffer[at++] = tag
  if (text.length < 42) {
    // its length in bytes fits in one byte, so it can be written after the text
    const written = (text.length <= BY_HAND && ascii(text, at + 1)) || buffer.write(text, at + 1)
    buffer[at] = written
    at += written + 1
    return
  }
  varint(Buffer.byteLength(text))
  at += buffer.write(text, at)
}

/** How many bytes were written; 0 where the text is not ASCII, and has to be encoded. */
function ascii(text: string, start: number): number {
  const { length } = text
  for (let i = 0; i < length; i++) {
    const code = codeAt(text, i)
    if (code > 127) return 0
    buffer[start + i] = code
  }
  return length
}

/** Nanoseconds do not fit a double: seconds and the rest are written apart. */
export function fixed64Time(tag: number, ms: number): void {
  room(9)
  buffer[at++] = tag
  ms = ms > 0 ? Math.min(ms, 18_446_744_073_709) : 0 // what 64 bits of nanoseconds hold; an app may pass any time
  const seconds = Math.floor(ms / 1000)
  if (seconds !== second.is) readSecond(seconds)
  const low = second.low + Math.round((ms - seconds * 1000) * 1e6)
  const carry = low < 0x100000000 ? 0 : 1
  at = buffer.writeUInt32LE(low - carry * 0x100000000, at)
  at = buffer.writeUInt32LE(second.high + carry, at)
}

/** The second that was written last, in nanoseconds, as two halves of 32 bits: most times are of the same one. */
const second = { is: 0, low: 0, high: 0 }

function readSecond(seconds: number): void {
  const lower = (seconds % 0x10000) * 1e9
  const upper = Math.floor(seconds / 0x10000) * 1e9 // times 2^16
  const low = (lower % 0x100000000) + (upper % 0x10000) * 0x10000
  second.is = seconds
  second.low = low % 0x100000000
  second.high = Math.floor(upper / 0x10000) + Math.floor(lower / 0x100000000) + Math.floor(low / 0x100000000)
}

/** Begins a length-delimited message: one byte is kept for its length, which is known only when it is written. Returns where it begins. */
export function open(tag: number): number {
  room(2)
  buffer[at++] = tag
  return ++at
}

/** Ends it: what takes more than one byte of length is moved on. */
export function close(start: number): void {
  const length = at - start
  if (length < 128) {
    buffer[start - 1] = length
    return
  }
  const extra = varintLength(length) - 1
  room(extra)
  buffer.copyWithin(start + extra, start, at)
  at = start - 1
  varint(length)
  at += length
}

export function message(tag: number, write: () => void): void {
  const start = open(tag)
  write()
  close(start)
}

export function number(value: number): void {
  room(11)
  if (Number.isSafeInteger(value)) {
    buffer[at++] = 0x18
    if (value >= 0) varint(value)
    else {
      // two's complement in ten bytes
      let rest = BigInt.asUintN(64, BigInt(value))
      while (rest > 127n) {
        buffer[at++] = Number(rest & 127n) | 128
        rest >>= 7n
      }
      buffer[at++] = Number(rest)
    }
    return
  }
  buffer[at++] = 0x21
  at = buffer.writeDoubleLE(value, at)
}
