import { isOfTheDependency } from './fleet.ts'
import type { AdminRequest } from '@afterspan/core/internal'
import type { CheckState } from './snapshot.ts'
import { renderSpring, renderTerminus } from './familiar.ts'
import type { Endpoint, JudgedCheck, Verdict } from './verdict.ts'

export type Format = 'health+json' | 'json' | 'spring' | 'terminus' | 'text'
/** The media type by which Spring Boot's own clients ask. */
const SPRING = 'application/vnd.spring-boot.actuator.v3+json'
export const CONTENT_TYPES: Readonly<Record<Format, string>> = {
  'health+json': 'application/health+json; charset=utf-8',
  json: 'application/json; charset=utf-8',
  spring: SPRING,
  terminus: 'application/json; charset=utf-8',
  text: 'text/plain; charset=utf-8',
}
const DATASTORES: ReadonlySet<string> = new Set(['mongodb', 'mysql', 'postgresql', 'redis'])

/** Who reads it. What a driver said, where the client was made and what was measured is for the trusted alone. */
export interface Reader {
  readonly trusted: boolean
  readonly serviceName: string
}

/** Any format but text. */
export function renderBody(format: Format, verdict: Verdict, reader: Reader): string {
  if (format === 'spring') return renderSpring(verdict, reader.trusted)
  return format === 'terminus' ? renderTerminus(verdict, reader.trusted) : renderJson(verdict, reader)
}

/** draft-inadarei-api-health-check. The public form has names, statuses and codes of the fixed table, nothing else. */
export function renderJson(verdict: Verdict, reader: Reader): string {
  const checks: Record<string, unknown[]> = {}
  for (const check of verdict.checks) {
    if (check.excluded) continue
    const primary = primaryMeasurement(check.state)
    checks[`${check.state.name}:${primary}`] = [reader.trusted ? fullEntry(check, primary) : publicEntry(check)]
    if (reader.trusted) otherMeasurements(check, primary, checks)
  }
  return JSON.stringify({
    status: verdict.status,
    ...(reader.trusted ? { serviceId: reader.serviceName } : {}),
    ...(verdict.code ? { code: verdict.code } : {}),
    ...(reader.trusted && verdict.code ? { output: WHY[verdict.code] } : {}),
    checks,
  })
}

/**
 * Kubernetes' grammar: `ok`, or with verbose (and always when it failed) one line for each check. The reason of a failed check
 * is withheld from those who are not trusted.
 */
export function renderText(
  endpoint: Endpoint,
  verdict: Verdict,
  given: { readonly verbose: boolean; readonly trusted: boolean; readonly unmatched?: boolean },
): string {
  if (verdict.ok && !given.verbose) return 'ok'
  const lines = verdict.checks.map((check) => checkLine(check, given.trusted))
  if (verdict.code) lines.unshift(`[-]${verdict.code} failed: ${WHY[verdict.code]}`)
  if (given.unmatched) lines.push('warn: some health checks cannot be excluded: no such check')
  lines.push(`${endpoint} check ${verdict.ok ? 'passed' : 'failed'}`, '')
  return lines.join('\n')
}

/** One check by itself, as `/readyz/<check>` tells it. */
export function renderCheck(verdict: Verdict, check: JudgedCheck, trusted: boolean): string {
  if (verdict.ok) return 'ok'
  return verdict.code ? `[-]${check.state.name} failed: ${verdict.code}\n` : `${checkLine(check, trusted)}\n`
}

/** What `?format=` names, or else what the Accept header likes best. */
export function wantedFormat({ query, headers }: Pick<AdminRequest, 'headers' | 'query'>, own: Format): Format {
  const named = query.get('format')
  if (named === 'spring' || named === 'terminus' || named === 'text' || named === 'json') return named
  return named === 'health' ? 'health+json' : preferredFormat(headers['accept'], own)
}

/** The format that the Accept header likes best; where it likes none or all the same, the endpoint's own. Never a refusal: a probe must get its answer. */
export function preferredFormat(accept: string | undefined, own: Format): Format {
  if (!accept) return own
  const ranges = accept.slice(0, 500).split(',').map(mediaRange)
  const order: readonly Format[] = [own, 'health+json', 'json', 'text', 'spring']
  let best = own
  let bestQuality = 0
  for (const format of order) {
    const quality = qualityOf(CONTENT_TYPES[format].split(';')[0]!, ranges)
    if (quality > bestQuality) {
      best = format
      bestQuality = quality
    }
  }
  return best
}

