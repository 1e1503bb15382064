// Prometheus text 0.0.4 and OpenMetrics 1.0.0 from plain families. Why not @opentelemetry/exporter-prometheus: docs/decisions/metrics-exposition.md.
import type { Exemplar, HistogramSample, MetricFamily, MetricSample } from '../contracts/service.ts'

export const PROMETHEUS_TEXT = 'text/plain; version=0.0.4; charset=utf-8'
export const OPENMETRICS_TEXT = 'application/openmetrics-text; version=1.0.0; charset=utf-8'

/** Whether the scraper would rather have OpenMetrics: its quality is at least that of text/plain. */
export function prefersOpenMetrics(accept: string | undefined): boolean {
  if (!accept) return false
  let open = -1
  let plain = -1
  for (const part of accept.split(',')) {
    const [type = '', ...parameters] = part
      .trim()
      .split(';')
      .map((p) => p.trim().toLowerCase())
    const q = parameters.find((p) => p.startsWith('q='))
    const quality = q ? Number(q.slice(2)) || 0 : 1
    if (type === 'application/openmetrics-text') {
      const version = parameters.find((p) => p.startsWith('version='))?.slice(8)
      if (version === undefined || version === '1.0.0' || version === '0.0.1') open = Math.max(open, quality)
    } else if (type === 'text/plain' || type === '*/*') plain = Math.max(plain, quality)
  }
  return open > 0 && open >= plain
}

/** One valid exposition of all families. Colliding names are merged, as OpenTelemetry's compatibility rules have it: the first HELP and TYPE stand, a family of another type under a taken name is left out. */
export function renderMetrics(families: readonly MetricFamily[], openMetrics: boolean): string {
  const lines: string[] = []
  for (const family of merged(families)) {
    if (family.samples.length === 0) continue
    const { name } = family
    const declared = family.type === 'counter' && !openMetrics ? `${name}_total` : name
    lines.push(`# HELP ${declared} ${escapeHelp(family.help, openMetrics)}`, `# TYPE ${declared} ${family.type}`)
    if (openMetrics && family.unit && name.endsWith(`_${family.unit}`)) lines.push(`# UNIT ${declared} ${family.unit}`)
    if (family.type === 'histogram') for (const sample of family.samples) histogram(lines, name, sample, openMetrics)
    else {
      const full = family.type === 'counter' ? `${name}_total` : name
      for (const sample of family.samples) lines.push(`${full}${labels(sample.labels)} ${number(sample.value)}`)
    }
  }
  if (openMetrics) lines.push('# EOF')
  return `${lines.join('\n')}\n`
}

function merged(families: readonly MetricFamily[]): MetricFamily[] {
  const byName = new Map<string, { family: MetricFamily; samples: Map<string, MetricSample | HistogramSample> }>()
  for (const family of families) {
    const name = metricName(family.name, family.type, family.unit)
    let entry = byName.get(name)
    if (!entry) byName.set(name, (entry = { family: { ...family, name } as MetricFamily, samples: new Map() }))
    else if (entry.family.type !== family.type) continue
    for (const sample of family.samples) {
      const clean = cleanLabels(sample.labels)
      const key = labels(clean)
      const before = entry.samples.get(key)
      const now = { ...sample, labels: clean }
      entry.samples.set(key, before ? added(before, now, family.type) : now)
    }
  }
  return [...byName.values()].map(
    ({ family, samples }) => ({ ...family, samples: [...samples.values()] }) as MetricFamily,
  )
}

function added(
  a: MetricSample | HistogramSample,
  b: MetricSample | HistogramSample,
  type: MetricFamily['type'],
): MetricSample | HistogramSample {
  if (type === 'gauge') return b
  if (type === 'counter') return { ...a, value: (a as MetricSample).value + (b as MetricSample).value }
  const [x, y] = [a as HistogramSample, b as HistogramSample]
  if (x.counts.length !== y.counts.length) return x
  return { ...x, counts: x.counts.map((n, i) => n + y.counts[i]!), sum: x.sum + y.sum, count: x.count + y.count }
}

/** Any OpenTelemetry name as a legal Prometheus one, its unit as a suffix, without the `_total` that the renderer adds. */
export function metricName(name: string, type: MetricFamily['type'], unit?: string): string {
  let clean = name.replace(/[^a-zA-Z0-9_:]+/g, '_').replace(/__+/g, '_')
  if (/^[0-9]/.test(clean)) clean = `_${clean}`
  if (clean === '' || clean === '_') clean = '_unnamed'
  if (type === 'counter') clean = clean.replace(/_total$/, '')
  if (unit && !clean.endsWith(`_${unit}`)) clean += `_${unit}`
  return clean
}

function cleanLabels(given: Readonly<Record<string, string>>): Record<string, string> {
  const out: Record<string, string> = {}
  for (const [name, value] of Object.entries(given)) {
    let clean = name.replace(/[^a-zA-Z0-9_]+/g, '_')
    if (/^[0-9]/.test(clean)) clean = `key_${clean}`
    if (clean === '') clean = '_'
    if (clean.startsWith('__')) clean = `key${clean}`
    // Two names that become one: their values are joined, as the specification says.
    out[clean] = Object.hasOwn(out, clean) ? `${out[clean]};${value}` : String(value)
  }
  return out
}

function histogram(lines: string[], name: string, sample: HistogramSample, openMetrics: boolean): void {
  let cumulative = 0
  sample.counts.forEach((count, i) => {
    cumulative += count
    const le = i < sample.bounds.length ? number(sample.bounds[i]!) : '+Inf'
    const exemplar = openMetrics ? sample.exemplars?.[i] : undefined
    lines.push(
      `${name}_bucket${labels({ ...sample.labels, le })} ${cumulative}${exemplar ? exemplarText(exemplar) : ''}`,
    )
  })
  lines.push(
    `${name}_sum${labels(sample.labels)} ${number(sample.sum)}`,
    `${name}_count${labels(sample.labels)} ${sample.count}`,
  )
}

function exemplarText({ labels: own, value, at }: Exemplar): string {
  return ` # ${labels(own) || '{}'} ${number(value)} ${(at / 1000).toFixed(3)}`
}

function labels(set: Readonly<Record<string, string>>): string {
  const names = Object.keys(set)
  if (names.length === 0) return ''
  names.sort((a, b) => (a === 'le' ? 1 : b === 'le' ? -1 : a < b ? -1 : 1))
  return `{${names.map((name) => `${name}="${escapeValue(set[name]!)}"`).join(',')}}`
}
function escapeValue(value: string): string {
  return value.replace(/\\/g, '\\\\').replace(/\n/g, '\\n').replace(/"/g, '\\"')
}
function escapeHelp(help: string, openMetrics: boolean): string {
  const escaped = help.replace(/\\/g, '\\\\').replace(/\n/g, '\\n')
  return openMetrics ? escaped.replace(/"/g, '\\"') : escaped
}
function number(value: number): string {
  if (Number.isNaN(value)) return 'NaN'
  if (value === Infinity) return '+Inf'
  return value === -Infinity ? '-Inf' : String(value)
}
