import { attributes, DROPPED, exported, hex, many, one, small, text, time, type Schema } from './protobuf-json.ts'

const EVENT: Schema = { 1: time('timeUnixNano'), 2: text('name'), 3: attributes(), 4: small(DROPPED) }
const LINK: Schema = {
  1: hex('traceId'),
  2: hex('spanId'),
  3: text('traceState'),
  4: attributes(),
  5: small(DROPPED),
  6: small('flags'),
}
const SPAN: Schema = {
  1: hex('traceId'),
  2: hex('spanId'),
  3: text('traceState'),
  4: hex('parentSpanId'),
  5: text('name'),
  6: small('kind'),
  7: time('startTimeUnixNano'),
  8: time('endTimeUnixNano'),
  9: attributes(),
  10: small(DROPPED),
  11: many('events', () => EVENT),
  12: small('droppedEventsCount'),
  13: many('links', () => LINK),
  14: small('droppedLinksCount'),
  15: one('status', () => ({ 2: text('message'), 3: small('code') })),
  16: small('flags'),
}
export const TRACES = exported('Spans', 'spans', SPAN)
