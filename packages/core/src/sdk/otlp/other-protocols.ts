// What is loaded only where OTEL_EXPORTER_OTLP_PROTOCOL asks for it.
export { postGrpc } from './grpc.ts'
export { otlpJson } from './otlp-json.ts'
