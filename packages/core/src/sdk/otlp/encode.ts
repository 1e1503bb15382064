// OTLP protobuf by hand. Encoding a span when it ends, into one growing buffer, costs about a seventh of building the object
// tree of the official serializer for a whole batch, and the span need not be kept alive until then.
// Field numbers: opentelemetry-proto v1.7, trace.proto, common.proto, resource.proto.
import type { Attributes, AttributeValue } from '@opentelemetry/api'
import { hasNamesOfAll } from '../object-prototype.ts'
import type { SpanData, SpanScope } from '../span-data.ts'
import {
  begin,
  byte,
  bytesHex,
  close,
  fixed32,
  fixed64Time,
  message,
  number,
  open,
  position,
  raw,
  RepeatedId,
  string,
  varint,
  varintLength,
  written,
} from './protobuf-writer.ts'

const lastTrace = new RepeatedId(16)
const lastParent = new RepeatedId(8)

/** One Span message. The result is a copy: it stays valid. */
export function encodeSpan(span: SpanData): Uint8Array {
  begin()
  writeSpan(span)
  return Uint8Array.from(written())
}

/** The same as a field of ScopeSpans, its tag and length before it. Valid until the next call: to be copied where it belongs. */
export function encodeSpanField(span: SpanData): Uint8Array {
  begin(LONGEST_HEAD)
  writeSpan(span)
  const end = position()
  const length = end - LONGEST_HEAD
  const start = LONGEST_HEAD - varintLength(length) - 1
  begin(start)
  byte(SPANS_FIELD)
  varint(length)
  return written(start, end)
}

/** A tag and a length, which is known last: with room before it nothing has to be moved. */
const LONGEST_HEAD = 6

/** A finished Span message as such a field. */
export function spanField(span: Uint8Array): Uint8Array {
  return Buffer.concat([header(SPANS_FIELD, span.length), span])
}

const SPANS_FIELD = 0x12

function writeSpan(span: SpanData): void {
  lastTrace.write(0x0a, span.traceId)
  bytesHex(0x12, span.spanId, 8)
  if (span.traceState) string(0x1a, span.traceState)
  if (span.parentSpanId) lastParent.write(0x22, span.parentSpanId)
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
  if (span.events)
    for (const event of span.events)
      message(0x5a, () => {
        fixed64Time(0x09, event.atMs)
        string(0x12, event.name)
        if (event.attributes) attributes(0x1a, event.attributes)
      })
  if (span.droppedEvents) {
    byte(0x60)
    varint(span.droppedEvents)
  }
  if (span.links)
    for (const link of span.links)
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
  byte(0x85)
  byte(0x01) // field 16, fixed32
  fixed32((span.flags ?? 1) & 0xff)
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
  begin()
  byte(0x0a)
  varint(total)
  raw(head)
  for (const chunk of chunks) {
    if (chunk.length === chunk.written) continue
    byte(SPANS_FIELD)
    varint(newsLength(chunk))
    raw(scopeField(chunk.scope))
    raw(chunk.bytes, chunk.written, chunk.length)
  }
  return written()
}

/** Of the ScopeSpans. */
function newsLength({ scope, written, length }: SpanChunk): number {
  return scopeField(scope).length + length - written
}

/** Both are the same objects from export to export. */
const resourceFields = new WeakMap<Attributes, Buffer>()
const scopeFields = new WeakMap<SpanScope, Buffer>()

function resourceField(resource: Attributes): Buffer {
  let known = resourceFields.get(resource)
  if (known) return known
  begin()
  attributes(0x0a, resource)
  known = piece(0x0a)
  resourceFields.set(resource, known)
  return known
}

function scopeField(scope: SpanScope): Buffer {
  let known = scopeFields.get(scope)
  if (known) return known
  begin()
  message(0x0a, () => {
    string(0x0a, scope.name)
    if (scope.version) string(0x12, scope.version)
  })
  if (scope.schemaUrl) string(0x1a, scope.schemaUrl)
  known = Buffer.from(written())
  scopeFields.set(scope, known)
  return known
}

/** What has been written, as a field. */
function piece(tag: number): Buffer {
  const bytes = Buffer.from(written())
  return Buffer.concat([header(tag, bytes.length), bytes])
}

function lengthOf(parts: readonly Uint8Array[]): number {
  return parts.reduce((sum, part) => sum + part.length, 0)
}

function header(tag: number, length: number): Buffer {
  begin()
  byte(tag)
  varint(length)
  return Buffer.from(written())
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
    byte(0x3a)
    varint(value.length)
    raw(value)
  } else if (typeof value === 'object' && value !== null)
    message(0x32, () => {
      for (const [key, of] of Object.entries(value))
        message(0x0a, () => {
          string(0x0a, key)
          message(0x12, () => anyValue(of, depth + 1))
        })
    })
}
