// CLIENT spans for node:http and node:https from Node's own channels. fetch and undici have channels of their own.
import { subscribe } from 'node:diagnostics_channel'
import type { ClientRequest, IncomingMessage } from 'node:http'
import {
  context,
  propagation,
  SpanKind,
  SpanStatusCode,
  trace,
  type Span,
  type TextMapSetter,
  type Tracer,
} from '@opentelemetry/api'
import { isTracingSuppressed } from '@opentelemetry/core'
import { describeException } from '../sdk/request-span.ts'
import { OWN_REQUEST } from '../sdk/otlp/transport.ts'
import type { MetricRegistry } from '../metrics/registry.ts'
import { makeRoom } from './listener-room.ts'
import { createClientMetrics, type ClientMeasure } from './client-metrics.ts'
import { redactQuery } from './redact-query.ts'
import { addWrittenHeader, writtenHost } from './written-headers.ts'

const SPAN: unique symbol = Symbol('afterspan.client-span')
interface Marked {
  [SPAN]?: OpenClientSpan | undefined
}
interface OpenClientSpan extends ClientMeasure {
  readonly span: Span
}

const SETTABLE: TextMapSetter<ClientRequest> = {
  set(request, key, value) {
    request.setHeader(key, value)
  },
}
/** Node has written the head already, but not sent it: the headers are a flat list, or the server is asked to expect a body. */
const WRITTEN: TextMapSetter<ClientRequest> = { set: addWrittenHeader }

export function watchClients(tracer: () => Tracer, metrics: MetricRegistry): void {
  const measure = createClientMetrics(metrics)
  const finish = (request: ClientRequest & Marked): void => {
    const open = request[SPAN]
    request[SPAN] = undefined
    if (!open) return
    open.span.end()
    measure(open, open.span.spanContext())
  }
  subscribe('http.client.request.created', (message) => {
    try {
      created((message as { request: ClientRequest & Marked }).request, tracer(), finish)
    } catch {
      /* the request goes on without a span */
    }
  })
  subscribe('http.client.response.finish', (message) => {
    const { request, response } = message as { request: ClientRequest & Marked; response: IncomingMessage }
    const open = request[SPAN]
    if (!open) return
    tellStatus(open, response)
    const end = (): void => {
      finish(request)
    }
    makeRoom(response)
    response.once('end', end)
    response.once('close', end)
  })
  subscribe('http.client.request.error', (message) => {
    const { request, error } = message as { request: ClientRequest & Marked; error: unknown }
    const open = request[SPAN]
    if (!open) return
    fail(open, error)
    finish(request)
  })
}

function tellStatus(open: OpenClientSpan, { statusCode: status = 0, httpVersion }: IncomingMessage): void {
  const { span } = open
  open.status = String(status)
  open.version = httpVersion
  span.setAttribute('http.response.status_code', status)
  span.setAttribute('network.protocol.version', httpVersion)
  if (status < 400) return
  open.errorType = String(status)
  span.setAttribute('error.type', open.errorType)
  span.setStatus({ code: SpanStatusCode.ERROR })
}

function fail(open: OpenClientSpan, error: unknown): void {
  const { type, message } = describeException(error)
  open.errorType = type
  open.span.setAttribute('error.type', type)
  open.span.setStatus({ code: SpanStatusCode.ERROR, message })
}

/** By the server, or on the way. Where the app gave the request up, Node has dumped what was to come. */
function isCutOff(response: IncomingMessage & { readonly _dumped?: boolean }): boolean {
  return !response.complete && response.errored !== null && response._dumped !== true
}

function created(
  request: ClientRequest & Marked,
  tracer: Tracer,
  finish: (request: ClientRequest & Marked) => void,
): void {
  if ((request as { agent?: object }).agent && OWN_REQUEST in (request as unknown as { agent: object }).agent) return
  const active = context.active()
  if (isTracingSuppressed(active)) return
  const { host, protocol, method, path } = request
  const query = path.indexOf('?')
  const secure = protocol === 'https:'
  const hostHeader = String(request.getHeader('host') ?? writtenHost(request) ?? host)
  const port = Number(/:(\d{1,5})$/.exec(hostHeader)?.[1] ?? (secure ? 443 : 80))
  const span = tracer.startSpan(method, {
    kind: SpanKind.CLIENT,
    attributes: {
      'http.request.method': method,
      'server.address': host,
      'server.port': port,
      'url.full': `${protocol}//${hostHeader}${query < 0 ? path : `${path.slice(0, query)}?${redactQuery(path.slice(query + 1))}`}`,
    },
  })
  request[SPAN] = { span, startedAt: performance.now(), method, address: host, port, scheme: secure ? 'https' : 'http' }
  propagation.inject(trace.setSpan(active, span), request, request.headersSent ? WRITTEN : SETTABLE)
  // An upgrade, a CONNECT, or a destroy() without an error ends without the other two channels.
  // So does an answer that is cut off: Node closes the request before the response.
  makeRoom(request)
  request.once('close', () => {
    const { [SPAN]: open, res } = request as typeof request & { readonly res?: IncomingMessage | null }
    if (open && res && isCutOff(res)) fail(open, res.errored)
    if (open && open.status === undefined && res?.statusCode !== undefined) tellStatus(open, res)
    finish(request)
  })
}
