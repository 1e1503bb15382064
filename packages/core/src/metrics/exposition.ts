// Prometheus text 0.0.4 and OpenMetrics 1.0.0 from plain families. Why not @opentelemetry/exporter-prometheus: docs/decisions/metrics-exposition.md.
import type { Exemplar, HistogramSample, MetricFamily } from '../contracts/service.ts'
import { mergeFamilies, type LeftOut } from './merge.ts'

/** One valid exposition of all families. What it cannot show is counted in it: `afterspan_metrics_left_out`. */
export function renderMetrics(families: readonly MetricFamily[], openMetrics: boolean): string {
  const leftOut: LeftOut = new Map()
  const lines: string[] = []
  for (const family of mergeFamilies(families, leftOut)) renderFamily(lines, family, openMetrics)
  if (leftOut.size > 0) renderFamily(lines, leftOutFamily(leftOut), openMetrics)
  if (openMetrics) lines.push('# EOF')
  return `${lines.join('\n')}\n`
}

function renderFamily(lines: string[], family: MetricFamily, openMetrics: boolean): void {
  if (family.samples.length === 0) return
  const { name, type } = family
  const suffix = SAMPLE_SUFFIX[type]
  // Before OpenMetrics a family was named as its samples are, and nothing was an info.
  const declared = openMetrics ? name : name + suffix
  const shownType = type === 'info' && !openMetrics ? 'gauge' : type
  lines.push(`# HELP ${declared} ${escapeHelp(family.help, openMetrics)}`, `# TYPE ${declared} ${shownType}`)
  if (openMetrics && family.unit && type !== 'info' && name.endsWith(`_${family.unit}`))
    lines.push(`# UNIT ${declared} ${family.unit}`)
  if (type === 'histogram') {
    for (const sample of family.samples) histogram(lines, name, sample, openMetrics)
    return
  }
  for (const { labels, value, exemplar } of family.samples) {
    const tail = openMetrics && type === 'counter' && exemplar ? exemplarText(exemplar) : ''
    lines.push(`${name}${suffix}${labelText(labels)} ${number(value)}${tail}`)
  }
}

const SAMPLE_SUFFIX: Readonly<Record<MetricFamily['type'], string>> = {
  counter: '_total',
  gauge: '',
  histogram: '',
  info: '_info',
}

function histogram(lines: string[], name: string, sample: HistogramSample, openMetrics: boolean): void {
  const own = labelText(sample.labels)
  const head = `${name}_bucket${own === '' ? '{' : `${own.slice(0, -1)},`}le="`
  let cumulative = 0
  sample.counts.forEach((count, i) => {
    cumulative += count
    const le = i < sample.bounds.length ? bound(sample.bounds[i]!, openMetrics) : '+Inf'
    const exemplar = openMetrics ? sample.exemplars?.[i] : undefined
    lines.push(`${head}${le}"} ${cumulative}${exemplar ? exemplarText(exemplar) : ''}`)
  })
  // OpenMetrics: no sum where something below zero may be in it, or it would not be a counter.
  const hasSum = !openMetrics || (!((sample.bounds[0] ?? 0) < 0) && sample.sum >= 0)
  if (hasSum) lines.push(`${name}_sum${own} ${number(sample.sum)}`)
  if (hasSum) lines.push(`${name}_count${own} ${cumulative}`)
}

function leftOutFamily(leftOut: LeftOut): MetricFamily {
  return {
    name: 'afterspan_metrics_left_out',
    type: 'gauge',
    help: 'Series that this answer does not show, by reason: their names, types or values cannot stand beside the others.',
    samples: [...leftOut].map(([reason, value]) => ({ labels: { reason }, value })),
  }
}

function exemplarText({ labels, value, at }: Exemplar): string {
  return ` # ${labelText(labels) || '{}'} ${number(value)} ${(at / 1000).toFixed(3)}`
}

function labelText(labels: Readonly<Record<string, string>>): string {
  const names = Object.keys(labels)
  if (names.length === 0) return ''
  if (names.length > 1) names.sort()
  return `{${names.map((name) => `${name}="${escapeValue(labels[name]!)}"`).join(',')}}`
}
function escapeValue(value: string): string {
  return /[\\\n"]/.test(value) ? value.replace(/\\/g, '\\\\').replace(/\n/g, '\\n').replace(/"/g, '\\"') : value
}
function escapeHelp(help: string, openMetrics: boolean): string {
  const escaped = help.toWellFormed().replace(/\\/g, '\\\\').replace(/\n/g, '\\n')
  return openMetrics ? escaped.replace(/"/g, '\\"') : escaped
}
function number(value: number): string {
  if (Number.isNaN(value)) return 'NaN'
  if (value === Infinity) return '+Inf'
  return value === -Infinity ? '-Inf' : String(value)
}
/** OpenMetrics writes bounds as floats, as Go does: 1.0, 1e-05, 1e+06. */
function bound(value: number, openMetrics: boolean): string {
  const text = number(value)
  if (!openMetrics || !Number.isFinite(value)) return text
  const magnitude = Math.abs(value)
  if (magnitude >= 1e6 || (magnitude < 1e-4 && magnitude > 0))
    return value.toExponential().replace(/e([+-])(\d)$/, 'e$10$2')
  return Number.isInteger(value) ? `${text}.0` : text
}