const WHY = {
  draining: 'the process was asked to leave and finishes what is in flight',
  starting: 'a required check has not had its first result yet',
  stale: 'the main thread has sent no sign of life for three intervals',
} as const

function primaryMeasurement(state: CheckState): string {
  return state.component === 'system' ? 'utilization' : 'responseTime'
}

function publicEntry({ state, status }: JudgedCheck): Record<string, unknown> {
  const code = codeOf(state)
  return { status: status ?? 'warn', ...(code === undefined ? {} : { code }) }
}

function fullEntry(check: JudgedCheck, primary: string): Record<string, unknown> {
  const { state } = check
  const measured = primary === 'responseTime' ? responseTime(state) : state.observed?.[primary]
  return {
    componentType: componentType(state.component),
    componentId: state.component,
    ...publicEntry(check),
    ...(measured ? { observedValue: measured.value, ...(measured.unit ? { observedUnit: measured.unit } : {}) } : {}),
    ...(state.at === undefined ? {} : { time: iso(state.at) }),
    ...(state.status === undefined || state.reason === undefined ? {} : { output: state.reason }),
    criticality: state.required ? 'required' : 'optional',
    ...(state.isOpen && isOfTheDependency(state) ? { shared: 'open' } : {}),
    ...(state.cause === undefined ? {} : { cause: state.cause }),
    ...(state.since === undefined ? {} : { since: iso(state.since) }),
    ...(state.lastPassAt === undefined ? {} : { lastPass: iso(state.lastPassAt) }),
    ...(state.madeAt === undefined ? {} : { madeAt: state.madeAt }),
    ...(state.abandoned === 0 ? {} : { abandoned: state.abandoned }),
    ...shownBy(state),
  }
}

/** The draft has `affectedEndpoints` for what is not well alone. */
function shownBy({ endpoints, evidence, trace }: CheckState): Record<string, unknown> {
  return {
    ...(endpoints ? { affectedEndpoints: endpoints } : {}),
    ...(trace === undefined ? {} : { trace }),
    ...(evidence ? { evidence: evidence.map(({ trace: { traceId }, ...rest }) => ({ trace: traceId, ...rest })) } : {}),
  }
}

function otherMeasurements(check: JudgedCheck, primary: string, into: Record<string, unknown[]>): void {
  for (const [measurement, { value, unit }] of Object.entries(check.state.observed ?? {})) {
    if (measurement === primary) continue
    into[`${check.state.name}:${measurement}`] = [
      { observedValue: value, ...(unit ? { observedUnit: unit } : {}), status: check.status ?? 'warn' },
    ]
  }
}

function responseTime(state: CheckState): { value: number; unit: string } | undefined {
  return state.durationMs === undefined ? undefined : { value: Math.round(state.durationMs * 10) / 10, unit: 'ms' }
}

function componentType(component: string): string {
  if (component === 'system') return 'system'
  return DATASTORES.has(component) ? 'datastore' : 'component'
}

function codeOf(state: CheckState): string | undefined {
  return state.status === undefined ? 'pending' : state.code
}

function checkLine({ state, status, excluded }: JudgedCheck, trusted: boolean): string {
  if (excluded) return `[+]${state.name} excluded: ok`
  if (status === undefined) return `[-]${state.name} failed: pending`
  if (status === 'fail') return `[-]${state.name} failed: ${trusted ? why(state) : 'reason withheld'}`
  if (status === 'warn') return `[+]${state.name} warn: ${trusted ? why(state) : 'reason withheld'}`
  return `[+]${state.name} ok`
}

function why(state: CheckState): string {
  const words = [state.code, state.reason].filter((word) => word !== undefined)
  return words.length > 0 ? words.join(': ') : 'no reason given'
}

function iso(at: number): string {
  return new Date(at).toISOString()
}

interface MediaRange {
  readonly type: string
  readonly quality: number
}
function mediaRange(text: string): MediaRange {
  const [type = '', ...parameters] = text.split(';').map((part) => part.trim().toLowerCase())
  const q = parameters.find((parameter) => parameter.startsWith('q='))
  const quality = q === undefined ? 1 : Number(q.slice(2))
  return { type, quality: quality >= 0 && quality <= 1 ? quality : 0 }
}

/** The most specific range that covers the type decides. */
function qualityOf(type: string, ranges: readonly MediaRange[]): number {
  const group = `${type.split('/')[0]}/*`
  return (
    (
      ranges.find((r) => r.type === type) ??
      ranges.find((r) => r.type === group) ??
      ranges.find((r) => r.type === '*/*')
    )?.quality ?? 0
  )
}
