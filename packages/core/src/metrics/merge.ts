// Families under their Prometheus names: what becomes one is added, what cannot stand beside another is left out and counted.
import type { HistogramSample, MetricFamily, MetricSample } from '../contracts/service.ts'
import { cleanLabels, metricName } from './prometheus-name.ts'

export type LeftOutReason = 'bounds_conflict' | 'name_conflict' | 'not_a_number' | 'type_conflict'

/** Series that are not in the answer, by reason. */
export type LeftOut = Map<LeftOutReason, number>

/** Names that a family of OpenMetrics takes beside its own: another family may have none of them. */
const SUFFIXES: Readonly<Record<MetricFamily['type'], readonly string[]>> = {
  counter: ['_total', '_created'],
  gauge: [],
  histogram: ['_bucket', '_count', '_sum', '_created'],
  info: ['_info'],
}

type Sample = MetricSample | HistogramSample
interface Entry {
  readonly family: MetricFamily
  readonly samples: Map<string, Sample>
}

/**
 * As OpenTelemetry's compatibility rules have it: names that become equal are one family, the first HELP, TYPE and UNIT stand, series
 * with equal labels are added (a gauge's last value stands), and a family of another type under a taken name is left out.
 */
export function mergeFamilies(families: readonly MetricFamily[], leftOut: LeftOut): MetricFamily[] {
  const byName = new Map<string, Entry>()
  const taken = new Map<string, string>()
  for (const family of families) {
    if (family.samples.length === 0) continue
    const name = metricName(family.name, family.type, family.unit)
    const entry = byName.get(name) ?? claim(byName, taken, { ...family, name })
    if (!entry) count(leftOut, byName.has(name) ? 'type_conflict' : 'name_conflict', family.samples.length)
    else if (entry.family.type !== family.type) count(leftOut, 'type_conflict', family.samples.length)
    else for (const sample of family.samples) put(entry, sample, leftOut)
  }
  return [...byName.values()].map(
    ({ family, samples }) => ({ ...family, samples: [...samples.values()] }) as MetricFamily,
  )
}

function claim(byName: Map<string, Entry>, taken: Map<string, string>, family: MetricFamily): Entry | undefined {
  const names = ['', ...SUFFIXES[family.type]].map((suffix) => family.name + suffix)
  if (names.some((name) => taken.has(name))) return undefined
  for (const name of names) taken.set(name, family.name)
  const entry = { family, samples: new Map<string, Sample>() }
  byName.set(family.name, entry)
  return entry
}

function put({ family, samples }: Entry, sample: Sample, leftOut: LeftOut): void {
  const { type } = family
  if (!isSound(sample, type)) {
    count(leftOut, 'not_a_number', 1)
    return
  }
  const labels = cleanLabels(sample.labels)
  const now = labels === sample.labels ? sample : { ...sample, labels }
  const key = keyOf(labels)
  const before = samples.get(key)
  const sum = before ? added(before, now, type) : now
  if (sum) samples.set(key, sum)
  else count(leftOut, 'bounds_conflict', 1)
}

/** A counter counts: neither NaN nor below 0, in either format. */
function isSound(sample: Sample, type: MetricFamily['type']): boolean {
  if (type === 'counter') return (sample as MetricSample).value >= 0
  return type !== 'histogram' || (sample as HistogramSample).count >= 0
}

/** Undefined where two histograms have other bounds. */
function added(a: Sample, b: Sample, type: MetricFamily['type']): Sample | undefined {
  if (type === 'gauge' || type === 'info') return b
  if (type === 'counter') {
    const [x, y] = [a as MetricSample, b as MetricSample]
    return { ...x, ...y, value: x.value + y.value }
  }
  return addHistograms(a as HistogramSample, b as HistogramSample)
}

export function addHistograms(a: HistogramSample, b: HistogramSample): HistogramSample | undefined {
  if (a.bounds.length !== b.bounds.length || a.bounds.some((bound, i) => bound !== b.bounds[i])) return undefined
  const exemplars = a.exemplars && b.exemplars ? a.counts.map((_, i) => newer(a, b, i)) : (b.exemplars ?? a.exemplars)
  return {
    labels: a.labels,
    bounds: a.bounds,
    counts: a.counts.map((n, i) => n + b.counts[i]!),
    sum: a.sum + b.sum,
    count: a.count + b.count,
    ...(exemplars ? { exemplars } : {}),
  }
}

function newer(a: HistogramSample, b: HistogramSample, i: number): NonNullable<HistogramSample['exemplars']>[number] {
  const [x, y] = [a.exemplars?.[i], b.exemplars?.[i]]
  return x && (!y || x.at > y.at) ? x : y
}

/** One key for each series, whatever the order of its labels. */
export function keyOf(labels: Readonly<Record<string, string>>): string {
  const names = Object.keys(labels)
  if (names.length === 0) return ''
  if (names.length > 1) names.sort()
  return JSON.stringify(names.map((name) => [name, labels[name]]))
}

function count(leftOut: LeftOut, reason: LeftOutReason, series: number): void {
  leftOut.set(reason, (leftOut.get(reason) ?? 0) + series)
}
