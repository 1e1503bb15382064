// SERVER spans from Node's own diagnostics channels. Measured facts that shaped this file: on Node 22 (and 24 without
// AsyncContextFrame) the start hook runs under the previous request's context; with pipelining finish and close run under
// another request's; 'response.finish' is never published on a client abort; raw `req.on('end')` listeners lose the context on 24 and 26.
import { subscribe } from 'node:diagnostics_channel'
import { IncomingMessage, type Server, type ServerResponse } from 'node:http'
import {
  context,
  propagation,
  ROOT_CONTEXT,
  SpanStatusCode,
  trace,
  TraceFlags,
  type Attributes,
  type Context,
  type SpanContext,
} from '@opentelemetry/api'
import { suppressTracing } from '@opentelemetry/core'
import { SamplingDecision, type Sampler } from '@opentelemetry/sdk-trace'
import { SpanKind } from '@opentelemetry/api'
import type { EpochMs, RequestOutcome, TraceRef } from '../contracts/task.ts'
import type { Histogram, MetricRegistry } from '../metrics/registry.ts'
import type { AsyncContextManager } from '../sdk/context-manager.ts'
import { spanId, traceId } from '../sdk/ids.ts'
import { describeException, RequestSpan, type SpanLimits } from '../sdk/request-span.ts'
import type { SpanData } from '../sdk/span-data.ts'
import { nowMs } from '../sdk/time.ts'
import { requestChannel } from '../tasks/channel.ts'
import type { createEffectiveCounter } from './effective.ts'
import { expressRoute } from './express-route.ts'
import { inFlight, type OpenRequest } from './in-flight.ts'
import { abortOutcome } from './outcome.ts'
import { redactQuery } from './redact-query.ts'
import { REQUEST_KEY, type RequestRecord } from './request-record.ts'

export interface ServerSettings {
  readonly manager: AsyncContextManager
  readonly sampler: Sampler
  readonly limits: SpanLimits
  readonly metrics: MetricRegistry
  readonly effective: ReturnType<typeof createEffectiveCounter>
  readonly serviceName: string
  readonly ignorePaths: ReadonlySet<string>
  readonly traceResponse: boolean
  /** 'received' is published for every request. */
  readonly flight: boolean
  deliver(span: SpanData): void
  /** The response has ended; work of the request that is still open becomes tasks of its own. */
  requestEnded(record: RequestRecord): void
}

const OPEN: unique symbol = Symbol('afterspan.open')
interface Marked {
  [OPEN]?: Open
}
const METHODS = new Set(['GET', 'HEAD', 'POST', 'PUT', 'DELETE', 'CONNECT', 'OPTIONS', 'TRACE', 'PATCH', 'QUERY'])
/** Semconv: http.server.request.duration. */
const BOUNDS = [0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1, 2.5, 5, 7.5, 10]

class Open implements OpenRequest {
  readonly record: RequestRecord
  readonly span: RequestSpan
  readonly context: Context
  readonly request: IncomingMessage
  readonly settle: (open: Open, outcome: RequestOutcome, status: number | undefined) => void
  error: unknown
  done = false

  constructor(init: Pick<Open, 'record' | 'span' | 'context' | 'request' | 'settle'>) {
    this.record = init.record
    this.span = init.span
    this.context = init.context
    this.request = init.request
    this.settle = init.settle
  }
  get ref(): TraceRef {
    return this.record.ref
  }
  endForCrash(role: 'culprit' | 'bystander' | 'unattributed', error: unknown, culprit: TraceRef | undefined): void {
    this.span.setAttribute('afterspan.crash.role', role)
    if (role === 'culprit') this.error = error
    else if (culprit)
      this.span.addLink({
        context: { traceId: culprit.traceId, spanId: culprit.spanId, traceFlags: culprit.sampled ? 1 : 0 },
        attributes: { 'afterspan.crash.role': 'culprit' },
      })
    this.settle(this, 'crashed', undefined)
  }
  endForExit(): void {
    this.settle(this, 'aborted_by_server', undefined)
  }
}

