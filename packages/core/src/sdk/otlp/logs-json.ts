import { ANY_VALUE, attributes, DROPPED, exported, hex, one, small, text, time, type Schema } from './protobuf-json.ts'

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
export const LOGS = exported('Logs', 'logRecords', RECORD)
