// An ExportTraceServiceRequest in OTLP/JSON: protobuf's JSON mapping, but ids in hex. 64-bit integers may be strings or numbers.
import {
  finished,
  integer,
  kindName,
  MalformedError,
  MAX_DEPTH,
  millis,
  newBudget,
  newDraft,
  spend,
  statusName,
  type Budget,
  type SpanDraft,
} from './span-draft.ts'
import type { SpanValue, SpanValues, StoredEvent, StoredLink, StoredScope, StoredSpan } from './stored-span.ts'

export type Json = Readonly<Record<string, unknown>>

const KIND_NAMES = ['UNSPECIFIED', 'INTERNAL', 'SERVER', 'CLIENT', 'PRODUCER', 'CONSUMER'].map(
  (name) => `SPAN_KIND_${name}`,
)
const STATUS_NAMES = ['UNSET', 'OK', 'ERROR'].map((name) => `STATUS_CODE_${name}`)

/** All spans of the request. Throws MalformedError, or SyntaxError for what is no JSON at all. */
export function readJsonRequest(body: Uint8Array): StoredSpan[] {
  const budget = newBudget()
  const spans: StoredSpan[] = []
  const request = object(JSON.parse(Buffer.from(body.buffer, body.byteOffset, body.byteLength).toString('utf8')))
  for (const group of list(request['resourceSpans'])) {
    const resource = keyValues(object(group['resource'])['attributes'], budget, 0)
    for (const inScope of list(group['scopeSpans'])) {
      const scope = readScope(object(inScope['scope']))
      for (const span of list(inScope['spans'])) {
        spend(budget, 'spans')
        spans.push(readSpan(span, newDraft({ resource, scope }), budget))
      }
    }
  }
  return spans
}

function readScope(json: Json): StoredScope {
  const version = text(json['version'])
  return { name: text(json['name']), ...(version ? { version } : {}) }
}

function readSpan(json: Json, span: SpanDraft, budget: Budget): StoredSpan {
  span.traceId = id(json['traceId'])
  span.spanId = id(json['spanId'])
  span.name = text(json['name'])
  span.kind = kindName(enumeration(json['kind'], KIND_NAMES))
  span.startMs = time(json['startTimeUnixNano'])
  span.endMs = time(json['endTimeUnixNano'])
  span.attributes = keyValues(json['attributes'], budget, 0)
  span.events = list(json['events']).map((event) => readEvent(event, budget))
  span.links = list(json['links']).map((link) => readLink(link, budget))
  span.status = readStatus(object(json['status']))
  span.flags = count(json['flags'])
  const parentSpanId = id(json['parentSpanId'])
  const traceState = text(json['traceState'])
  const droppedAttributes = count(json['droppedAttributesCount'])
  const droppedEvents = count(json['droppedEventsCount'])
  const droppedLinks = count(json['droppedLinksCount'])
  if (parentSpanId) span.parentSpanId = parentSpanId
  if (traceState) span.traceState = traceState
  if (droppedAttributes > 0) span.droppedAttributes = droppedAttributes
  if (droppedEvents > 0) span.droppedEvents = droppedEvents
  if (droppedLinks > 0) span.droppedLinks = droppedLinks
  return finished(span)
}

function readEvent(json: Json, budget: Budget): StoredEvent {
  spend(budget, 'messages')
  return {
    name: text(json['name']),
    atMs: time(json['timeUnixNano']),
    attributes: keyValues(json['attributes'], budget, 0),
  }
}

function readLink(json: Json, budget: Budget): StoredLink {
  spend(budget, 'messages')
  const traceState = text(json['traceState'])
  return {
    traceId: id(json['traceId']),
    spanId: id(json['spanId']),
    ...(traceState ? { traceState } : {}),
    attributes: keyValues(json['attributes'], budget, 0),
  }
}

function readStatus(json: Json): StoredSpan['status'] {
  const message = text(json['message'])
  return { code: statusName(enumeration(json['code'], STATUS_NAMES)), ...(message ? { message } : {}) }
}

export function keyValues(json: unknown, budget: Budget, depth: number): SpanValues {
  return Object.fromEntries(
    list(json).map((entry) => [text(entry['key']), anyValue(object(entry['value']), budget, depth + 1)]),
  )
}

export function anyValue(json: Json, budget: Budget, depth: number): SpanValue {
  if (depth > MAX_DEPTH) throw new MalformedError('nested too deeply')
  spend(budget, 'messages')
  const { stringValue, boolValue, intValue, doubleValue, arrayValue, kvlistValue, bytesValue } = json
  if (isThere(stringValue)) return text(stringValue)
  if (isThere(boolValue)) return boolValue === true
  if (isThere(intValue)) return int64(intValue)
  if (isThere(doubleValue)) return double(doubleValue)
  if (isThere(arrayValue)) return list(object(arrayValue)['values']).map((item) => anyValue(item, budget, depth + 1))
  if (isThere(kvlistValue)) return keyValues(object(kvlistValue)['values'], budget, depth)
  if (isThere(bytesValue)) return new Uint8Array(Buffer.from(text(bytesValue), 'base64'))
  return null
}

function isThere(value: unknown): boolean {
  return value !== undefined && value !== null
}

/** null and absent are the default, everywhere in protobuf's JSON. */
export function object(value: unknown): Json {
  if (value === undefined || value === null) return {}
  if (typeof value !== 'object' || Array.isArray(value)) throw wrong('an object', value)
  return value as Json
}

export function list(value: unknown): Json[] {
  if (value === undefined || value === null) return []
  if (!Array.isArray(value)) throw wrong('an array', value)
  return value.map(object)
}

export function text(value: unknown): string {
  if (value === undefined || value === null) return ''
  if (typeof value !== 'string') throw wrong('a string', value)
  return value
}

export function id(value: unknown): string {
  return text(value).toLowerCase()
}

function count(value: unknown): number {
  return Number(int64(value ?? 0)) >>> 0
}

function int64(value: unknown): number | bigint {
  if (typeof value === 'number' && Number.isFinite(value)) return value
  if (typeof value === 'string' && /^-?\d{1,20}$/.test(value)) return integer(BigInt.asIntN(64, BigInt(value)))
  throw wrong('an integer', value)
}

function double(value: unknown): number {
  if (typeof value === 'number') return value
  if (typeof value === 'string' && value !== '' && !Number.isNaN(Number(value))) return Number(value)
  if (value === 'NaN') return Number.NaN
  throw wrong('a number', value)
}

export function time(value: unknown): number {
  if (value === undefined || value === null) return 0
  if (typeof value === 'string' && /^\d{1,20}$/.test(value)) return millis(BigInt(value))
  if (typeof value === 'number' && value >= 0 && Number.isFinite(value)) return value / 1e6
  throw wrong('nanoseconds', value)
}

/** OTLP wants the number; protobuf's own JSON writes the name. */
function enumeration(value: unknown, names: readonly string[]): number {
  return typeof value === 'string' && names.includes(value) ? names.indexOf(value) : count(value)
}

function wrong(expected: string, value: unknown): MalformedError {
  const found = Array.isArray(value) ? 'an array' : typeof value
  return new MalformedError(`expected ${expected}, found ${found}`)
}
