// An ExportTraceServiceRequest in protobuf. Tags are field number * 8 + wire type of opentelemetry-proto's trace.proto,
// common.proto and resource.proto; a known field with another wire type is skipped like an unknown one, as protobuf asks.
import {
  enterMessage,
  nextField,
  openMessage,
  readBytes,
  readDouble,
  readFixed32,
  readFixed64,
  readHex,
  readInteger,
  readSmall,
  readString,
  skipField,
  type Cursor,
} from './protobuf-reader.ts'
import { finished, kindName, millis, newBudget, newDraft, spend, statusName, type SpanDraft } from './span-draft.ts'
import type { SpanValue, SpanValues, StoredEvent, StoredLink, StoredScope, StoredSpan } from './stored-span.ts'

/** All spans of the request. Throws MalformedError. */
export function readProtobufRequest(body: Uint8Array): StoredSpan[] {
  const spans: StoredSpan[] = []
  each(openMessage(body, newBudget()), (request) => {
    if (request.tag === 0x0a) resourceSpans(enterMessage(request), spans)
    else skipField(request)
  })
  return spans
}

export function each(cursor: Cursor, read: (cursor: Cursor) => void): void {
  while (nextField(cursor)) read(cursor)
}

function resourceSpans(cursor: Cursor, spans: StoredSpan[]): void {
  let resource: SpanValues = {}
  const scopes: Cursor[] = [] // read afterwards: the order of fields is free
  each(cursor, (c) => {
    if (c.tag === 0x0a) resource = keyValuesOf(enterMessage(c), 0x0a)
    else if (c.tag === 0x12) scopes.push(enterMessage(c))
    else skipField(c)
  })
  for (const scope of scopes) scopeSpans(scope, resource, spans)
}

function scopeSpans(cursor: Cursor, resource: SpanValues, spans: StoredSpan[]): void {
  let scope: StoredScope = { name: '' }
  const messages: Cursor[] = []
  each(cursor, (c) => {
    if (c.tag === 0x0a) scope = readScope(enterMessage(c))
    else if (c.tag === 0x12) {
      spend(c.budget, 'spans')
      messages.push(enterMessage(c))
    } else skipField(c)
  })
  for (const message of messages) spans.push(readSpan(message, newDraft({ resource, scope })))
}

function readScope(cursor: Cursor): StoredScope {
  const scope: { name: string; version?: string } = { name: '' }
  each(cursor, (c) => {
    if (c.tag === 0x0a) scope.name = readString(c)
    else if (c.tag === 0x12) scope.version = readString(c)
    else skipField(c)
  })
  return scope
}

function readSpan(cursor: Cursor, span: SpanDraft): StoredSpan {
  const attributes: [string, SpanValue][] = []
  const events: StoredEvent[] = []
  const links: StoredLink[] = []
  each(cursor, (c) => {
    if (c.tag === 0x4a) attributes.push(keyValue(enterMessage(c)))
    else if (c.tag === 0x5a) events.push(readEvent(enterMessage(c)))
    else if (c.tag === 0x6a) links.push(readLink(enterMessage(c)))
    else if (!readSpanField(c, span)) skipField(c)
  })
  span.attributes = Object.fromEntries(attributes)
  span.events = events
  span.links = links
  return finished(span)
}

/** The fields that occur once; false where it is none of them. */
function readSpanField(c: Cursor, span: SpanDraft): boolean {
  if (c.tag === 0x0a) span.traceId = readHex(c)
  else if (c.tag === 0x12) span.spanId = readHex(c)
  else if (c.tag === 0x1a) span.traceState = readString(c)
  else if (c.tag === 0x22) span.parentSpanId = readHex(c)
  else if (c.tag === 0x2a) span.name = readString(c)
  else if (c.tag === 0x30) span.kind = kindName(readSmall(c))
  else if (c.tag === 0x39) span.startMs = millis(readFixed64(c))
  else if (c.tag === 0x41) span.endMs = millis(readFixed64(c))
  else if (c.tag === 0x50) dropped(span, 'droppedAttributes', readSmall(c))
  else if (c.tag === 0x60) dropped(span, 'droppedEvents', readSmall(c))
  else if (c.tag === 0x70) dropped(span, 'droppedLinks', readSmall(c))
  else if (c.tag === 0x7a) span.status = readStatus(enterMessage(c))
  else if (c.tag === 0x85) span.flags = readFixed32(c)
  else return false
  return true
}

