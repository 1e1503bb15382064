// Where the spans went: the demo's own receiver, or the Jaeger that OTEL_EXPORTER_OTLP_ENDPOINT names.
import { drawTrace, jaegerTrace, startOtlpSink } from 'afterspan/internal'

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
    spans: (traceId) => jaegerTrace(jaeger, traceId),
    draw: (spans) => drawTrace(spans, { color: process.stdout.isTTY }),
    close: async () => {},
  }
}
