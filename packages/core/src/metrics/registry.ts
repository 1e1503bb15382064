import type { Across, Exemplar, MetricFamily } from '../contracts/service.ts'
import { withoutExemplars } from './exemplars.ts'
import type { EpochMs, TraceRef } from '../contracts/task.ts'
import { createSeries } from './series.ts'

/** Afterspan's own instruments: label values by position, no allocation on a known series, bounded cardinality. */
export interface Counter {
  add(value: number, ...labels: readonly string[]): void
  /** The same, and the trace becomes the exemplar of the series. */
  addFrom(trace: TraceRef, value: number, ...labels: readonly string[]): void
}
export interface Gauge {
  set(value: number, ...labels: readonly string[]): void
  /** Moves one series by an amount, without looking it up each time. */
  bind(...labels: readonly string[]): (by: number) => void
  remove(...labels: readonly string[]): void
}
export interface Histogram {
  record(value: number, ...labels: readonly string[]): void
  /** The same for one series, without looking it up each time. */
  bind(...labels: readonly string[]): Record
}
/** `trace`, where it is sampled, becomes the exemplar of the bucket; `at` in epoch milliseconds. */
export type Record = (value: number, trace?: TraceRef, at?: number) => void
export interface MetricRegistry {
  /** Whether exemplars are wanted. */
  readonly hasExemplars: boolean
  /** `name` without `_total`. Series named in `born` exist from the start at 0. */
  counter(name: string, help: string, labels?: readonly string[], born?: readonly (readonly string[])[]): Counter
  gauge(name: string, help: string, labels?: readonly string[], more?: GaugeOptions): Gauge
  /** `bounds` ascending, without +Inf. */
  histogram(name: string, help: string, unit: string, bounds: readonly number[], labels?: readonly string[]): Histogram
  /** Called at each collection; a throw costs only its own families. `isOwn`: what it tells is Afterspan's, and not of the app's meters. */
  callback(collect: () => readonly MetricFamily[] | Promise<readonly MetricFamily[]>, isOwn?: boolean): void
  collect(): Promise<readonly MetricFamily[]>
  /** Without those of the app's meters. */
  collectOwn(): Promise<readonly MetricFamily[]>
  /** The same, as far as it is there at once. */
  collectNow(): readonly MetricFamily[]
  /** The counters and histograms of this registry alone, at once: for the end of a process. */
  totals(): readonly MetricFamily[]
}
export interface GaugeOptions {
  readonly unit?: string
  readonly across?: Across
}

type Collect = () => readonly MetricFamily[] | Promise<readonly MetricFamily[]>

export function createMetricRegistry({ hasExemplars = true } = {}): MetricRegistry {
  const collectors: Collect[] = []
  const ofApp = new Set<Collect>()
  const byName = new Map<string, Made>()
  /** One instrument for each name: who asks again gets the same. */
  const once = <T extends Made>(name: string, make: () => T): T => {
    const known = byName.get(name) as T | undefined
    if (known) return known
    const made = make()
    byName.set(name, made)
    collectors.push(hasExemplars ? made.collect : () => made.collect().map(withoutExemplars))
    return made
  }
  return {
    hasExemplars,
    counter: (name, help, labels = [], born = []) => once(name, () => makeCounter(name, help, labels, born)),
    gauge: (name, help, labels = [], more = {}) => once(name, () => makeGauge(name, help, labels, more)),
    histogram: (name, help, unit, bounds, labels = []) =>
      once(name, () => makeHistogram({ name, help, unit, bounds, labels })),
    callback(collect, isOwn = true) {
      collectors.push(collect)
      if (!isOwn) ofApp.add(collect)
    },
    collect: () => collectAll(collectors),
    collectOwn: () => collectAll(collectors.filter((collect) => !ofApp.has(collect))),
    collectNow: () => collectors.filter((collect) => !ofApp.has(collect)).flatMap(atOnce),
    totals: () =>
      [...byName.values()]
        .flatMap(({ collect }) => collect())
        .filter(({ type }) => type === 'counter' || type === 'histogram'),
  }
}

