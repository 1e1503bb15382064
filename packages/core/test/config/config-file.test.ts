import { expect, test } from 'vitest'
import { settingsOf } from '../../src/config/config-file.ts'

/** Of an empty file, by the specification: nothing is exported and nothing propagated. */
const NOTHING = {
  OTEL_TRACES_EXPORTER: 'none',
  OTEL_METRICS_EXPORTER: 'none',
  OTEL_LOGS_EXPORTER: 'none',
  OTEL_PROPAGATORS: 'none',
}

test('a file that says nothing exports nothing', () => {
  expect(settingsOf({ file_format: '1.0' })).toEqual({
    isDisabled: false,
    variables: NOTHING,
    isNamedByVariable: false,
    unused: [],
  })
  expect(settingsOf({ disabled: true }).isDisabled).toBe(true)
  const empty = {
    resource: null,
    propagator: {},
    attribute_limits: null,
    tracer_provider: { processors: [], limits: null },
    meter_provider: null,
  }
  expect(settingsOf(empty)).toEqual({ isDisabled: false, variables: NOTHING, isNamedByVariable: false, unused: [] })
})

test.each([
  [{ always_on: null }, { OTEL_TRACES_SAMPLER: 'always_on' }],
  [{ always_off: {} }, { OTEL_TRACES_SAMPLER: 'always_off' }],
  [{ trace_id_ratio_based: { ratio: 0.25 } }, { OTEL_TRACES_SAMPLER: 'traceidratio', OTEL_TRACES_SAMPLER_ARG: '0.25' }],
  [{ parent_based: { root: null } }, { OTEL_TRACES_SAMPLER: 'parentbased_always_on' }],
  [{ parent_based: {} }, { OTEL_TRACES_SAMPLER: 'parentbased_always_on' }],
  [{ parent_based: { root: { always_off: null } } }, { OTEL_TRACES_SAMPLER: 'parentbased_always_off' }],
  [
    {
      parent_based: {
        root: { always_on: null },
        remote_parent_sampled: { always_on: null },
        remote_parent_not_sampled: { always_off: null },
        local_parent_sampled: { always_on: null },
        local_parent_not_sampled: { always_off: null },
      },
    },
    { OTEL_TRACES_SAMPLER: 'parentbased_always_on' },
  ],
])('sampler %j', (sampler, variables) => {
  expect(settingsOf({ tracer_provider: { processors: [], sampler } })).toEqual({
    isDisabled: false,
    variables: { ...NOTHING, ...variables },
    isNamedByVariable: false,
    unused: [],
  })
})

test('what has no variable is named by its place, and the rest is taken', () => {
  const { variables, unused } = settingsOf({
    log_level: 'trace2',
    resource: {
      attributes_list: 'a=b%2C,c=d',
      attributes: [{ name: 'a', value: 'x=y' }],
      'detection/development': { detectors: [{ host: null }, { container: null }] },
    },
    propagator: { composite: [{ b3: null }], composite_list: 'b3,baggage' },
    tracer_provider: {
      processors: [
        { simple: { exporter: { otlp_grpc: { endpoint: 'collector:4317', tls: { insecure: true } } } } },
        { batch: { exporter: { otlp_http: { endpoint: 'http://second' } } } },
        { batch: { exporter: { zipkin: null } } },
      ],
      sampler: { 'jaeger_remote/development': { endpoint: 'http://x' } },
    },
    meter_provider: {
      readers: [
        { periodic: { interval: 1000, exporter: { console: {} } } },
        { periodic: { exporter: { 'otlp_file/development': {} } } },
        { pull: { exporter: { 'prometheus/development': { port: 1234, without_scope_info: true } } } },
      ],
    },
    logger_provider: { processors: [{ simple: { exporter: { console: null } } }] },
  })
  expect(variables).toEqual({
    OTEL_LOG_LEVEL: 'verbose',
    OTEL_RESOURCE_ATTRIBUTES: 'a=x%3Dy,c=d',
    OTEL_NODE_RESOURCE_DETECTORS: 'env,host',
    OTEL_PROPAGATORS: 'b3,baggage',
    OTEL_TRACES_EXPORTER: 'otlp',
    OTEL_BSP_SCHEDULE_DELAY: '0',
    OTEL_EXPORTER_OTLP_TRACES_PROTOCOL: 'grpc',
    OTEL_EXPORTER_OTLP_TRACES_ENDPOINT: 'collector:4317',
    OTEL_EXPORTER_OTLP_TRACES_INSECURE: 'true',
    OTEL_METRICS_EXPORTER: 'console,prometheus',
    OTEL_METRIC_EXPORT_INTERVAL: '1000',
    OTEL_LOGS_EXPORTER: 'console',
    OTEL_EXPORTER_PROMETHEUS_PORT: '1234',
  })
  expect(unused).toEqual([
    'resource.detection/development.detectors[1].container',
    'tracer_provider.processors[1].batch.exporter.otlp_http.endpoint',
    'tracer_provider.processors[2].batch.exporter.zipkin',
    'tracer_provider.sampler.jaeger_remote/development.endpoint',
    'meter_provider.readers[1].periodic.exporter.otlp_file/development',
    'meter_provider.readers[2].pull.exporter.prometheus/development.without_scope_info',
  ])
})

test('metrics that are pushed and logs have variables too', () => {
  const { variables, unused } = settingsOf({
    meter_provider: {
      readers: [
        {
          periodic: {
            interval: 5000,
            timeout: 3000,
            exporter: {
              otlp_http: {
                endpoint: 'http://collector/v1/metrics',
                encoding: 'json',
                temporality_preference: 'delta',
                default_histogram_aggregation: 'base2_exponential_bucket_histogram',
              },
            },
          },
        },
      ],
    },
    logger_provider: {
      limits: { attribute_count_limit: 5 },
      processors: [{ batch: { max_queue_size: 10, exporter: { otlp_grpc: { endpoint: 'http://collector:4317' } } } }],
    },
  })
  expect(unused).toEqual([])
  expect(variables).toEqual({
    ...NOTHING,
    OTEL_METRICS_EXPORTER: 'otlp',
    OTEL_METRIC_EXPORT_INTERVAL: '5000',
    OTEL_METRIC_EXPORT_TIMEOUT: '3000',
    OTEL_EXPORTER_OTLP_METRICS_ENDPOINT: 'http://collector/v1/metrics',
    OTEL_EXPORTER_OTLP_METRICS_PROTOCOL: 'http/json',
    OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE: 'delta',
    OTEL_EXPORTER_OTLP_METRICS_DEFAULT_HISTOGRAM_AGGREGATION: 'base2_exponential_bucket_histogram',
    OTEL_LOGS_EXPORTER: 'otlp',
    OTEL_LOGRECORD_ATTRIBUTE_COUNT_LIMIT: '5',
    OTEL_BLRP_MAX_QUEUE_SIZE: '10',
    OTEL_EXPORTER_OTLP_LOGS_PROTOCOL: 'grpc',
    OTEL_EXPORTER_OTLP_LOGS_ENDPOINT: 'http://collector:4317',
  })
})

test('a parent is not followed as the file has it: that has no variable', () => {
  const sampler = { parent_based: { root: { always_on: null }, remote_parent_not_sampled: { always_on: null } } }
  expect(settingsOf({ tracer_provider: { processors: [], sampler } }).unused).toEqual([
    'tracer_provider.sampler.parent_based.remote_parent_not_sampled.always_on',
  ])
})
