// OTLP protobuf by hand. Encoding a span when it ends, into one growing buffer, costs about a seventh of building the object
// tree of the official serializer for a whole batch, and the span need not be kept alive until then.
// Field numbers: opentelemetry-proto v1.7, trace.proto, common.proto, resource.proto.
import type { Attributes, AttributeValue } from '@opentelemetry/api'
import { hasNamesOfAll } from '../object-prototype.ts'
import type { SpanData, SpanScope } from '../span-data.ts'

let buffer = Buffer.allocUnsafe(16 * 1024)
let at = 0

/** One Span message. The result is a copy: it stays valid. */
export function encodeSpan(span: SpanData): Uint8Array {
  at = 0
  writeSpan(span)
  return Uint8Array.prototype.slice.call(buffer, 0, at)
}

/** The same as a field of ScopeSpans, its tag and length before it. Valid until the next call: to be copied where it belongs. */
export function encodeSpanField(span: SpanData): Uint8Array {
  at = 0
  const start = open(SPANS_FIELD)
  writeSpan(span)
  close(start)
  return buffer.subarray(0, at)
}

/** A finished Span message as such a field. */
export function spanField(span: Uint8Array): Uint8Array {
  at = 0
  return Buffer.concat([header(SPANS_FIELD, span.length), span])
}

const SPANS_FIELD = 0x12

function writeSpan(span: SpanData): void {
  bytesHex(0x0a, span.traceId, 16)
  bytesHex(0x12, span.spanId, 8)
  if (span.traceState) string(0x1a, span.traceState)
  if (span.parentSpanId) bytesHex(0x22, span.parentSpanId, 8)
  string(0x2a, String(span.name))
  byte(0x30)
  varint(span.kind)
  fixed64Time(0x39, span.startMs)
  fixed64Time(0x41, span.endMs)
  attributes(0x4a, span.attributes)
  if (span.droppedAttributes) {
    byte(0x50)
    varint(span.droppedAttributes)
  }
  for (const event of span.events ?? [])
    message(0x5a, () => {
      fixed64Time(0x09, event.atMs)
      string(0x12, event.name)
      if (event.attributes) attributes(0x1a, event.attributes)
    })
  if (span.droppedEvents) {
    byte(0x60)
    varint(span.droppedEvents)
  }
  for (const link of span.links ?? [])
    message(0x6a, () => {
      bytesHex(0x0a, link.traceId, 16)
      bytesHex(0x12, link.spanId, 8)
      if (link.traceState) string(0x1a, link.traceState)
      if (link.attributes) attributes(0x22, link.attributes)
    })
  if (span.droppedLinks) {
    byte(0x70)
    varint(span.droppedLinks)
  }
  if (span.status && span.status.code !== 0) {
    const { code, message: text } = span.status
    message(0x7a, () => {
      if (text) string(0x12, text)
      byte(0x18)
      varint(code)
    })
  }
  room(6)
  buffer[at++] = 0x85
  buffer[at++] = 0x01 // field 16, fixed32
  buffer.writeUInt32LE((span.flags ?? 1) & 0xff, at)
  at += 4
}

/** One ExportTraceServiceRequest: a resource, and encoded spans by scope. */
export function encodeTraceRequest(
  resource: Attributes,
  groups: readonly { readonly scope: SpanScope; readonly spans: readonly Uint8Array[] }[],
): Buffer {
  const fields = groups.map(({ scope, spans }) => ({ scope, fields: spans.map(spanField) }))
  return Buffer.concat(encodeFields(resource, fields))
}

/** The same of fields that are ready, any number of them in one piece; as pieces, so that they need not be copied again. */
export function encodeFields(
  resource: Attributes,
  groups: readonly { readonly scope: SpanScope; readonly fields: readonly Uint8Array[] }[],
): Uint8Array[] {
  const body: Uint8Array[] = [resourceField(resource)]
  for (const { scope, fields } of groups) {
    const head = scopeField(scope)
    body.push(header(SPANS_FIELD, lengthOf([head, ...fields])), head, ...fields)
  }
  return [header(0x0a, lengthOf(body)), ...body]
}

