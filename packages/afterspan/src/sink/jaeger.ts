import { decodeTraces } from './otlp-decode.ts'
import type { StoredSpan } from './stored-span.ts'

/** The spans of a trace as a Jaeger tells them, in OTLP/JSON by its API v3; none where it does not know the trace. Rejects where it does not answer, or not so. */
export async function jaegerTrace(queryUrl: string, traceId: string): Promise<readonly StoredSpan[]> {
  const answer = await fetch(`${queryUrl}/api/v3/traces/${traceId}`)
  if (answer.status === 404) return []
  if (!answer.ok) throw new Error(`Jaeger answered ${answer.status}`)
  const { result } = (await answer.json()) as { readonly result: unknown }
  const decoded = decodeTraces(Buffer.from(JSON.stringify(result)), 'json')
  if (!decoded.ok) throw new Error(`Jaeger's trace is not OTLP: ${decoded.error}`)
  return decoded.spans
}
