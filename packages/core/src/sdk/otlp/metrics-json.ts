import {
  attributes,
  bytes,
  double,
  exported,
  hex,
  many,
  one,
  small,
  text,
  time,
  type Field,
  type Schema,
} from './protobuf-json.ts'
import { varints } from './protobuf-fields.ts'

const real = (name: string): Field => ({ name, read: (value) => double(bytes(value).readDoubleLE()) })
const whole = (name: string): Field => ({ name, read: (value) => String(bytes(value).readBigInt64LE()) })
const signed = (name: string): Field => ({
  name,
  read: (value) => {
    const n = Number(value)
    return n % 2 === 0 ? n / 2 : -(n + 1) / 2
  },
})
const eights = <T>(name: string, read: (piece: Buffer, at: number) => T): Field => ({
  name,
  read: (value) => {
    const all = bytes(value)
    return Array.from({ length: all.length / 8 }, (_, i) => read(all, 8 * i))
  },
})
const START = 'startTimeUnixNano'
const TIME = 'timeUnixNano'

const EXEMPLAR: Schema = { 2: time(TIME), 3: real('asDouble'), 4: hex('spanId'), 5: hex('traceId'), 6: whole('asInt') }
const NUMBER: Schema = {
  2: time(START),
  3: time(TIME),
  4: real('asDouble'),
  5: many('exemplars', () => EXEMPLAR),
  6: whole('asInt'),
  7: attributes(),
}
const HISTOGRAM: Schema = {
  2: time(START),
  3: time(TIME),
  4: time('count'),
  5: real('sum'),
  6: eights('bucketCounts', (piece, at) => String(piece.readBigUInt64LE(at))),
  7: eights('explicitBounds', (piece, at) => double(piece.readDoubleLE(at))),
  8: many('exemplars', () => EXEMPLAR),
  9: attributes(),
  11: real('min'),
  12: real('max'),
}
const BUCKETS: Schema = {
  1: signed('offset'),
  2: { name: 'bucketCounts', read: (value) => varints(bytes(value)).map(String) },
}
const EXPONENTIAL: Schema = {
  1: attributes(),
  2: time(START),
  3: time(TIME),
  4: time('count'),
  5: real('sum'),
  6: signed('scale'),
  7: time('zeroCount'),
  8: one('positive', () => BUCKETS),
  9: one('negative', () => BUCKETS),
  12: real('min'),
  13: real('max'),
}
const points = (schema: Schema): Schema => ({
  1: many('dataPoints', () => schema),
  2: small('aggregationTemporality'),
  3: { name: 'isMonotonic', read: Boolean },
})
const METRIC: Schema = {
  1: text('name'),
  2: text('description'),
  3: text('unit'),
  5: one('gauge', () => points(NUMBER)),
  7: one('sum', () => points(NUMBER)),
  9: one('histogram', () => points(HISTOGRAM)),
  10: one('exponentialHistogram', () => points(EXPONENTIAL)),
}
export const METRICS = exported('Metrics', 'metrics', METRIC)