/** Encoded spans of one scope, as fields in one piece of memory; those up to `written` are somewhere else already. */
export interface SpanChunk {
  readonly scope: SpanScope
  readonly bytes: Buffer
  readonly written: number
  readonly length: number
}

/** The same of what is new in them, in one piece and without waste: this is done for every request. Valid until the next call of anything here. */
export function encodeNews(resource: Attributes, chunks: readonly SpanChunk[]): Buffer {
  const head = resourceField(resource)
  let total = head.length
  for (const chunk of chunks) {
    if (chunk.length === chunk.written) continue
    const length = newsLength(chunk)
    total += 1 + varintLength(length) + length
  }
  at = 0
  room(total + 6)
  buffer[at++] = 0x0a
  varint(total)
  copy(head)
  for (const chunk of chunks) {
    if (chunk.length === chunk.written) continue
    buffer[at++] = SPANS_FIELD
    varint(newsLength(chunk))
    copy(scopeField(chunk.scope))
    at += chunk.bytes.copy(buffer, at, chunk.written, chunk.length)
  }
  return buffer.subarray(0, at)
}

/** Of the ScopeSpans. */
function newsLength({ scope, written, length }: SpanChunk): number {
  return scopeField(scope).length + length - written
}

function copy(bytes: Uint8Array): void {
  buffer.set(bytes, at)
  at += bytes.length
}

function varintLength(value: number): number {
  let length = 1
  for (let rest = value; rest > 127; rest = Math.floor(rest / 128)) length++
  return length
}

/** Both are the same objects from export to export. */
const resourceFields = new WeakMap<Attributes, Buffer>()
const scopeFields = new WeakMap<SpanScope, Buffer>()

function resourceField(resource: Attributes): Buffer {
  let known = resourceFields.get(resource)
  if (known) return known
  at = 0
  attributes(0x0a, resource)
  known = piece(0x0a)
  resourceFields.set(resource, known)
  return known
}

function scopeField(scope: SpanScope): Buffer {
  let known = scopeFields.get(scope)
  if (known) return known
  at = 0
  message(0x0a, () => {
    string(0x0a, scope.name)
    if (scope.version) string(0x12, scope.version)
  })
  if (scope.schemaUrl) string(0x1a, scope.schemaUrl)
  known = Buffer.from(buffer.subarray(0, at))
  scopeFields.set(scope, known)
  at = 0
  return known
}

/** What has been written, as a field. */
function piece(tag: number): Buffer {
  const bytes = Buffer.from(buffer.subarray(0, at))
  return Buffer.concat([header(tag, bytes.length), bytes])
}

function lengthOf(parts: readonly Uint8Array[]): number {
  return parts.reduce((sum, part) => sum + part.length, 0)
}

function header(tag: number, length: number): Buffer {
  const start = at
  room(6)
  buffer[at++] = tag
  varint(length)
  const copy = Buffer.from(buffer.subarray(start, at))
  at = start
  return copy
}

function room(bytes: number): void {
  if (at + bytes <= buffer.length) return
  const bigger = Buffer.allocUnsafe(Math.max(buffer.length * 2, at + bytes))
  buffer.copy(bigger, 0, 0, at)
  buffer = bigger
}

function byte(value: number): void {
  room(1)
  buffer[at++] = value
}

function varint(value: number): void {
  room(10)
  while (value > 127) {
    buffer[at++] = (value % 128) | 128
    value = Math.floor(value / 128)
  }
  buffer[at++] = value
}

function bytesHex(tag: number, hex: string, length: number): void {
  room(length + 2)
  buffer[at++] = tag
  if (hex.length !== length * 2) {
    buffer[at++] = 0 // an id that is not valid is empty: the bytes that stand there already are not ours to send
    return
  }
  buffer[at++] = length
  let wrong = 0
  for (let i = 0; i < length; i++) {
    const high = DIGITS[hex.charCodeAt(2 * i)] ?? NO_DIGIT
    const low = DIGITS[hex.charCodeAt(2 * i + 1)] ?? NO_DIGIT
    wrong |= high | low
    buffer[at + i] = (high << 4) | low
  }
  if (wrong >= NO_DIGIT) buffer.fill(0, at, at + length) // not hex
  at += length
}

