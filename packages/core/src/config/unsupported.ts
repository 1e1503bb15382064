// OpenTelemetry's variables that the official SDK knows and Afterspan does not: named once where they are set, never silently ignored.
import { isMainThread } from 'node:worker_threads'
import { say } from '../diag.ts'
import { distance, type Env } from './load.ts'
import { otelOptions } from './options.ts'
import { logsOptions, metricsPushOptions } from './signal-options.ts'

export interface Unsupported {
  /** Names, or beginnings that end in an underscore. */
  readonly names: readonly string[]
  readonly why: string
}

export const UNSUPPORTED: readonly Unsupported[] = [
  {
    names: ['OTEL_EXPERIMENTAL_CONFIG_FILE'],
    why: 'the name is OTEL_CONFIG_FILE now',
  },
  {
    names: ['OTEL_EXPORTER_JAEGER_', 'OTEL_EXPORTER_ZIPKIN_'],
    why: 'spans go by OTLP, which Jaeger takes itself and Zipkin by a collector',
  },
]

/** Says each reason once, with the variables that are set for nothing, and which `OTEL_*` name looks like a slip. */
export function sayUnsupported(env: Env): void {
  if (!isMainThread) return
  const known = [otelOptions, metricsPushOptions, logsOptions].flatMap((section) =>
    Object.values(section).map((option) => option.env),
  )
  const asked = Object.keys(env).filter((name) => name.startsWith('OTEL_') && !known.includes(name))
  let rest = asked.filter((name) => env[name] !== '' && env[name] !== 'none') // none is what happens anyway
  for (const { names, why } of UNSUPPORTED) {
    const found = rest.filter((name) => names.some((n) => (n.endsWith('_') ? name.startsWith(n) : name === n)))
    if (found.length > 0) say('AFS_CONFIG_UNSUPPORTED', `${found.sort().join(', ')}: ${why}.`, why)
    rest = rest.filter((name) => !found.includes(name))
  }
  for (const name of rest) {
    const meant = known.find((option) => isSlip(name, option))
    if (meant) say('AFS_CONFIG_UNKNOWN', `${name} is not a variable of OpenTelemetry; did you mean ${meant}?`, name)
  }
}

/** One word of the name differs, by a letter or two. */
function isSlip(name: string, known: string): boolean {
  const own = name.split('_')
  const other = known.split('_')
  if (own.length !== other.length) return false
  const wrong = own.flatMap((word, i) => (word === other[i] ? [] : [distance(word, other[i]!)]))
  return wrong.length === 1 && wrong[0]! <= 2
}
