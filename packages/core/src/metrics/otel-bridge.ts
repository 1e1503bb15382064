// The official meter provider, in a bundle of its own: loaded at the first getMeter(), so that nobody pays who has no meters.
import type { ResourceAttributes } from '../contracts/task.ts'
import type { MeterProvider as ApiMeterProvider } from '@opentelemetry/api'
import { resourceFromAttributes } from '@opentelemetry/resources'
import {
  AggregationTemporality,
  DataPointType,
  MeterProvider,
  MetricReader,
  type CollectionResult,
  type MetricData,
} from '@opentelemetry/sdk-metrics'
import type { HistogramSample, MetricFamily } from '../contracts/service.ts'

class PullReader extends MetricReader {
  constructor() {
    super({ aggregationTemporalitySelector: () => AggregationTemporality.CUMULATIVE })
  }
  protected override onForceFlush(): Promise<void> {
    return Promise.resolve()
  }
  protected override onShutdown(): Promise<void> {
    return Promise.resolve()
  }
}

/** A provider, and what it has measured as plain families. A callback that throws costs only its own series. */
export function createOtelMetrics(resource: ResourceAttributes): {
  readonly provider: ApiMeterProvider
  collect(): Promise<readonly MetricFamily[]>
} {
  const reader = new PullReader()
  const provider = new MeterProvider({ resource: resourceFromAttributes({ ...resource }), readers: [reader] })
  return {
    provider,
    async collect() {
      const { resourceMetrics }: CollectionResult = await reader.collect({ timeoutMillis: 900 })
      return resourceMetrics.scopeMetrics.flatMap(({ metrics }) =>
        metrics.map(toFamily).filter((family) => family !== undefined),
      )
    },
  }
}

function toFamily(metric: MetricData): MetricFamily | undefined {
  const { name, description, unit } = metric.descriptor
  const head = { name, help: description || 'No description.', ...(unitWord(unit) ? { unit: unitWord(unit) } : {}) }
  if (metric.dataPointType === DataPointType.HISTOGRAM) {
    return {
      ...head,
      type: 'histogram',
      samples: metric.dataPoints.map(({ attributes, value }): HistogramSample => ({
        labels: strings(attributes),
        bounds: value.buckets.boundaries,
        counts: value.buckets.counts,
        sum: value.sum ?? 0,
        count: value.count,
      })),
    }
  }
  if (metric.dataPointType !== DataPointType.SUM && metric.dataPointType !== DataPointType.GAUGE) return undefined
  const isCounter = metric.dataPointType === DataPointType.SUM && metric.isMonotonic
  return {
    ...head,
    type: isCounter ? 'counter' : 'gauge',
    samples: metric.dataPoints.map(({ attributes, value }) => ({ labels: strings(attributes), value })),
  }
}

function strings(attributes: Readonly<Record<string, unknown>>): Record<string, string> {
  const out: Record<string, string> = {}
  for (const [key, value] of Object.entries(attributes))
    if (value !== undefined && value !== null) out[key] = typeof value === 'string' ? value : JSON.stringify(value)
  return out
}

/** UCUM units as the words that Prometheus names end in (OpenTelemetry's compatibility specification). Annotations such as {request} are dropped. */
export function unitWord(unit: string | undefined): string {
  if (!unit) return ''
  const words: Record<string, string> = {
    s: 'seconds',
    ms: 'milliseconds',
    us: 'microseconds',
    ns: 'nanoseconds',
    min: 'minutes',
    h: 'hours',
    d: 'days',
    By: 'bytes',
    KiBy: 'kibibytes',
    MiBy: 'mebibytes',
    GiBy: 'gibibytes',
    kBy: 'kilobytes',
    MBy: 'megabytes',
    m: 'meters',
    V: 'volts',
    A: 'amperes',
    J: 'joules',
    W: 'watts',
    g: 'grams',
    Cel: 'celsius',
    Hz: 'hertz',
    '%': 'percent',
    '1': '',
  }
  const plain = unit.replace(/\{[^}]*\}/g, '')
  if (plain === '') return ''
  return (
    words[plain] ??
    plain
      .split('/')
      .filter((p) => p !== '')
      .map((p) => words[p] ?? p)
      .join('_per_')
      .replace(/[^a-zA-Z0-9_]/g, '_')
  )
}
