// OpenTelemetry's SDK as its users start it: no instrumentations, spans to the collector over OTLP/protobuf.
const { NodeSDK } = require('@opentelemetry/sdk-node')
new NodeSDK().start()
