import { parseInboundRules } from '../http/inbound.ts'
import { INSTRUMENTATION_NAMES } from './instrumentation-names.ts'
import {
  checked,
  collectorAddress,
  flag,
  headers,
  integer,
  keyValues,
  list,
  names,
  oneOf,
  optional,
  optionalInteger,
  ratio,
  secret,
  someOf,
  text,
  trueOnly,
} from './option.ts'
import { COMPRESSIONS, PROTOCOLS, TIMES } from './signal-options.ts'

const COUNTS = { min: 0, max: 100_000 }
const LENGTHS = { min: 0, max: 10_000_000 }

/** OpenTelemetry's own variables. Their meaning is the specification's. */
export const otelOptions = {
  disabled: trueOnly('OTEL_SDK_DISABLED', 'true: Afterspan does nothing at all.'),
  configFile: text(
    'OTEL_CONFIG_FILE',
    'File (YAML) of the declarative configuration; it goes before every other variable of OpenTelemetry that it has an entry for. Read by the package @opentelemetry/configuration, which the app must have; @opentelemetry/sdk-node brings it.',
  ),
  serviceName: text(
    'OTEL_SERVICE_NAME',
    'service.name of every span and metric. Default: the name in the nearest package.json.',
  ),
  resourceAttributes: keyValues('OTEL_RESOURCE_ATTRIBUTES', 'More resource attributes: key=value,key=value.'),
  tracesExporter: someOf(
    'OTEL_TRACES_EXPORTER',
    'Where spans go: otlp, console (lines of JSON on stdout), both, or none.',
    { words: ['otlp', 'console', 'none'], alone: 'none' },
    ['otlp'],
  ),
  metricsExporter: someOf(
    'OTEL_METRICS_EXPORTER',
    'prometheus: /metrics of the admin listener; otlp: pushed to the collector; console: lines of JSON on stdout; some of them, or none.',
    { words: ['prometheus', 'otlp', 'console', 'none'], alone: 'none' },
    ['prometheus'],
  ),
  exemplarFilter: oneOf(
    'OTEL_METRICS_EXEMPLAR_FILTER',
    'trace_based: metrics point at sampled traces; always_off: at none.',
    ['trace_based', 'always_off'],
    'trace_based',
  ),
  otlpEndpoint: collectorAddress(
    'OTEL_EXPORTER_OTLP_ENDPOINT',
    'Base address of the collector. HTTP: /v1/traces is added; default http://localhost:4318. gRPC: host:port will do; default http://localhost:4317.',
  ),
  otlpTracesEndpoint: collectorAddress(
    'OTEL_EXPORTER_OTLP_TRACES_ENDPOINT',
    'Full address for traces; goes before OTEL_EXPORTER_OTLP_ENDPOINT.',
  ),
  otlpHeaders: headers('OTEL_EXPORTER_OTLP_HEADERS', 'Headers of each export: key=value,key=value.'),
  otlpTracesHeaders: headers('OTEL_EXPORTER_OTLP_TRACES_HEADERS', 'Headers of each export of traces.'),
  otlpTimeout: integer(
    'OTEL_EXPORTER_OTLP_TIMEOUT',
    'Milliseconds that one export may take. 0: no limit, which is ten minutes here, as for all of these.',
    10_000,
    TIMES,
  ),
  otlpTracesTimeout: optionalInteger('OTEL_EXPORTER_OTLP_TRACES_TIMEOUT', 'The same for traces.', TIMES),
  otlpCompression: oneOf('OTEL_EXPORTER_OTLP_COMPRESSION', 'Compression of exports.', COMPRESSIONS, 'none'),
  otlpTracesCompression: oneOf(
    'OTEL_EXPORTER_OTLP_TRACES_COMPRESSION',
    'The same for traces.',
    COMPRESSIONS,
    undefined,
  ),
  otlpProtocol: oneOf(
    'OTEL_EXPORTER_OTLP_PROTOCOL',
    "Protocol of exports. gRPC has a port of its own, mostly 4317; HTTP's is 4318.",
    PROTOCOLS,
    'http/protobuf',
  ),
  otlpTracesProtocol: oneOf('OTEL_EXPORTER_OTLP_TRACES_PROTOCOL', 'The same for traces.', PROTOCOLS, undefined),
  otlpCertificate: text(
    'OTEL_EXPORTER_OTLP_CERTIFICATE',
    'File (PEM) of the authority that signed the certificate of the collector. This file and the next two are read anew for each connection: they may be replaced.',
  ),
  otlpTracesCertificate: text('OTEL_EXPORTER_OTLP_TRACES_CERTIFICATE', 'The same for traces.'),
  otlpClientCertificate: text(
    'OTEL_EXPORTER_OTLP_CLIENT_CERTIFICATE',
    'File (PEM) of the certificate that this service shows to the collector.',
  ),
  otlpTracesClientCertificate: text('OTEL_EXPORTER_OTLP_TRACES_CLIENT_CERTIFICATE', 'The same for traces.'),
  otlpClientKey: text('OTEL_EXPORTER_OTLP_CLIENT_KEY', 'File (PEM) of the key to it.'),
  otlpTracesClientKey: text('OTEL_EXPORTER_OTLP_TRACES_CLIENT_KEY', 'The same for traces.'),
  otlpInsecure: trueOnly(
    'OTEL_EXPORTER_OTLP_INSECURE',
    'For gRPC, where the address has no scheme. true: without TLS. Else http:// or https:// says it.',
  ),
  otlpTracesInsecure: optional(trueOnly('OTEL_EXPORTER_OTLP_TRACES_INSECURE', 'The same for traces.')),
  queueSpans: integer(
    'OTEL_BSP_MAX_QUEUE_SIZE',
    'Spans that may wait for export; more are dropped and counted.',
    2048,
    { min: 1, max: 1_000_000 },
  ),
  batchSpans: integer('OTEL_BSP_MAX_EXPORT_BATCH_SIZE', 'Spans in one export.', 512, { min: 1, max: 100_000 }),
  delayMs: integer('OTEL_BSP_SCHEDULE_DELAY', 'Milliseconds until spans are sent.', 1_000, { min: 0, max: 600_000 }),
  exportTimeout: integer(
    'OTEL_BSP_EXPORT_TIMEOUT',
    'Milliseconds that one export may take; the smaller of this and OTEL_EXPORTER_OTLP_TIMEOUT counts.',
    30_000,
    TIMES,
  ),
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
  propagators: someOf(
    'OTEL_PROPAGATORS',
    'How trace context travels: tracecontext, baggage, b3 (one header), b3multi (X-B3-*), jaeger (uber-trace-id), xray (X-Amzn-Trace-Id); or none.',
    { words: ['tracecontext', 'baggage', 'b3', 'b3multi', 'jaeger', 'xray', 'none'], alone: 'none' },
    ['tracecontext', 'baggage'],
  ),
  attributeCount: integer('OTEL_ATTRIBUTE_COUNT_LIMIT', 'Attributes of one span.', 128, COUNTS),
  spanAttributeCount: optionalInteger(
    'OTEL_SPAN_ATTRIBUTE_COUNT_LIMIT',
    'The same; goes before OTEL_ATTRIBUTE_COUNT_LIMIT.',
    COUNTS,
  ),
  attributeLength: integer(
    'OTEL_ATTRIBUTE_VALUE_LENGTH_LIMIT',
    'Characters of an attribute value; longer ones are cut.',
    4096,
    LENGTHS,
  ),
  spanAttributeLength: optionalInteger(
    'OTEL_SPAN_ATTRIBUTE_VALUE_LENGTH_LIMIT',
    'The same; goes before OTEL_ATTRIBUTE_VALUE_LENGTH_LIMIT.',
    LENGTHS,
  ),
  eventCount: integer('OTEL_SPAN_EVENT_COUNT_LIMIT', 'Events of one span.', 128, COUNTS),
  eventAttributeCount: integer('OTEL_EVENT_ATTRIBUTE_COUNT_LIMIT', 'Attributes of one event.', 128, COUNTS),
  linkCount: integer('OTEL_SPAN_LINK_COUNT_LIMIT', 'Links of one span.', 128, COUNTS),
  linkAttributeCount: integer('OTEL_LINK_ATTRIBUTE_COUNT_LIMIT', 'Attributes of one link.', 128, COUNTS),
  perEventCount: optionalInteger(
    'OTEL_SPAN_ATTRIBUTE_PER_EVENT_COUNT_LIMIT',
    "The official SDK's name for OTEL_EVENT_ATTRIBUTE_COUNT_LIMIT; goes before it.",
    COUNTS,
  ),
  perLinkCount: optionalInteger(
    'OTEL_SPAN_ATTRIBUTE_PER_LINK_COUNT_LIMIT',
    "The official SDK's name for OTEL_LINK_ATTRIBUTE_COUNT_LIMIT; goes before it.",
    COUNTS,
  ),
  enabledInstrumentations: names(
    'OTEL_NODE_ENABLED_INSTRUMENTATIONS',
    'Only these of the instrumentations that make spans: http, undici, express, pg, ioredis and alike. Work behind requests is followed all the same.',
    INSTRUMENTATION_NAMES,
  ),
  disabledInstrumentations: names(
    'OTEL_NODE_DISABLED_INSTRUMENTATIONS',
    'None of these: names as above, and those of what follows work, such as bullmq.',
    INSTRUMENTATION_NAMES,
  ),
  resourceDetectors: someOf(
    'OTEL_NODE_RESOURCE_DETECTORS',
    'What the resource tells: env (OTEL_RESOURCE_ATTRIBUTES), host, process, serviceinstance; all of it, or none. Nothing is asked of a cloud.',
    { words: ['all', 'env', 'host', 'os', 'process', 'serviceinstance', 'none'], alone: 'none' },
    ['all'],
  ),
  logLevel: oneOf(
    'OTEL_LOG_LEVEL',
    "What OpenTelemetry's own parts say on stderr; none silences Afterspan's lines too. Unset: only Afterspan's lines.",
    ['none', 'error', 'warn', 'info', 'debug', 'verbose', 'all'],
    undefined,
  ),
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
  codeCache: oneOf(
    'AFTERSPAN_CODE_CACHE',
    'on: compiled code of the preload is kept for the next start, in the user’s own folder (0700) in the system’s folder for temporary files. off: it is compiled at each start.',
    ['on', 'off'],
    'on',
  ),
  adminToken: secret(
    'AFTERSPAN_ADMIN_TOKEN',
    'Bearer token (16 characters or more) that opens the details of /health and the ledger to others than loopback.',
    16,
  ),
  adminAddressFile: text(
    'AFTERSPAN_ADMIN_ADDRESS_FILE',
    'File into which the address of the admin listener is written once it listens; for tools and tests.',
  ),
  doctorDir: text(
    'AFTERSPAN_DOCTOR_DIR',
    'Folder into which each process writes what it loaded and what of it is instrumented; set by `afterspan doctor`.',
  ),
  allowedHosts: list(
    'AFTERSPAN_ADMIN_HOSTS',
    'More Host names that the admin listener answers to, beside loopback names and its own address; where that is every address (0.0.0.0), beside IP addresses, names without a dot and those below .local, .internal and .svc.',
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
  mostInferredRoutes: integer(
    'AFTERSPAN_INFERRED_ROUTES',
    'Different routes that are inferred from paths, at most, where the router is not one that Afterspan knows. 0: none.',
    100,
    { min: 0, max: 1_000 },
  ),
  inbound: checked(
    'AFTERSPAN_INBOUND_TRACE',
    'What becomes of the trace context that a request carries, by the address of the network peer: continue, link (a trace of its own, linked to that of the caller) or ignore; one for all, or peers=policy,… where peers are private, an address, a CIDR block or *. The first that fits decides.',
    'private=continue,*=link',
    {
      isAllowed: (raw) => parseInboundRules(raw) !== undefined,
      allowed: 'continue, link, ignore, or peers=policy with commas between',
    },
  ),
  ignorePaths: list('AFTERSPAN_IGNORE_PATHS', 'Paths whose requests make no spans and no request metrics.', [
    '/livez',
    '/readyz',
    '/startupz',
    '/health',
    '/healthz',
    '/metrics',
  ]),
  overdueMs: integer(
    'AFTERSPAN_OVERDUE_MS',
    'Milliseconds after which work inside a process, a thread or a child that gave no deadline is flagged overdue.',
    60_000,
    { min: 1, max: 2_592_000_000 },
  ),
  logTrace: someOf(
    'AFTERSPAN_LOG_TRACE',
    'Whose lines carry trace_id and span_id inside of a span: bunyan, console, pino, winston, all of them, or none.',
    { words: ['all', 'bunyan', 'console', 'pino', 'winston', 'none'], alone: 'none' },
    ['none'],
  ),
  sentry: oneOf(
    'AFTERSPAN_SENTRY',
    'Whether failed and lost tasks, and what safeHandler catches, are sent to Sentry, where the app itself has initialised @sentry/node 8 or later.',
    ['on', 'off'],
    'on',
  ),
  metricsShare: oneOf(
    'AFTERSPAN_METRICS_SHARE',
    'service: processes and worker threads of one service on this host answer a scrape as one; process: each process tells its own numbers.',
    ['process', 'service'],
    'service',
  ),
  drainMs: integer(
    'AFTERSPAN_DRAIN_MS',
    'Milliseconds that an app without a handler of SIGTERM may take to finish what is in flight; behind a load balancer rather 10000. 0: the signal ends it at once.',
    300,
    { min: 0, max: 600_000 },
  ),
  exitHoldMs: integer('AFTERSPAN_EXIT_HOLD_MS', 'Milliseconds that an exit may be held to deliver what is left.', 400, {
    min: 0,
    max: 10_000,
  }),
}
