// Where the spans went: the demo's own receiver, or the Jaeger that OTEL_EXPORTER_OTLP_ENDPOINT names.
import { drawTrace, startOtlpSink } from 'afterspan/internal'

export async function openTraces() {
  const endpoint = process.env.OTEL_EXPORTER_OTLP_ENDPOINT
  if (!endpoint) {
    const sink = await startOtlpSink()
    return {
      endpoint: sink.url,
      page: (traceId) => `${sink.url}/traces/${traceId}`,
      spans: async (traceId) => sink.trace(traceId),
      draw: (spans) => drawTrace(spans, { color: process.stdout.isTTY }),
      close: () => sink.close(),
    }
  }
  const jaeger = process.env.JAEGER_QUERY_URL ?? `http://${new URL(endpoint).hostname}:16686`
  return {
    endpoint,
    page: (traceId) => `${jaeger}/trace/${traceId}`,
    spans: async (traceId) => fromJaeger(await (await fetch(`${jaeger}/api/traces/${traceId}`)).json()),
    draw: (spans) => drawTrace(spans, { color: process.stdout.isTTY }),
    close: async () => {},
  }
}

/** Jaeger's JSON as the spans that the drawing takes. */
function fromJaeger({ data }) {
  const [trace] = data ?? []
  if (!trace) return []
  return trace.spans.map((span) => {
    const tags = Object.fromEntries(span.tags.map(({ key, value }) => [key, value]))
    const { serviceName } = trace.processes[span.processID]
    return {
      traceId: span.traceID,
      spanId: span.spanID,
      parentSpanId: span.references?.find(({ refType, traceID }) => refType === 'CHILD_OF' && traceID === span.traceID)
        ?.spanID,
      name: span.operationName,
      kind: tags['span.kind'] ?? 'internal',
      startMs: span.startTime / 1000,
      endMs: (span.startTime + span.duration) / 1000,
      attributes: tags,
      events: [],
      links: [],
      status: {
        code: tags['otel.status_code'] === 'ERROR' ? 'error' : 'unset',
        message: tags['otel.status_description'],
      },
      resource: { 'service.name': serviceName },
      scope: { name: tags['otel.scope.name'] ?? '' },
      flags: 1,
    }
  })
}
