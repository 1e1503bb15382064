import { flag, httpUrl, integer, keyValues, list, oneOf, ratio, secret, text } from './option.ts'

/** OpenTelemetry's own variables. Their meaning is the specification's. */
export const otelOptions = {
  disabled: flag('OTEL_SDK_DISABLED', 'true: Afterspan does nothing at all.'),
  serviceName: text(
    'OTEL_SERVICE_NAME',
    'service.name of every span and metric. Default: the name in the nearest package.json.',
  ),
  resourceAttributes: keyValues('OTEL_RESOURCE_ATTRIBUTES', 'More resource attributes: key=value,key=value.'),
  tracesExporter: oneOf('OTEL_TRACES_EXPORTER', 'Where spans go.', ['otlp', 'console', 'none'], 'otlp'),
  otlpEndpoint: httpUrl(
    'OTEL_EXPORTER_OTLP_ENDPOINT',
    'Base address of the collector; /v1/traces is added.',
    'http://localhost:4318',
  ),
  otlpTracesEndpoint: httpUrl(
    'OTEL_EXPORTER_OTLP_TRACES_ENDPOINT',
    'Full address for traces; goes before OTEL_EXPORTER_OTLP_ENDPOINT.',
  ),
  otlpHeaders: keyValues('OTEL_EXPORTER_OTLP_HEADERS', 'Headers of each export: key=value,key=value.'),
  otlpTracesHeaders: keyValues('OTEL_EXPORTER_OTLP_TRACES_HEADERS', 'Headers of each export of traces.'),
  otlpTimeout: integer('OTEL_EXPORTER_OTLP_TIMEOUT', 'Milliseconds that one export may take.', 10_000, {
    min: 1,
    max: 600_000,
  }),
  otlpTracesTimeout: integer(
    'OTEL_EXPORTER_OTLP_TRACES_TIMEOUT',
    'The same for traces. 0: OTEL_EXPORTER_OTLP_TIMEOUT.',
    0,
    { min: 0, max: 600_000 },
  ),
  otlpCompression: oneOf('OTEL_EXPORTER_OTLP_COMPRESSION', 'Compression of exports.', ['none', 'gzip'], 'none'),
  otlpProtocol: oneOf('OTEL_EXPORTER_OTLP_PROTOCOL', 'Protocol of exports.', ['http/protobuf'], 'http/protobuf'),
  queueSpans: integer(
    'OTEL_BSP_MAX_QUEUE_SIZE',
    'Spans that may wait for export; more are dropped and counted.',
    2048,
    { min: 1, max: 1_000_000 },
  ),
  batchSpans: integer('OTEL_BSP_MAX_EXPORT_BATCH_SIZE', 'Spans in one export.', 512, { min: 1, max: 100_000 }),
  delayMs: integer('OTEL_BSP_SCHEDULE_DELAY', 'Milliseconds until spans are sent.', 1_000, { min: 1, max: 600_000 }),
  sampler: oneOf(
    'OTEL_TRACES_SAMPLER',
    'Which requests are sampled.',
    [
      'always_on',
      'always_off',
      'traceidratio',
      'parentbased_always_on',
      'parentbased_always_off',
      'parentbased_traceidratio',
    ],
    'parentbased_always_on',
  ),
  samplerRatio: ratio('OTEL_TRACES_SAMPLER_ARG', 'The ratio of the traceidratio samplers.', 1),
  propagators: list('OTEL_PROPAGATORS', 'How trace context travels: tracecontext, baggage, none.', [
    'tracecontext',
    'baggage',
  ]),
  attributeCount: integer('OTEL_SPAN_ATTRIBUTE_COUNT_LIMIT', 'Attributes of one span.', 128, { min: 1, max: 10_000 }),
  attributeLength: integer(
    'OTEL_ATTRIBUTE_VALUE_LENGTH_LIMIT',
    'Characters of an attribute value; longer ones are cut.',
    4096,
    { min: 16, max: 10_000_000 },
  ),
  spanAttributeLength: integer(
    'OTEL_SPAN_ATTRIBUTE_VALUE_LENGTH_LIMIT',
    'The same for spans. 0: OTEL_ATTRIBUTE_VALUE_LENGTH_LIMIT.',
    0,
    { min: 0, max: 10_000_000 },
  ),
  eventCount: integer('OTEL_SPAN_EVENT_COUNT_LIMIT', 'Events of one span.', 128, { min: 1, max: 10_000 }),
  linkCount: integer('OTEL_SPAN_LINK_COUNT_LIMIT', 'Links of one span.', 128, { min: 1, max: 10_000 }),
  adminHost: text(
    'OTEL_EXPORTER_PROMETHEUS_HOST',
    'Address of the admin listener: /metrics, /health, /livez, /readyz, /startupz.',
    '127.0.0.1',
  ),
  adminPort: integer('OTEL_EXPORTER_PROMETHEUS_PORT', 'Port of the admin listener. 0: any free one.', 9464, {
    min: 0,
    max: 65_535,
  }),
}

/** Afterspan's own variables, as far as core knows them. */
export const coreOptions = {
  disabled: flag('AFTERSPAN_DISABLED', '1: one test, then nothing of Afterspan is loaded.'),
  adminToken: secret(
    'AFTERSPAN_ADMIN_TOKEN',
    'Bearer token (16 characters or more) that opens the details of /health and the ledger to others than loopback.',
    16,
  ),
  adminAddressFile: text(
    'AFTERSPAN_ADMIN_ADDRESS_FILE',
    'File into which the address of the admin listener is written once it listens; for tools and tests.',
  ),
  allowedHosts: list(
    'AFTERSPAN_ADMIN_HOSTS',
    'More Host names that the admin listener answers to, beside loopback names and its own address.',
  ),
  traceResponse: oneOf(
    'AFTERSPAN_TRACE_RESPONSE',
    'Whether responses carry the trace id (traceresponse, server-timing).',
    ['on', 'off'],
    'on',
  ),
  flight: oneOf(
    'AFTERSPAN_FLIGHT',
    'requests: requests in flight survive a SIGKILL in the journal; tasks: only tasks do.',
    ['requests', 'tasks'],
    'requests',
  ),
  ignorePaths: list('AFTERSPAN_IGNORE_PATHS', 'Paths whose requests make no spans and no request metrics.', [
    '/livez',
    '/readyz',
    '/startupz',
    '/health',
    '/healthz',
    '/metrics',
  ]),
  exitHoldMs: integer('AFTERSPAN_EXIT_HOLD_MS', 'Milliseconds that an exit may be held to deliver what is left.', 400, {
    min: 0,
    max: 10_000,
  }),
}
