import type { HistogramSample, MetricFamily, MetricSample } from '../../contracts/service.ts'
import { keyOf } from '../merge.ts'
import {
  CUMULATIVE,
  DELTA,
  KIND,
  type DataPoint,
  type HistogramValue,
  type PushMetric,
  type Temporality,
} from './metric-data.ts'
import { otelAttributes, otelName, type OtelName } from './otel-name.ts'
import { exemplarsOf, hrTime } from './point-exemplars.ts'

const WHOLE = 0
const FRACTIONS = 1

/** Turns Afterspan's own families into OpenTelemetry's data points. With deltas it remembers what was told before: each call is one collection. */
export function createOwnMetrics(temporality: Temporality, startMs: number): OwnMetrics {
  const isDelta = temporality !== 'cumulative'
  const before = new Map<string, Told>()
  let beganMs = startMs
  return (families, nowMs) => {
    const span = { startTime: hrTime(isDelta ? beganMs : startMs), endTime: hrTime(nowMs) }
    beganMs = nowMs
    const told = isDelta ? before : undefined
    return families.flatMap((family): PushMetric[] => {
      const name = otelName(family)
      const metric = name && family.samples.length > 0 ? toMetric(family, name, span, told) : undefined
      return metric && metric.dataPoints.length > 0 ? [metric] : []
    })
  }
}
export type OwnMetrics = (families: readonly MetricFamily[], nowMs: number) => PushMetric[]

/** What a series had come to when it was told last. */
type Told = number | { readonly counts: readonly number[]; readonly sum: number; readonly count: number }
type Span = Pick<DataPoint<unknown>, 'endTime' | 'startTime'>

function toMetric(
  family: MetricFamily,
  { name, unit, isUpDown }: OtelName,
  span: Span,
  before: Map<string, Told> | undefined,
): PushMetric {
  const isWhole = unit !== 's' && unit !== '1'
  const descriptor = { name, unit, description: family.help, valueType: isWhole ? WHOLE : FRACTIONS }
  const temporality = before ? DELTA : CUMULATIVE
  const head = { descriptor, aggregationTemporality: temporality }
  if (family.type === 'histogram') {
    const dataPoints = family.samples.map((sample) => histogramPoint(sample, span, told(before, name, sample)))
    return { ...head, dataPointType: KIND.histogram, dataPoints: dataPoints.filter(({ value }) => has(value, before)) }
  }
  if (family.type === 'counter') {
    const dataPoints = family.samples.map((sample) => counterPoint(sample, span, told(before, name, sample)))
    const some = dataPoints.filter(({ value }) => !before || value !== 0)
    return { ...head, dataPointType: KIND.sum, isMonotonic: true, dataPoints: some }
  }
  const dataPoints = family.samples.map(({ labels, value }) => ({
    ...span,
    attributes: otelAttributes(labels),
    value,
  }))
  // What goes up and down is told as it stands, whatever is preferred.
  return isUpDown || family.across === 'sum'
    ? {
        descriptor,
        aggregationTemporality: CUMULATIVE,
        dataPointType: KIND.sum,
        isMonotonic: false,
        dataPoints,
      }
    : { ...head, dataPointType: KIND.gauge, dataPoints }
}

function has({ count }: HistogramValue, before: unknown): boolean {
  return !before || count > 0
}

interface Series {
  read(): Told | undefined
  write(now: Told): void
}

function told(
  before: Map<string, Told> | undefined,
  name: string,
  { labels }: MetricSample | HistogramSample,
): Series | undefined {
  if (!before) return undefined
  const key = `${name} ${keyOf(labels)}`
  return { read: () => before.get(key), write: (now) => before.set(key, now) }
}

function counterPoint(sample: MetricSample, span: Span, series: Series | undefined): DataPoint<number> {
  const last = series?.read()
  const base = typeof last === 'number' && last <= sample.value ? last : 0
  series?.write(sample.value)
  return {
    ...span,
    attributes: otelAttributes(sample.labels),
    value: sample.value - base,
    exemplars: exemplarsOf([sample.exemplar], span.startTime, series !== undefined),
  }
}

function histogramPoint(
  { labels, bounds, counts, sum, count, exemplars = [] }: HistogramSample,
  span: Span,
  series: Series | undefined,
): DataPoint<HistogramValue> {
  const last = series?.read()
  const base = typeof last === 'object' && last.count <= count ? last : { counts: [], sum: 0, count: 0 }
  series?.write({ counts, sum, count })
  return {
    ...span,
    attributes: otelAttributes(labels),
    value: {
      buckets: { boundaries: bounds, counts: counts.map((n, i) => n - (base.counts[i] ?? 0)) },
      sum: sum - base.sum,
      count: count - base.count,
    },
    exemplars: exemplarsOf(exemplars, span.startTime, series !== undefined),
  }
}
