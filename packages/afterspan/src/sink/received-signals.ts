// Logs and metrics, as far as somebody at a terminal wants to see them: records as lines, metrics by their names.
import { anyValue as jsonValue, id, keyValues, list, object, text, time, type Json } from './otlp-json.ts'
import { anyValue, each, keyValuesOf } from './otlp-protobuf.ts'
import {
  enterMessage,
  openMessage,
  readFixed64,
  readHex,
  readSmall,
  readString,
  skipField,
  type Cursor,
} from './protobuf-reader.ts'
import { millis, newBudget, spend, type Budget } from './span-draft.ts'
import type { SpanValue, SpanValues } from './stored-span.ts'

export interface ReceivedLog {
  /** `service.name`; '' where the resource has none. */
  readonly service: string
  /** When it was written, or where that is not said when it was seen; milliseconds of the epoch. */
  readonly atMs: number
  /** As its logger calls it, else the number of OpenTelemetry's severity; '' for neither. */
  readonly severity: string
  readonly text: string
  /** Hex; '' outside of any trace. */
  readonly traceId: string
}
export interface ReceivedMetrics {
  readonly service: string
  readonly names: readonly string[]
}
type Format = 'protobuf' | 'json'
type LogDraft = { -readonly [K in keyof ReceivedLog]: ReceivedLog[K] }

/** The records of an ExportLogsServiceRequest. Throws what is wrong with it. */
export function readLogs(body: Uint8Array, format: Format): ReceivedLog[] {
  const logs: ReceivedLog[] = []
  if (format === 'protobuf')
    eachOfProtobuf(body, (record, service) => {
      logs.push(logOfProtobuf(record, service))
    })
  else
    eachOfJson(body, ['resourceLogs', 'scopeLogs', 'logRecords'], (record, service, budget) => {
      logs.push(logOfJson(record, service, budget))
    })
  return logs
}

/** The metrics of an ExportMetricsServiceRequest, by service. Throws what is wrong with it. */
export function readMetrics(body: Uint8Array, format: Format): ReceivedMetrics[] {
  const names = new Map<string, string[]>()
  const add = (service: string, name: string): void => {
    const known = names.get(service)
    if (known) known.push(name)
    else names.set(service, [name])
  }
  if (format === 'protobuf')
    eachOfProtobuf(body, (metric, service) => {
      each(metric, (c) => {
        if (c.tag === 0x0a) add(service, readString(c))
        else skipField(c)
      })
    })
  else
    eachOfJson(body, ['resourceMetrics', 'scopeMetrics', 'metrics'], (metric, service) => {
      add(service, text(metric['name']))
    })
  return [...names].map(([service, of]) => ({ service, names: of }))
}

/** The requests of all signals are built alike: by resource, in it by scope, in that the items; each has field 2 of what it is in. */
function eachOfProtobuf(body: Uint8Array, read: (item: Cursor, service: string) => void): void {
  each(openMessage(body, newBudget()), (request) => {
    if (request.tag !== 0x0a) {
      skipField(request)
      return
    }
    let service = ''
    const scopes: Cursor[] = [] // read afterwards: the order of fields is free
    each(enterMessage(request), (c) => {
      if (c.tag === 0x0a) service = serviceOf(keyValuesOf(enterMessage(c), 0x0a))
      else if (c.tag === 0x12) scopes.push(enterMessage(c))
      else skipField(c)
    })
    for (const scope of scopes)
      each(scope, (c) => {
        if (c.tag === 0x12) read(enterMessage(c), service)
        else skipField(c)
      })
  })
}

function eachOfJson(
  body: Uint8Array,
  [ofResource, ofScope, items]: readonly [string, string, string],
  read: (item: Json, service: string, budget: Budget) => void,
): void {
  const budget = newBudget()
  for (const group of list(object(JSON.parse(Buffer.from(body).toString()))[ofResource])) {
    const service = serviceOf(keyValues(object(group['resource'])['attributes'], budget, 0))
    for (const scope of list(group[ofScope]))
      for (const item of list(scope[items])) {
        spend(budget, 'messages')
        read(item, service, budget)
      }
  }
}

function logOfProtobuf(record: Cursor, service: string): ReceivedLog {
  const log: LogDraft = { service, atMs: 0, severity: '', text: '', traceId: '' }
  let seenMs = 0
  let number = 0
  each(record, (c) => {
    if (c.tag === 0x09) log.atMs = millis(readFixed64(c))
    else if (c.tag === 0x59) seenMs = millis(readFixed64(c))
    else if (c.tag === 0x10) number = readSmall(c)
    else if (c.tag === 0x1a) log.severity = readString(c)
    else if (c.tag === 0x2a) log.text = shown(anyValue(enterMessage(c)))
    else if (c.tag === 0x4a) log.traceId = readHex(c)
    else skipField(c)
  })
  return withDefaults(log, seenMs, number)
}

function logOfJson(json: Json, service: string, budget: Budget): ReceivedLog {
  const log: LogDraft = {
    service,
    atMs: time(json['timeUnixNano']),
    severity: text(json['severityText']),
    text: shown(jsonValue(object(json['body']), budget, 0)),
    traceId: id(json['traceId']),
  }
  return withDefaults(log, time(json['observedTimeUnixNano']), Number(json['severityNumber'] ?? 0))
}

function withDefaults(log: LogDraft, seenMs: number, severityNumber: number): ReceivedLog {
  if (log.atMs === 0) log.atMs = seenMs
  if (log.severity === '' && severityNumber > 0) log.severity = String(severityNumber)
  return log
}

function serviceOf(resource: SpanValues): string {
  const name = resource['service.name']
  return typeof name === 'string' ? name : ''
}

function shown(value: SpanValue): string {
  if (typeof value === 'string') return value
  return JSON.stringify(value, (_key, part: unknown) => (typeof part === 'bigint' ? String(part) : part)) ?? ''
}