async function collectAll(collectors: readonly Collect[]): Promise<readonly MetricFamily[]> {
  const families: MetricFamily[] = []
  for (const collect of collectors) {
    try {
      families.push(...(await collect()))
    } catch {
      // costs only its own families
    }
  }
  return families
}

function atOnce(collect: Collect): readonly MetricFamily[] {
  try {
    const families = collect()
    return families instanceof Promise ? [] : families
  } catch {
    return []
  }
}

interface Made {
  readonly collect: () => readonly MetricFamily[]
}

function makeCounter(
  name: string,
  help: string,
  labels: readonly string[],
  born: readonly (readonly string[])[],
): Counter & Made {
  const series = createSeries(labels, () => ({ value: 0, last: undefined as Last | undefined }))
  for (const values of born) series.of(values)
  return {
    add(value, ...values) {
      if (value >= 0) series.of(values).value += value
    },
    addFrom(trace, value, ...values) {
      if (!(value >= 0)) return
      const state = series.of(values)
      state.value += value
      if (trace.sampled) state.last = { trace, value, at: Date.now() }
    },
    collect: () => [
      {
        name,
        type: 'counter',
        help,
        samples: series.samples((set, { value, last }) => ({
          labels: set,
          value,
          ...(last ? { exemplar: exemplarOf(last) } : {}),
        })),
      },
    ],
  }
}

function makeGauge(name: string, help: string, labels: readonly string[], more: GaugeOptions): Gauge & Made {
  const series = createSeries(labels, () => ({ value: 0 }))
  return {
    set(value, ...values) {
      series.of(values).value = value
    },
    bind(...values) {
      const state = series.of(values)
      return (by) => {
        state.value += by
      }
    },
    remove(...values) {
      series.remove(values)
    },
    collect() {
      const samples = series.samples((set, { value }) => ({ labels: set, value }))
      return [{ name, type: 'gauge', help, ...more, samples }]
    },
  }
}

interface HistogramInit {
  readonly name: string
  readonly help: string
  readonly unit: string
  readonly bounds: readonly number[]
  readonly labels: readonly string[]
}

function makeHistogram({ name, help, unit, bounds, labels }: HistogramInit): Histogram & Made {
  const series = createSeries(labels, () => ({
    counts: Array.from({ length: bounds.length + 1 }, () => 0),
    sum: 0,
    count: 0,
    /** By bucket; made by the first measurement that has a trace. */
    last: undefined as (Last | undefined)[] | undefined,
  }))
  const bind = (...values: readonly string[]): Record => {
    const h = series.of(values)
    return (value, trace, at = 0) => {
      let bucket = 0
      while (bucket < bounds.length && value > bounds[bucket]!) bucket++
      h.counts[bucket]!++
      h.sum += value
      h.count++
      if (trace?.sampled) remember((h.last ??= []), bucket, trace, value, at)
    }
  }
  return {
    bind,
    record(value, ...values) {
      bind(...values)(value)
    },
    collect() {
      const samples = series.samples((set, { counts, sum, count, last }) => ({
        labels: set,
        bounds,
        counts: [...counts],
        sum,
        count,
        ...(last ? { exemplars: counts.map((_, i) => last[i] && exemplarOf(last[i])) } : {}),
      }))
      return [{ name, type: 'histogram', help, unit, samples }]
    },
  }
}

/** The newest measurement that had a trace. Overwritten in place: nothing is allocated for a request. */
interface Last {
  trace: TraceRef
  value: number
  at: number
}

function remember(all: (Last | undefined)[], bucket: number, trace: TraceRef, value: number, at: number): void {
  const last = all[bucket]
  if (!last) {
    all[bucket] = { trace, value, at }
    return
  }
  last.trace = trace
  last.value = value
  last.at = at
}

function exemplarOf({ trace, value, at }: Last): Exemplar {
  return { labels: { trace_id: trace.traceId, span_id: trace.spanId }, value, at: at as EpochMs }
}
