// Any OpenTelemetry name as a legal Prometheus one, by OpenTelemetry's compatibility specification.
import type { MetricFamily } from '../contracts/service.ts'

/** With its unit as a suffix, without the `_total` of counters and the `_info` of infos, which the renderer adds. */
export function metricName(name: string, type: MetricFamily['type'], unit?: string): string {
  let clean = name.replace(/[^a-zA-Z0-9_:]+/g, '_').replace(/__+/g, '_')
  if (/^[0-9]/.test(clean)) clean = `_${clean}`
  if (type === 'counter') clean = without(clean, '_total')
  if (type === 'info') clean = without(clean, '_info')
  if (clean === '' || clean === '_') clean = spelled(name)
  if (!unit || clean.endsWith(`_${unit}`) || clean === unit) return clean
  return clean.endsWith('_') ? `${clean}${unit}` : `${clean}_${unit}`
}

/**
 * Labels that are legal and say what the attributes said. Names that become one have their values joined by ';', in the order
 * of the original names. An empty value is no label to Prometheus: it is left out, or two series would be one.
 */
export function cleanLabels(given: Readonly<Record<string, string>>): Readonly<Record<string, string>> {
  const names = Object.keys(given)
  if (names.every((name) => isClean(name) && isPlain(given[name]))) return given
  const out: Record<string, string> = Object.create(null)
  for (const name of names.sort()) {
    const value = String(given[name]).toWellFormed()
    if (value === '') continue
    const clean = labelName(name)
    out[clean] = clean in out ? `${out[clean]};${value}` : value
  }
  return out
}

function labelName(name: string): string {
  let clean = name.replace(/[^a-zA-Z0-9_]+/g, '_').replace(/__+/g, '_')
  if (/^[0-9]/.test(clean)) clean = `key_${clean}`
  if (clean === '' || clean === '_') clean = spelled(name)
  return OF_BUCKETS.has(clean) ? `exported_${clean}` : clean
}

/** Labels that mean something else where Prometheus sees them. */
const OF_BUCKETS = new Set(['le', 'quantile'])

/** A name of which nothing is left: two of them must not become one. */
function spelled(name: string): string {
  const points = Array.from(name.slice(0, 40), (c) => c.codePointAt(0)!.toString(16))
  return points.length === 0 ? 'unnamed' : `u${points.join('_')}`
}

function isClean(name: string): boolean {
  return /^(?!.*__)[a-zA-Z_][a-zA-Z0-9_]*$/.test(name) && name !== '_' && !OF_BUCKETS.has(name)
}
function isPlain(value: string | undefined): boolean {
  return typeof value === 'string' && value !== '' && value.isWellFormed()
}
function without(name: string, suffix: string): string {
  return name.endsWith(suffix) ? name.slice(0, -suffix.length) : name
}
