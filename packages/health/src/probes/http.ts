import type { HealthProbe, ProbeResult } from '@afterspan/core/internal'
import { networkCode } from '../codes.ts'
import { scrub } from '../scrub.ts'
import { exchange, type HttpAnswer } from './http-exchange.ts'
import type { HttpProbeOptions } from './http-options.ts'

type Observed = Record<string, { readonly value: number | string | boolean; readonly unit?: string }>
const DAY_MS = 86_400_000

/**
 * A probe for `registerProbe()` that sends one request and judges the whole answer: status, content type, body, redirects, time, and how
 * long the server's certificate is valid. The body is read to its end. Throws a TypeError where the address is none of HTTP.
 */
export function httpProbe(options: HttpProbeOptions): HealthProbe {
  const url = new URL(options.url)
  if (!/^https?:$/.test(url.protocol)) throw new TypeError(`httpProbe: ${url.protocol} is neither http: nor https:`)
  // An agent of the app's may resume a session, in which the server shows no certificate.
  let validUntil: number | undefined
  const { name = 'http', criticality = 'required', groups, intervalMs, timeoutMs } = options
  return {
    name,
    component: 'http',
    criticality,
    ...(groups ? { groups } : {}),
    ...(intervalMs === undefined ? {} : { intervalMs }),
    ...(timeoutMs === undefined ? {} : { timeoutMs }),
    async check(signal) {
      if (signal.aborted) return fail('timeout', 'no answer within the deadline')
      try {
        const answer = await exchange(url, options, signal)
        validUntil = answer.validUntil ?? validUntil
        return judgeAnswer({ ...answer, ...(validUntil === undefined ? {} : { validUntil }) }, options)
      } catch (error) {
        return signal.aborted ? fail('timeout', 'no answer within the deadline') : refusal(error)
      }
    },
  }
}

/** Of an answer that came. */
export function judgeAnswer(answer: HttpAnswer, options: HttpProbeOptions, now = Date.now()): ProbeResult {
  const daysLeft = answer.validUntil === undefined ? undefined : (answer.validUntil - now) / DAY_MS
  const observed: Observed = {
    status: { value: answer.status },
    elapsed: { value: Math.round(answer.elapsedMs), unit: 'ms' },
    ...(daysLeft === undefined ? {} : { certificateDays: { value: Math.floor(daysLeft), unit: 'days' } }),
  }
  const wrong = wrongStatus(answer, options) ?? wrongType(answer, options) ?? wrongBody(answer, options)
  if (wrong) return { ...fail(...wrong), observed }
  // Node has let it pass where it was told not to look.
  if (daysLeft !== undefined && daysLeft < 0)
    return { ...fail('certificate_expired', 'the certificate has ended'), observed }
  if (daysLeft !== undefined && daysLeft < (options.certificateDays ?? 14))
    return warn('certificate_expires_soon', `the certificate ends in ${Math.floor(daysLeft)} days`, observed)
  if (options.slowMs !== undefined && answer.elapsedMs > options.slowMs)
    return warn('too_slow', `right, after ${Math.round(answer.elapsedMs)} ms`, observed)
  return { status: 'pass', observed }
}

type Wrong = readonly [code: string, reason: string] | undefined

function wrongStatus({ status, location }: HttpAnswer, { status: wanted }: HttpProbeOptions): Wrong {
  const isWell = wanted === undefined ? status >= 200 && status < 300 : [wanted].flat().includes(status)
  if (isWell) return undefined
  return location === undefined
    ? ['unexpected_status', `the status is ${status}`]
    : ['unexpected_redirect', `a redirect (${status}) that is not followed`]
}

function wrongType({ contentType }: HttpAnswer, { contentType: wanted }: HttpProbeOptions): Wrong {
  if (wanted === undefined) return undefined
  const media = contentType.split(';')[0]!.trim().toLowerCase()
  return media === wanted.toLowerCase() ? undefined : ['unexpected_content_type', 'the media type is another one']
}

function wrongBody({ body, isCut }: HttpAnswer, { text, json }: HttpProbeOptions): Wrong {
  if (text === undefined && json === undefined) return undefined
  if (isCut) return ['unexpected_body', 'the body is longer than a mebibyte']
  if (text !== undefined && !hasText(body, text)) return ['unexpected_body', 'the text is another one']
  if (json === undefined) return undefined
  let parsed: unknown
  try {
    parsed = JSON.parse(body)
  } catch {
    return ['unexpected_body', 'the body is no JSON']
  }
  const isWell = typeof json === 'function' ? Boolean((json as (value: unknown) => unknown)(parsed)) : has(parsed, json)
  return isWell ? undefined : ['unexpected_body', 'the JSON is another one']
}

function hasText(body: string, wanted: NonNullable<HttpProbeOptions['text']>): boolean {
  if (typeof wanted === 'string') return body.includes(wanted)
  // A pattern with g or y would remember where it was.
  return typeof wanted === 'function' ? wanted(body) : body.search(wanted) >= 0
}

/** Everything that is wanted is there; more may be. */
function has(value: unknown, wanted: unknown): boolean {
  if (typeof wanted !== 'object' || wanted === null) return Object.is(value, wanted)
  if (typeof value !== 'object' || value === null || Array.isArray(value) !== Array.isArray(wanted)) return false
  return Object.entries(wanted).every(([key, its]) => Object.hasOwn(value, key) && has(Reflect.get(value, key), its))
}

function fail(code: string, reason: string): ProbeResult {
  return { status: 'fail', code, cause: 'dependency', reason }
}

function warn(code: string, reason: string, observed: Observed): ProbeResult {
  return { status: 'warn', code, cause: 'dependency', reason, observed }
}

function refusal(error: unknown): ProbeResult {
  const message = error instanceof Error ? error.message : String(error)
  const code = String((error as { code?: unknown } | null)?.code)
  if (code === 'CERT_HAS_EXPIRED') return fail('certificate_expired', scrub(message))
  if (/^(?:ERR_TLS|ERR_SSL|CERT_|SELF_SIGNED|UNABLE_TO|DEPTH_ZERO|EPROTO)/.test(code))
    return fail('tls', scrub(message))
  // What answers speaks another protocol.
  if (code.startsWith('HPE_')) return fail('EPROTO', scrub(message))
  return fail(networkCode(error) ?? (/hang up|socket/i.test(message) ? 'connection_lost' : 'error'), scrub(message))
}
