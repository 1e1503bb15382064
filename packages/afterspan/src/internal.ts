// What the demo and the tests build on. Not for apps: it changes without notice.
export { startOtlpSink, type OtlpSink, type OtlpSinkOptions, type SinkAnswer } from './sink/otlp-sink.ts'
export { jaegerTrace } from './sink/jaeger.ts'
export type { StoredSpan } from './sink/stored-span.ts'
export { drawTrace, type DrawOptions } from './sink/trace-text.ts'
export { registerPath } from './cli/register-path.ts'