/** Watches every server of this process. Nothing is patched but `on` of incoming messages; nothing of ours throws into the app. */
export function watchServers(settings: ServerSettings): {
  recordError(request: unknown, error: unknown): void
  setRoute(request: unknown, route: string): void
} {
  const duration = settings.metrics.histogram(
    'http_server_request_duration_seconds',
    'Duration of HTTP server requests.',
    's',
    BOUNDS,
    [
      'http_request_method',
      'http_response_status_code',
      'http_route',
      'url_scheme',
      'network_protocol_version',
      'error_type',
    ],
  )
  const active = settings.metrics.gauge('http_server_active_requests', 'HTTP server requests that are being served.', [
    'http_request_method',
    'url_scheme',
  ])
  const activeCounts = new Map<string, number>()
  const count = (method: string, scheme: string, by: number): void => {
    const key = `${method} ${scheme}`
    const now = (activeCounts.get(key) ?? 0) + by
    activeCounts.set(key, now)
    active.set(now, method, scheme)
  }
  const answered = createAnsweredGroup()
  const settle = (open: Open, outcome: RequestOutcome, status: number | undefined): void => {
    end(settings, open, outcome, status, duration, count, answered)
  }

  subscribe('http.server.request.start', (message) => {
    const { request, response, server } = message as {
      request: IncomingMessage
      response: ServerResponse
      server: Server
    }
    try {
      start(settings, request, response, server, settle, count)
    } catch {
      settings.manager.enter(ROOT_CONTEXT)
    }
  })
  subscribe('http.server.response.finish', (message) => {
    const { response } = message as { response: ServerResponse & Marked }
    const open = response[OPEN]
    if (open) settle(open, 'sent', response.statusCode)
  })
  bindLateListeners()
  return {
    recordError(request, error) {
      const open = (request as Marked)[OPEN]
      if (open && !open.done) open.error = error
    },
    setRoute(request, route) {
      const open = (request as Marked)[OPEN]
      if (open && !open.done) open.record.route = route
    },
  }
}

function start(
  settings: ServerSettings,
  request: IncomingMessage & Marked,
  response: ServerResponse & Marked,
  server: Server,
  settle: Open['settle'],
  count: (method: string, scheme: string, by: number) => void,
): void {
  const target = request.url ?? '/'
  const query = target.indexOf('?')
  const path = query < 0 ? target : target.slice(0, query)
  if (settings.ignorePaths.has(path)) {
    settings.manager.enter(suppressTracing(ROOT_CONTEXT))
    return
  }
  const headers = request.headers
  const inbound =
    headers['traceparent'] !== undefined || headers['baggage'] !== undefined || headers['b3'] !== undefined
      ? propagation.extract(ROOT_CONTEXT, headers)
      : ROOT_CONTEXT
  const parent = trace.getSpanContext(inbound)
  const method = METHODS.has(request.method ?? '') ? request.method! : '_OTHER'
  const scheme = (request.socket as { encrypted?: boolean }).encrypted ? 'https' : 'http'
  const attributes = describe(request, server, method, scheme, path, query < 0 ? undefined : target.slice(query + 1))
  const id = parent?.traceId ?? traceId()
  const decision = settings.sampler.shouldSample(inbound, id, method, SpanKind.SERVER, attributes, []).decision
  const sampled = decision === SamplingDecision.RECORD_AND_SAMPLED
  const spanContext: SpanContext = {
    traceId: id,
    spanId: spanId(),
    traceFlags: sampled ? TraceFlags.SAMPLED : TraceFlags.NONE,
    ...(parent?.traceState ? { traceState: parent.traceState } : {}),
  }
  const span = new RequestSpan({
    context: spanContext,
    parentSpanId: parent?.spanId,
    name: method === '_OTHER' ? 'HTTP' : method,
    startMs: nowMs(),
    attributes,
    limits: settings.limits,
    // A request that ended in error is told whatever the sampler said.
    onEnd: (data) => {
      if (sampled || data.status?.code === 2) settings.deliver(sampled ? data : { ...data, flags: 1 })
    },
  })
  const record: RequestRecord = {
    ref: { traceId: id, spanId: spanContext.spanId, sampled },
    method,
    startedAt: span.startMs,
    promised: 0,
    ended: false,
    counted: false,
  }
  const active = trace.setSpan(inbound, span).setValue(REQUEST_KEY, record)
  const open = new Open({ record, span, context: active, request, settle })
  request[OPEN] = open
  response[OPEN] = open
  inFlight.add(open)
  count(method, scheme, 1)
  response.on('close', onClose)
  if (settings.traceResponse && !response.headersSent) {
    const value = `00-${id}-${spanContext.spanId}-${sampled ? '01' : '00'}`
    response.setHeader('traceresponse', value)
    response.setHeader('server-timing', `traceparent;desc="${value}"`)
  }
  if (settings.flight && requestChannel.hasSubscribers)
    requestChannel.publish({
      kind: 'received',
      origin: record.ref,
      at: Date.now() as EpochMs,
      method,
      target: path.slice(0, 256),
      ...(parent ? { parentSpanId: parent.spanId } : {}),
    })
  settings.manager.enter(active)
}

