/** OpenTelemetry's default: at most 2,000 series of one instrument, the last of them for what overflows. */
const MOST_SERIES = 2000
const OVERFLOW = 'otel_metric_overflow'

/** States by the values of labels, in bounded number. */
export interface Series<V> {
  of(values: readonly string[]): V
  remove(values: readonly string[]): void
  samples<S>(draw: (labels: Readonly<Record<string, string>>, state: V) => S): S[]
}

export function createSeries<V>(names: readonly string[], make: () => V): Series<V> {
  const all = new Map<string, { readonly values: readonly string[]; readonly state: V }>()
  let overflow: V | undefined
  let only: V | undefined
  const add = (key: string, values: readonly string[]): V => {
    const state = make()
    all.set(key, { values: values.map(String), state })
    return state
  }
  return {
    of(values) {
      if (names.length === 0) return (only ??= add('', values))
      const key = keyOf(names, values)
      const known = all.get(key)
      if (known) return known.state
      if (all.size >= MOST_SERIES - 1) return (overflow ??= make())
      return add(key, values)
    },
    remove(values) {
      all.delete(keyOf(names, values))
    },
    samples(draw) {
      const out = [...all.values()].map(({ values, state }) => draw(labelled(names, values), state))
      if (overflow !== undefined) out.push(draw({ [OVERFLOW]: 'true' }, overflow))
      return out
    },
  }
}

function keyOf(names: readonly string[], values: readonly string[]): string {
  let key = values[0] ?? ''
  for (let i = 1; i < names.length; i++) key += `\u0000${values[i] ?? ''}`
  return key
}

/** An empty label value is no label, to Prometheus: it is left out. */
function labelled(names: readonly string[], values: readonly string[]): Record<string, string> {
  const labels: Record<string, string> = {}
  names.forEach((name, i) => {
    if (values[i]) labels[name] = values[i]
  })
  return labels
}
