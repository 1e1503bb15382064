// What OpenTelemetry lets say of each signal beside traces: where it goes and how, and how often.
import {
  collectorAddress,
  integer,
  headers,
  oneOf,
  optional,
  optionalInteger,
  someOf,
  text,
  trueOnly,
  type ConfigOf,
} from './option.ts'

export const PROTOCOLS = ['http/protobuf', 'http/json', 'grpc'] as const
export const COMPRESSIONS = ['none', 'gzip'] as const
/** Milliseconds that something may take. 0, which OpenTelemetry has for no limit, is the most. */
export const TIMES = { min: 0, max: 600_000 }

function ofSignal(signal: 'LOGS' | 'METRICS') {
  const word = signal.toLowerCase()
  const same = `The same for ${word}.`
  const env = (rest: string): string => `OTEL_EXPORTER_OTLP_${signal}_${rest}`
  return {
    endpoint: collectorAddress(
      env('ENDPOINT'),
      `Full address for ${word}; goes before OTEL_EXPORTER_OTLP_ENDPOINT, to which /v1/${word} is added.`,
    ),
    headers: headers(env('HEADERS'), `Headers of each export of ${word}.`),
    timeout: optionalInteger(env('TIMEOUT'), same, TIMES),
    compression: oneOf(env('COMPRESSION'), same, COMPRESSIONS, undefined),
    protocol: oneOf(env('PROTOCOL'), same, PROTOCOLS, undefined),
    certificate: text(env('CERTIFICATE'), same),
    clientCertificate: text(env('CLIENT_CERTIFICATE'), same),
    clientKey: text(env('CLIENT_KEY'), same),
    insecure: optional(trueOnly(env('INSECURE'), same)),
  }
}

export const metricsPushOptions = {
  ...ofSignal('METRICS'),
  interval: integer('OTEL_METRIC_EXPORT_INTERVAL', 'Milliseconds between two pushes of metrics.', 60_000, {
    min: 1,
    max: 86_400_000,
  }),
  exportTimeout: integer(
    'OTEL_METRIC_EXPORT_TIMEOUT',
    'Milliseconds that one push may take; the smaller of this and OTEL_EXPORTER_OTLP_TIMEOUT counts.',
    30_000,
    TIMES,
  ),
  temporality: oneOf(
    'OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE',
    'cumulative: what is pushed is the total since the start; delta: what was added since the last push; lowmemory: delta, but for observable counters.',
    ['cumulative', 'delta', 'lowmemory'],
    'cumulative',
  ),
  histogram: oneOf(
    'OTEL_EXPORTER_OTLP_METRICS_DEFAULT_HISTOGRAM_AGGREGATION',
    "Histograms of the app's own meters, as they are pushed. Afterspan's own have the bounds of the semantic conventions.",
    ['explicit_bucket_histogram', 'base2_exponential_bucket_histogram'],
    'explicit_bucket_histogram',
  ),
}

const COUNTS = { min: 0, max: 100_000 }

export const logsOptions = {
  ...ofSignal('LOGS'),
  exporter: someOf(
    'OTEL_LOGS_EXPORTER',
    'Where log records go, those of the API and the lines of pino, winston and bunyan: otlp, console (lines of JSON on stdout), both, or none.',
    { words: ['otlp', 'console', 'none'], alone: 'none' },
    ['none'],
  ),
  queueRecords: integer('OTEL_BLRP_MAX_QUEUE_SIZE', 'Log records that may wait; more are dropped and counted.', 2048, {
    min: 1,
    max: 1_000_000,
  }),
  batchRecords: integer('OTEL_BLRP_MAX_EXPORT_BATCH_SIZE', 'Log records in one export.', 512, {
    min: 1,
    max: 100_000,
  }),
  delay: integer('OTEL_BLRP_SCHEDULE_DELAY', 'Milliseconds until log records are sent.', 1_000, TIMES),
  exportTimeout: integer(
    'OTEL_BLRP_EXPORT_TIMEOUT',
    'Milliseconds that one export of logs may take; the smaller of this and OTEL_EXPORTER_OTLP_TIMEOUT counts.',
    30_000,
    TIMES,
  ),
  attributeCount: optionalInteger(
    'OTEL_LOGRECORD_ATTRIBUTE_COUNT_LIMIT',
    'Attributes of one log record; goes before OTEL_ATTRIBUTE_COUNT_LIMIT.',
    COUNTS,
  ),
  attributeLength: optionalInteger(
    'OTEL_LOGRECORD_ATTRIBUTE_VALUE_LENGTH_LIMIT',
    'Characters of an attribute value of a log record; goes before OTEL_ATTRIBUTE_VALUE_LENGTH_LIMIT.',
    { min: 0, max: 10_000_000 },
  ),
}

/** What is said of one signal, whichever. */
export type SignalConfig = Omit<ConfigOf<ReturnType<typeof ofSignal>>, never>
