// The official meter provider, in a bundle of its own: loaded by the first instrument, so that nobody pays who has no meters.
import type { ResourceAttributes } from '../contracts/task.ts'
import type { MeterProvider as ApiMeterProvider } from '@opentelemetry/api'
import { resourceFromAttributes } from '@opentelemetry/resources'
import {
  AggregationTemporality,
  DataPointType,
  MeterProvider,
  MetricReader,
  type CollectionResult,
  type ExponentialHistogram,
  type MetricData,
} from '@opentelemetry/sdk-metrics'
import type { HistogramSample, MetricFamily } from '../contracts/service.ts'
import { unitWord } from './unit.ts'

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

/** A provider, and what it has measured as plain families. */
export function createOtelMetrics(resource: ResourceAttributes): {
  readonly provider: ApiMeterProvider
  collect(): Promise<readonly MetricFamily[]>
} {
  const reader = new PullReader()
  const provider = new MeterProvider({ resource: resourceFromAttributes({ ...resource }), readers: [reader] })
  return {
    provider,
    async collect() {
      // No time limit of the SDK's: its timers would hold the process. Callbacks are bounded before they get here.
      const { resourceMetrics }: CollectionResult = await reader.collect()
      return resourceMetrics.scopeMetrics.flatMap(({ scope, metrics }) =>
        metrics.map((metric) => toFamily(metric, scopeLabels(scope))),
      )
    },
  }
}

type Labels = Readonly<Record<string, string>>

/** By the specification every series of a meter says whose it is: two meters may have an instrument of one name. */
function scopeLabels({ name, version, schemaUrl }: { name: string; version?: string; schemaUrl?: string }): Labels {
  return {
    ...(name ? { otel_scope_name: name } : {}),
    ...(version ? { otel_scope_version: version } : {}),
    ...(schemaUrl ? { otel_scope_schema_url: schemaUrl } : {}),
  }
}

/** One instrument as a Prometheus family. Exponential histograms become ones with bounds: nothing of them is lost but the promise that the bounds stay. */
export function toFamily(metric: MetricData, scope: Labels): MetricFamily {
  const { name, description, unit } = metric.descriptor
  const word = unitWord(unit, metric.dataPointType === DataPointType.GAUGE)
  const head = { name, help: description || 'No description.', ...(word ? { unit: word } : {}) }
  if (metric.dataPointType === DataPointType.HISTOGRAM) {
    const samples = metric.dataPoints.map(({ attributes, value }): HistogramSample => ({
      labels: strings(attributes, scope),
      bounds: value.buckets.boundaries,
      counts: value.buckets.counts,
      sum: value.sum ?? 0,
      count: value.count,
    }))
    return { ...head, type: 'histogram', samples }
  }
  if (metric.dataPointType === DataPointType.EXPONENTIAL_HISTOGRAM) {
    const samples = metric.dataPoints.map(({ attributes, value }) => withBounds(value, strings(attributes, scope)))
    return { ...head, type: 'histogram', samples }
  }
  const isSum = metric.dataPointType === DataPointType.SUM
  return {
    ...head,
    type: isSum && metric.isMonotonic ? 'counter' : 'gauge',
    ...(isSum ? { across: 'sum' } : {}),
    samples: metric.dataPoints.map(({ attributes, value }) => ({ labels: strings(attributes, scope), value })),
  }
}

/** Bucket i of scale s holds what is in (2^(i/2^s), 2^((i+1)/2^s)]. */
function withBounds(
  { scale, positive, negative, zeroCount, sum, count }: ExponentialHistogram,
  labels: Labels,
): HistogramSample {
  const at = (index: number): number => 2 ** (index / 2 ** scale)
  const bounds: number[] = []
  const counts: number[] = []
  const below = negative.bucketCounts
  for (let i = below.length - 1; i >= 0; i--) {
    bounds.push(-at(negative.offset + i))
    counts.push(below[i]!)
  }
  bounds.push(0)
  counts.push(zeroCount)
  const above = positive.bucketCounts
  // What is between zero and the first bucket is none of the zero bucket's.
  if (above.length > 0) {
    bounds.push(at(positive.offset))
    counts.push(0)
  }
  above.forEach((n, i) => {
    bounds.push(at(positive.offset + i + 1))
    counts.push(n)
  })
  counts.push(0)
  return { labels, bounds, counts, sum: sum ?? 0, count }
}

function strings(attributes: Readonly<Record<string, unknown>>, scope: Labels): Labels {
  const out: Record<string, string> = {}
  for (const [key, value] of Object.entries(attributes))
    if (value !== undefined && value !== null) out[key] = typeof value === 'string' ? value : inJson(value)
  return Object.assign(out, scope)
}

function inJson(value: unknown): string {
  try {
    return JSON.stringify(value) ?? String(value)
  } catch {
    return String(value)
  }
}
