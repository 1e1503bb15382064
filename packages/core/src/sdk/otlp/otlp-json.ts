import type { OtlpSettings } from './settings.ts'
import { LOGS } from './logs-json.ts'
import { METRICS } from './metrics-json.ts'
import { protobufJson } from './protobuf-json.ts'
import { TRACES } from './trace-json.ts'

const SCHEMAS = { logs: LOGS, metrics: METRICS, traces: TRACES } as const

/** The JSON of an export request; throws where the bytes are none. */
export function otlpJson(body: Uint8Array, signal: OtlpSettings['signal'] | 'traces' = 'traces'): string {
  return protobufJson(body, SCHEMAS[signal])
}