/** What a character is as a digit of a hexadecimal number. By hand, as short texts are: the call of a native function costs more. */
const NO_DIGIT = 16
const DIGITS = Uint8Array.from({ length: 128 }, (_, code) => {
  const digit = '0123456789abcdef'.indexOf(String.fromCharCode(code).toLowerCase())
  return digit < 0 ? NO_DIGIT : digit
})

function string(tag: number, text: string): void {
  const most = text.length * 3
  room(most + 6)
  buffer[at++] = tag
  if (text.length < 42) {
    // its length in bytes fits in one byte, so it can be written after the text
    const written = ascii(text, at + 1) || buffer.write(text, at + 1)
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
    const code = text.charCodeAt(i)
    if (code > 127) return 0
    buffer[start + i] = code
  }
  return length
}

/** Nanoseconds do not fit a double: seconds and the rest are written apart. */
function fixed64Time(tag: number, ms: number): void {
  room(9)
  buffer[at++] = tag
  ms = ms > 0 ? Math.min(ms, 18_446_744_073_709) : 0 // what 64 bits of nanoseconds hold; an app may pass any time
  const seconds = Math.floor(ms / 1000)
  const nanos = Math.round((ms - seconds * 1000) * 1e6)
  // seconds * 1e9 + nanos, in two halves of 32 bits
  const lowSeconds = seconds % 0x10000
  const highSeconds = Math.floor(seconds / 0x10000)
  const lower = lowSeconds * 1e9 + nanos
  const upper = highSeconds * 1e9 // times 2^16
  const low = (lower % 0x100000000) + (upper % 0x10000) * 0x10000
  buffer.writeUInt32LE(low % 0x100000000, at)
  buffer.writeUInt32LE(
    Math.floor(upper / 0x10000) + Math.floor(lower / 0x100000000) + Math.floor(low / 0x100000000),
    at + 4,
  )
  at += 8
}

/** Begins a length-delimited message: one byte is kept for its length, which is known only when it is written. Returns where it begins. */
function open(tag: number): number {
  room(2)
  buffer[at++] = tag
  return ++at
}

/** Ends it: what takes more than one byte of length is moved on. */
function close(start: number): void {
  const length = at - start
  if (length < 128) {
    buffer[start - 1] = length
    return
  }
  let extra = 0
  for (let rest = length; rest > 127; rest = Math.floor(rest / 128)) extra++
  room(extra)
  buffer.copyWithin(start + extra, start, at)
  at = start - 1
  varint(length)
  at += length
}

function message(tag: number, write: () => void): void {
  const start = open(tag)
  write()
  close(start)
}

function attributes(tag: number, values: Attributes): void {
  const isPolluted = hasNamesOfAll()
  for (const key in values) {
    if (isPolluted && !Object.hasOwn(values, key)) continue
    const value = values[key]
    if (value !== undefined) attribute(tag, key, value)
  }
}

/** A KeyValue. By hand and not by `message`: there are a dozen in every span, and a closure for each is felt. */
function attribute(tag: number, key: string, value: AttributeValue): void {
  const start = open(tag)
  string(0x0a, key)
  const valueStart = open(0x12)
  anyValue(value, 0)
  close(valueStart)
  close(start)
}

const MAX_DEPTH = 32

/** null, what OTLP has no type for and what is nested too deeply are an empty value. */
function anyValue(value: AttributeValue, depth: number): void {
  if (typeof value === 'string') string(0x0a, value)
  else if (typeof value === 'number') number(value)
  else if (typeof value === 'boolean') {
    byte(0x10)
    byte(value ? 1 : 0)
  } else if (depth >= MAX_DEPTH) return
  else if (Array.isArray(value))
    message(0x2a, () => {
      for (const item of value) message(0x0a, () => anyValue(item, depth + 1))
    })
  else if (value instanceof Uint8Array) {
    room(value.length + 6)
    buffer[at++] = 0x3a
    varint(value.length)
    room(value.length)
    buffer.set(value, at)
    at += value.length
  } else if (typeof value === 'object' && value !== null)
    message(0x32, () => {
      for (const [key, of] of Object.entries(value))
        message(0x0a, () => {
          string(0x0a, key)
          message(0x12, () => anyValue(of, depth + 1))
        })
    })
}

function number(value: number): void {
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