function describe(
  request: IncomingMessage,
  server: Server,
  method: string,
  scheme: string,
  path: string,
  query: string | undefined,
): Attributes {
  const socket = request.socket
  const attributes: Attributes = {
    'http.request.method': method,
    'url.path': path,
    'url.scheme': scheme,
    'network.protocol.version': request.httpVersion,
  }
  if (method === '_OTHER') attributes['http.request.method_original'] = request.method ?? ''
  if (query) attributes['url.query'] = redactQuery(query)
  const host = /^(\[[0-9a-fA-F:.]+\]|[^:/?#@\s]{1,255})(?::(\d{1,5}))?$/.exec(request.headers.host ?? '')
  if (host) attributes['server.address'] = host[1]!
  const port = host?.[2] ? Number(host[2]) : socket.localPort
  if (port) attributes['server.port'] = port
  if (socket.remoteAddress) {
    attributes['client.address'] = socket.remoteAddress
    attributes['network.peer.address'] = socket.remoteAddress
  }
  if (socket.remotePort) attributes['network.peer.port'] = socket.remotePort
  const agent = request.headers['user-agent']
  if (agent) attributes['user_agent.original'] = agent.slice(0, 512)
  void server
  return attributes
}

function onClose(this: ServerResponse & Marked): void {
  const open = this[OPEN]
  if (!open || open.done) return
  // 'finish' may still be on its way when everything was handed to the socket.
  if (this.writableFinished) {
    open.settle(open, 'sent', this.statusCode)
    return
  }
  open.settle(
    open,
    abortOutcome(open.request, this, nowMs() - open.span.startMs),
    this.headersSent ? this.statusCode : undefined,
  )
}

function end(
  settings: ServerSettings,
  open: Open,
  outcome: RequestOutcome,
  status: number | undefined,
  duration: Histogram,
  count: (method: string, scheme: string, by: number) => void,
  answered: (event: Answered) => void,
): void {
  if (open.done) return
  open.done = true
  inFlight.delete(open)
  const { span, record } = open
  const scheme = String(span.attributes['url.scheme'])
  count(record.method, scheme, -1)
  const route = record.route ?? expressRoute(open.request)
  if (route !== undefined) record.route = route
  if (record.route !== undefined) {
    span.setAttribute('http.route', record.route)
    span.updateName(`${record.method === '_OTHER' ? 'HTTP' : record.method} ${record.route}`)
  }
  if (status !== undefined) {
    record.status = status
    span.setAttribute('http.response.status_code', status)
  }
  const errorType = verdict(open, outcome, status)
  span.end()
  record.ended = true
  duration.record(
    (nowMs() - span.startMs) / 1000,
    record.method,
    status === undefined ? '' : String(status),
    record.route ?? '',
    scheme,
    open.request.httpVersion,
    errorType ?? '',
  )
  settings.requestEnded(record)
  settings.effective.ended(record, outcome)
  if (requestChannel.hasSubscribers && (settings.flight || record.promised > 0))
    answered({
      kind: 'answered',
      origin: record.ref,
      at: Date.now() as EpochMs,
      service: settings.serviceName,
      method: record.method,
      promised: record.promised,
      outcome,
      ...(status === undefined ? {} : { status }),
      ...(record.route === undefined ? {} : { route: record.route }),
    })
}

/** Sets status, error.type and the one exception; returns error.type for the metric. */
function verdict(open: Open, outcome: RequestOutcome, status: number | undefined): string | undefined {
  const { span } = open
  let errorType: string | undefined
  if (outcome !== 'sent') {
    errorType = outcome
    const by =
      outcome === 'aborted_by_client'
        ? 'client'
        : outcome === 'aborted_by_server'
          ? 'server'
          : outcome === 'crashed'
            ? 'crash'
            : 'timeout'
    span.setAttribute('afterspan.http.aborted_by', by)
  } else if (status !== undefined && status >= 500) errorType = String(status)
  if (open.error !== undefined) {
    if (errorType !== undefined) {
      const described = describeException(open.error)
      if (outcome === 'crashed' || status !== undefined) errorType = described.type
      if (!span.hasException) span.recordException(open.error as Error)
      span.setStatus({ code: SpanStatusCode.ERROR, message: described.message })
    } else if (!span.hasException) span.recordException(open.error as Error) // the app turned it into an answer below 500
  }
  if (errorType !== undefined) {
    span.setAttribute('error.type', errorType)
    if (span.statusCode === 0) span.setStatus({ code: SpanStatusCode.ERROR })
  }
  return errorType
}

type Answered = Parameters<typeof requestChannel.publish>[0] & object
/** Ends are grouped: published once per turn of the loop, so that the journal writes them together. */
function createAnsweredGroup(): (event: Answered) => void {
  let waiting: Answered[] = []
  const publish = (): void => {
    const batch = waiting
    waiting = []
    for (const event of batch) requestChannel.publish(event as never)
  }
  process.on('exit', publish)
  return (event) => {
    // A crash or an exit leaves no further turn.
    if ((event as { outcome?: string }).outcome === 'crashed') {
      requestChannel.publish(event as never)
      return
    }
    if (waiting.push(event) === 1) setImmediate(publish).unref()
  }
}

const LATE = new Set<string | symbol>(['data', 'end', 'close', 'error', 'readable'])

/** Listeners that the app adds to a request run in that request's context, whichever event of the parser fires them. */
function bindLateListeners(): void {
  const prototype = IncomingMessage.prototype as unknown as Record<
    string,
    (event: string | symbol, listener: (...args: unknown[]) => void) => unknown
  >
  for (const method of ['on', 'prependListener']) {
    const original = prototype[method]!
    const bound = function (
      this: IncomingMessage & Marked,
      event: string | symbol,
      listener: ((...args: unknown[]) => void) & { listener?: unknown },
    ): unknown {
      const open = this[OPEN]
      if (open === undefined || !LATE.has(event) || typeof listener !== 'function')
        return original.call(this, event, listener)
      const now = context.active()
      const wrapped = context.bind(
        now.getValue(REQUEST_KEY) === open.record ? now : open.context,
        listener,
      ) as typeof listener
      wrapped.listener = listener.listener ?? listener
      return original.call(this, event, wrapped)
    }
    Object.defineProperty(prototype, method, { value: bound, writable: true, configurable: true, enumerable: false })
    if (method === 'on')
      Object.defineProperty(prototype, 'addListener', {
        value: bound,
        writable: true,
        configurable: true,
        enumerable: false,
      })
  }
}
