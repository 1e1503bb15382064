// The official meter provider, in a bundle of its own: loaded by the first instrument, so that nobody pays who has no meters.
import type { ResourceAttributes } from '../contracts/task.ts'
import type { Attributes, MeterProvider as ApiMeterProvider } from '@opentelemetry/api'
import { resourceFromAttributes } from '@opentelemetry/resources'
import {
  AggregationTemporality,
  AggregationType,
  DataPointType,
  InstrumentType,
  MeterProvider,
  MetricReader,
  type CollectionResult,
  type ExponentialHistogram,
  type MetricData,
} from '@opentelemetry/sdk-metrics'
import type { Exemplar, HistogramSample, MetricFamily } from '../contracts/service.ts'
import { collectAtOnce } from './collect-at-once.ts'
import type { LastMeasured } from './last-measured.ts'
import { DELTA, type PushMetric, type PushScope, type Temporality } from './push/metric-data.ts'
import { exemplarsOf } from './push/point-exemplars.ts'
import { unitWord } from './unit.ts'

/** What is asked of metrics that are pushed. */
export interface PushChoice {
  readonly temporality: Temporality
  readonly isExponential: boolean
}

class PullReader extends MetricReader {
  constructor({ temporality, isExponential }: PushChoice = { temporality: 'cumulative', isExponential: false }) {
    const deltas = DELTAS[temporality]
    super({
      aggregationTemporalitySelector: (type) =>
        deltas.has(type) ? AggregationTemporality.DELTA : AggregationTemporality.CUMULATIVE,
      aggregationSelector: (type) =>
        isExponential && type === InstrumentType.HISTOGRAM
          ? { type: AggregationType.EXPONENTIAL_HISTOGRAM }
          : { type: AggregationType.DEFAULT },
    })
  }
  protected override onForceFlush(): Promise<void> {
    return Promise.resolve()
  }
  protected override onShutdown(): Promise<void> {
    return Promise.resolve()
  }
}

const OF_COUNTERS = [InstrumentType.COUNTER, InstrumentType.HISTOGRAM]
/** Of which instruments deltas are pushed; by the specification never of those that go up and down. */
const DELTAS: Readonly<Record<Temporality, ReadonlySet<InstrumentType>>> = {
  cumulative: new Set(),
  delta: new Set([...OF_COUNTERS, InstrumentType.OBSERVABLE_COUNTER]),
  lowmemory: new Set(OF_COUNTERS),
}

/** A provider, and what it has measured: as plain families, and as it is pushed. */
export function createOtelMetrics(
  resource: ResourceAttributes,
  { push, lastMeasured }: { readonly push?: PushChoice | undefined; readonly lastMeasured?: LastMeasured | undefined },
): {
  readonly provider: ApiMeterProvider
  collect(): Promise<readonly MetricFamily[]>
  readonly pushed?: { collect(): Promise<readonly PushScope[]>; collectNow(): readonly PushScope[] }
} {
  const reader = new PullReader()
  const pusher = push && new PullReader(push)
  const readers = pusher ? [reader, pusher] : [reader]
  const provider = new MeterProvider({ resource: resourceFromAttributes({ ...resource }), readers })
  const told = (scopes: readonly PushScope[]): readonly PushScope[] =>
    lastMeasured ? scopes.map((scope) => withExemplars(scope, lastMeasured)) : scopes
  return {
    provider,
    ...(pusher
      ? {
          pushed: {
            collect: async () => told((await pusher.collect()).resourceMetrics.scopeMetrics as unknown as PushScope[]),
            collectNow: () => told(collectAtOnce(pusher)),
          },
        }
      : {}),
    async collect() {
      // No time limit of the SDK's: its timers would hold the process. Callbacks are bounded before they get here.
      const { resourceMetrics }: CollectionResult = await reader.collect()
      return resourceMetrics.scopeMetrics.flatMap(({ scope, metrics }) => {
        const labels = scopeLabels(scope)
        return metrics.map((metric) => {
          const toLabels = (attributes: Attributes): Labels => strings(attributes, labels)
          return toFamily(metric, labels, lastMeasured?.exemplars(scope, metric.descriptor.name, toLabels))
        })
      })
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
export function toFamily(metric: MetricData, scope: Labels, exemplars: Exemplars = () => []): MetricFamily {
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
    return { ...head, type: 'histogram', samples: samples.map((sample) => inBuckets(sample, exemplars)) }
  }
  if (metric.dataPointType === DataPointType.EXPONENTIAL_HISTOGRAM) {
    const samples = metric.dataPoints.map(({ attributes, value }) => withBounds(value, strings(attributes, scope)))
    return { ...head, type: 'histogram', samples: samples.map((sample) => inBuckets(sample, exemplars)) }
  }
  const samples = metric.dataPoints.map(({ attributes, value }) => ({ labels: strings(attributes, scope), value }))
  if (metric.dataPointType !== DataPointType.SUM) return { ...head, type: 'gauge', samples }
  if (!metric.isMonotonic) return { ...head, type: 'gauge', across: 'sum', samples }
  return {
    ...head,
    type: 'counter',
    across: 'sum',
    samples: samples.map((sample) => {
      const [exemplar] = exemplars(sample.labels)
      return exemplar ? { ...sample, exemplar } : sample
    }),
  }
}

/** The newest first, of the series with these labels. */
type Exemplars = (labels: Labels) => readonly Exemplar[]

function inBuckets(sample: HistogramSample, exemplars: Exemplars): HistogramSample {
  const found: (Exemplar | undefined)[] = []
  for (const exemplar of exemplars(sample.labels)) {
    const bucket = sample.bounds.findIndex((bound) => exemplar.value <= bound)
    found[bucket < 0 ? sample.bounds.length : bucket] ??= exemplar
  }
  return found.length > 0 ? { ...sample, exemplars: found } : sample
}

/** For a point that is pushed: the specification's reservoirs hold as many or more. */
const MOST_OF_A_POINT = 20

function withExemplars({ scope, metrics }: PushScope, lastMeasured: LastMeasured): PushScope {
  const noLabels = (attributes: Attributes): Labels => strings(attributes, {})
  const one = (metric: PushMetric): PushMetric => {
    const exemplars = lastMeasured.exemplars(scope, metric.descriptor.name, noLabels)
    if (!exemplars) return metric
    const dataPoints = metric.dataPoints.map((point) => ({
      ...point,
      exemplars: exemplarsOf(
        exemplars(noLabels(point.attributes)).slice(0, MOST_OF_A_POINT),
        point.startTime,
        metric.aggregationTemporality === DELTA,
      ),
    }))
    return { ...metric, dataPoints } as PushMetric
  }
  return { scope, metrics: metrics.map(one) }
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
