import { readJsonRequest } from './otlp-json.ts'
import { readProtobufRequest } from './otlp-protobuf.ts'
import type { StoredSpan } from './stored-span.ts'

export type DecodedTraces =
  | { readonly ok: true; readonly spans: readonly StoredSpan[] }
  | { readonly ok: false; readonly error: string }

/** The spans of an ExportTraceServiceRequest. Never throws: whatever is wrong with any of them refuses the whole request, with the reason. */
export function decodeTraces(body: Uint8Array, format: 'protobuf' | 'json'): DecodedTraces {
  try {
    return { ok: true, spans: format === 'json' ? readJsonRequest(body) : readProtobufRequest(body) }
  } catch (error) {
    return { ok: false, error: error instanceof Error ? error.message : String(error) }
  }
}
