import type { HistogramSample, MetricFamily, MetricSample } from '../contracts/service.ts'

/** Afterspan's own instruments: label values by position, no allocation on a known series, bounded cardinality. */
export interface Counter {
  add(value: number, ...labels: readonly string[]): void
}
export interface Gauge {
  set(value: number, ...labels: readonly string[]): void
  remove(...labels: readonly string[]): void
}
export interface Histogram {
  record(value: number, ...labels: readonly string[]): void
}
export interface MetricRegistry {
  /** `name` without `_total`. Series named in `born` exist from the start at 0. */
  counter(name: string, help: string, labels?: readonly string[], born?: readonly (readonly string[])[]): Counter
  gauge(name: string, help: string, labels?: readonly string[], unit?: string): Gauge
  /** `bounds` ascending, without +Inf. */
  histogram(name: string, help: string, unit: string, bounds: readonly number[], labels?: readonly string[]): Histogram
  /** Called at each collection; a throw costs only its own families. */
  callback(collect: () => readonly MetricFamily[] | Promise<readonly MetricFamily[]>): void
  collect(): Promise<readonly MetricFamily[]>
}

/** OpenTelemetry's default: at most 2,000 series of one instrument, the last of them for what overflows. */
const MOST_SERIES = 2000
const OVERFLOW = 'otel_metric_overflow'

export function createMetricRegistry(): MetricRegistry {
  const collectors: (() => readonly MetricFamily[] | Promise<readonly MetricFamily[]>)[] = []
  const byName = new Map<string, unknown>()
  const once = <T>(name: string, make: () => T): T => {
    if (!byName.has(name)) byName.set(name, make())
    return byName.get(name) as T
  }
  return {
    counter: (name, help, labels = [], born = []) =>
      once(name, () => {
        const series = createSeries(labels, () => ({ value: 0 }))
        for (const values of born) series.of(values)
        collectors.push(() => [
          {
            name,
            type: 'counter',
            help,
            samples: series.samples((labelSet, { value }): MetricSample => ({ labels: labelSet, value })),
          },
        ])
        return {
          add: (value, ...values) => {
            if (value >= 0) series.of(values).value += value
          },
        }
      }),
    gauge: (name, help, labels = [], unit) =>
      once(name, () => {
        const series = createSeries(labels, () => ({ value: 0 }))
        collectors.push(() => [
          {
            name,
            type: 'gauge',
            help,
            ...(unit ? { unit } : {}),
            samples: series.samples((labelSet, { value }): MetricSample => ({ labels: labelSet, value })),
          },
        ])
        return {
          set: (value, ...values) => {
            series.of(values).value = value
          },
          remove: (...values) => {
            series.remove(values)
          },
        }
      }),
    histogram: (name, help, unit, bounds, labels = []) =>
      once(name, () => {
        const series = createSeries(labels, () => ({
          counts: new Array<number>(bounds.length + 1).fill(0),
          sum: 0,
          count: 0,
        }))
        collectors.push(() => [
          {
            name,
            type: 'histogram',
            help,
            unit,
            samples: series.samples((labelSet, h): HistogramSample => ({
              labels: labelSet,
              bounds,
              counts: [...h.counts],
              sum: h.sum,
              count: h.count,
            })),
          },
        ])
        return {
          record(value, ...values) {
            const h = series.of(values)
            let bucket = 0
            while (bucket < bounds.length && value > bounds[bucket]!) bucket++
            h.counts[bucket]!++
            h.sum += value
            h.count++
          },
        }
      }),
    callback(collect) {
      collectors.push(collect)
    },
    async collect() {
      const families: MetricFamily[] = []
      for (const collect of collectors) {
        try {
          families.push(...(await collect()))
        } catch {
          /* costs only its own families */
        }
      }
      return families
    },
  }
}

function createSeries<V>(
  names: readonly string[],
  make: () => V,
): {
  of(values: readonly string[]): V
  remove(values: readonly string[]): void
  samples<S>(draw: (labels: Record<string, string>, value: V) => S): S[]
} {
  const all = new Map<string, { readonly values: readonly string[]; readonly state: V }>()
  let overflow: V | undefined
  let only: V | undefined
  return {
    of(values) {
      if (names.length === 0) return (only ??= add('', values))
      let key = values[0] ?? ''
      for (let i = 1; i < names.length; i++) key += `\u0000${values[i] ?? ''}`
      const known = all.get(key)
      if (known) return known.state
      if (all.size >= MOST_SERIES - 1) return (overflow ??= make())
      return add(key, values)
    },
    remove(values) {
      all.delete(names.map((_, i) => values[i] ?? '').join('\u0000'))
    },
    samples(draw) {
      const out = [...all.values()].map(({ values, state }) => {
        const labels: Record<string, string> = {}
        // An empty label value is no label, to Prometheus: it is left out.
        names.forEach((name, i) => {
          if (values[i]) labels[name] = values[i]
        })
        return draw(labels, state)
      })
      if (overflow !== undefined) out.push(draw({ [OVERFLOW]: 'true' }, overflow))
      return out
    },
  }
  function add(key: string, values: readonly string[]): V {
    const state = make()
    all.set(key, { values: values.map(String), state })
    return state
  }
}
