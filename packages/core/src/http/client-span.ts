import { SpanKind, SpanStatusCode, type Span, type Tracer } from '@opentelemetry/api'
import { describeException } from '../sdk/request-span.ts'
import { abortOf } from '../tasks/aborted.ts'
import type { ClientMeasure } from './client-metrics.ts'
import { redactQuery } from './redact-query.ts'

/** A request that this process has sent, from its first byte to the last one of its answer. */
export interface OpenClientSpan extends ClientMeasure {
  readonly span: Span
  /** Until it is known where the connection goes. */
  portless?: Sent | undefined
}

/** What is asked for, and of whom. */
export interface Sent extends Pick<ClientMeasure, 'method' | 'address' | 'port' | 'scheme'> {
  /** Host, and the port where it is not the scheme's. */
  readonly authority: string
  readonly path: string
  /** It is on the connection alone. */
  readonly isPortUnknown?: true
}

export function defaultPort(scheme: Sent['scheme']): number {
  return scheme === 'https' ? 443 : 80
}

export function openClientSpan(tracer: Tracer, sent: Sent): OpenClientSpan {
  const { method, address, port, scheme, isPortUnknown } = sent
  const span = tracer.startSpan(method, {
    kind: SpanKind.CLIENT,
    attributes: {
      'http.request.method': method,
      'server.address': address,
      ...(isPortUnknown ? {} : { 'server.port': port }),
      'url.full': urlOf(sent),
    },
  })
  const portless = isPortUnknown ? sent : undefined
  return { span, startedAt: performance.now(), method, address, port, scheme, ...(portless ? { portless } : {}) }
}

function urlOf({ scheme, authority, path }: Sent): string {
  const query = path.indexOf('?')
  return `${scheme}://${authority}${query < 0 ? path : `${path.slice(0, query)}?${redactQuery(path.slice(query + 1))}`}`
}

/** Where the request went, or was to go, as its connection or its error tells it. */
export function tellPort(open: OpenClientSpan, port: unknown): void {
  const { portless, span } = open
  if (!portless || typeof port !== 'number') return
  open.portless = undefined
  open.port = port
  span.setAttribute('server.port', port)
  if (port === defaultPort(portless.scheme)) return
  span.setAttribute('url.full', urlOf({ ...portless, authority: `${portless.authority}:${port}` }))
}

export function tellStatus(open: OpenClientSpan, status: number, version: string): void {
  const { span } = open
  open.status = String(status)
  open.version = version
  span.setAttribute('http.response.status_code', status)
  span.setAttribute('network.protocol.version', version)
  if (status < 400) return
  open.errorType = String(status)
  span.setAttribute('error.type', open.errorType)
  span.setStatus({ code: SpanStatusCode.ERROR })
}

export function failClientSpan(open: OpenClientSpan, error: unknown, as = abortOf(error)): void {
  const { type, message } = describeException(error)
  open.errorType = as ?? type
  open.span.setAttribute('error.type', open.errorType)
  open.span.setStatus({ code: SpanStatusCode.ERROR, message })
}

/** The app's wish, which Node has no AbortError for. */
export function giveUpClientSpan(open: OpenClientSpan, error: unknown): void {
  failClientSpan(open, error, 'AbortError')
}
