import {
  ANY_VALUE,
  attributes,
  DROPPED,
  hex,
  many,
  one,
  RESOURCE,
  SCOPE,
  small,
  text,
  time,
  type Schema,
} from './protobuf-json.ts'

const RECORD: Schema = {
  1: time('timeUnixNano'),
  2: small('severityNumber'),
  3: text('severityText'),
  5: one('body', () => ANY_VALUE),
  6: attributes(),
  7: small(DROPPED),
  8: small('flags'),
  9: hex('traceId'),
  10: hex('spanId'),
  11: time('observedTimeUnixNano'),
  12: text('eventName'),
}
const SCOPE_LOGS: Schema = { 1: one('scope', () => SCOPE), 2: many('logRecords', () => RECORD), 3: text('schemaUrl') }
const RESOURCE_LOGS: Schema = {
  1: one('resource', () => RESOURCE),
  2: many('scopeLogs', () => SCOPE_LOGS),
  3: text('schemaUrl'),
}
export const LOGS: Schema = { 1: many('resourceLogs', () => RESOURCE_LOGS) }