function dropped(span: SpanDraft, what: 'droppedAttributes' | 'droppedEvents' | 'droppedLinks', count: number): void {
  if (count > 0) span[what] = count
}

function readEvent(cursor: Cursor): StoredEvent {
  const attributes: [string, SpanValue][] = []
  let name = ''
  let atMs = 0
  each(cursor, (c) => {
    if (c.tag === 0x09) atMs = millis(readFixed64(c))
    else if (c.tag === 0x12) name = readString(c)
    else if (c.tag === 0x1a) attributes.push(keyValue(enterMessage(c)))
    else skipField(c)
  })
  return { name, atMs, attributes: Object.fromEntries(attributes) }
}

function readLink(cursor: Cursor): StoredLink {
  const attributes: [string, SpanValue][] = []
  const link = { traceId: '', spanId: '' }
  let traceState = ''
  each(cursor, (c) => {
    if (c.tag === 0x0a) link.traceId = readHex(c)
    else if (c.tag === 0x12) link.spanId = readHex(c)
    else if (c.tag === 0x1a) traceState = readString(c)
    else if (c.tag === 0x22) attributes.push(keyValue(enterMessage(c)))
    else skipField(c)
  })
  return { ...link, ...(traceState ? { traceState } : {}), attributes: Object.fromEntries(attributes) }
}

function readStatus(cursor: Cursor): StoredSpan['status'] {
  let code = 0
  let message = ''
  each(cursor, (c) => {
    if (c.tag === 0x12) message = readString(c)
    else if (c.tag === 0x18) code = readSmall(c)
    else skipField(c)
  })
  return { code: statusName(code), ...(message ? { message } : {}) }
}

/** A message that is a list of KeyValue under one tag: Resource and KeyValueList. */
export function keyValuesOf(cursor: Cursor, tag: number): SpanValues {
  const entries: [string, SpanValue][] = []
  each(cursor, (c) => {
    if (c.tag === tag) entries.push(keyValue(enterMessage(c)))
    else skipField(c)
  })
  return Object.fromEntries(entries) // own properties, whatever the keys are: '__proto__' too
}

function keyValue(cursor: Cursor): [string, SpanValue] {
  let key = ''
  let value: SpanValue = null
  each(cursor, (c) => {
    if (c.tag === 0x0a) key = readString(c)
    else if (c.tag === 0x12) value = anyValue(enterMessage(c))
    else skipField(c)
  })
  return [key, value]
}

export function anyValue(cursor: Cursor): SpanValue {
  let value: SpanValue = null
  each(cursor, (c) => {
    if (c.tag === 0x0a) value = readString(c)
    else if (c.tag === 0x10) value = readSmall(c) !== 0
    else if (c.tag === 0x18) value = readInteger(c)
    else if (c.tag === 0x21) value = readDouble(c)
    else if (c.tag === 0x2a) value = arrayValue(enterMessage(c))
    else if (c.tag === 0x32) value = keyValuesOf(enterMessage(c), 0x0a)
    else if (c.tag === 0x3a) value = readBytes(c)
    else skipField(c)
  })
  return value
}

function arrayValue(cursor: Cursor): SpanValue[] {
  const values: SpanValue[] = []
  each(cursor, (c) => {
    if (c.tag === 0x0a) values.push(anyValue(enterMessage(c)))
    else skipField(c)
  })
  return values
}
