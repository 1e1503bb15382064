// SERVER spans from Node's own diagnostics channels. Measured facts that shaped this file: on Node 22 (and 24 without
// AsyncContextFrame) the start hook runs under the previous request's context; with pipelining finish and close run under
// another request's; 'response.finish' is never published on a client abort.
import { recentRequests } from './recent-requests.ts'
import { subscribe } from 'node:diagnostics_channel'
import { ServerResponse, type IncomingMessage, type Server } from 'node:http'
import { ROOT_CONTEXT, SpanKind, trace, TraceFlags, type Context, type SpanContext } from '@opentelemetry/api'
import { suppressTracing } from '@opentelemetry/core'
import { SamplingDecision, type Sampler } from '@opentelemetry/sdk-trace'
import { OWN_SERVER } from '../admin/server.ts'
import type { FlightLog } from '../contracts/flight-log.ts'
import type { EpochMs, RequestOutcome, RequestReceived } from '../contracts/task.ts'
import { hideOwnFrames } from '../instrument/hidden-frames.ts'
import type { MetricRegistry } from '../metrics/registry.ts'
import type { AsyncContextManager } from '../sdk/context-manager.ts'
import { spanId, traceId } from '../sdk/ids.ts'
import { RequestContext } from '../sdk/request-context.ts'
import { RequestSpan, type SpanLimits } from '../sdk/request-span.ts'
import type { SpanData } from '../sdk/span-data.ts'
import { nowMs } from '../sdk/time.ts'
import { requestChannel } from '../tasks/channel.ts'
import type { AppMount } from './app-mount.ts'
import type { EffectiveCounter } from './effective.ts'
import type { HeldChildren } from './held-children.ts'
import { watchHttp2 } from './http2-server.ts'
import { inFlight } from './in-flight.ts'
import type { Inbound } from './inbound.ts'
import { createInferredRoutes, type InferredRoutes } from './inferred-route.ts'
import { bindLateListeners } from './late-listeners.ts'
import { makeRoom } from './listener-room.ts'
import { watchLoggedErrors } from './logged-errors.ts'
import { Open, OPEN, openOf, requestOf, type Marked } from './open-request.ts'
import { abortOutcome, isEventStream, sentStatus } from './outcome.ts'
import { describeRequest, pathOf, type RequestFacts, type RequestHead } from './request-attributes.ts'
import { watchPipelined } from './pipelined.ts'
import { createRequestMetrics, type RequestMetrics } from './request-metrics.ts'
import type { RequestRecord } from './request-record.ts'
import { giveVerdict } from './request-verdict.ts'
import type { RequestTeller } from './routes/framework.ts'
import { isAnswered, throwBehind } from './thrown-behind.ts'
import { watchTakenOver } from './taken-over.ts'
import { writeTraceHeaders } from './trace-headers.ts'
import { watchUpgrades } from './upgrades.ts'

export interface ServerSettings {
  readonly manager: AsyncContextManager
  readonly sampler: Sampler
  readonly limits: SpanLimits
  readonly metrics: MetricRegistry
  readonly effective: EffectiveCounter
  readonly serviceName: string
  readonly ignorePaths: ReadonlySet<string>
  /** No requests, only the caller's context for what the app makes itself. */
  readonly isMuted: boolean
  readonly drain: { readonly isAsked: boolean }
  /** What is answered on the app's own port. */
  readonly mount: AppMount | undefined
  readonly traceResponse: boolean
  /** What is taken of the trace context that a request carries. */
  readonly inbound: (request: RequestHead) => Inbound
  readonly mostInferredRoutes: number
  readonly flight: FlightLog | undefined
  /** True: it waits to be sent. */
  deliver(span: SpanData): boolean
  readonly unsampled: Pick<HeldChildren, 'requestEnded'>
  /** Brings what waits to be sent to the disk. True: all of it survives the process now. */
  write(): boolean
  requestStarted(): void
  /** The response has ended; work of the request that is still open becomes tasks of its own. */
  requestEnded(record: RequestRecord): void
}
/** Whether the span that ended last waits to be sent. */
let isQueued = false

interface Serving extends ServerSettings {
  /** A request that ended in error is told whatever the sampler said. */
  readonly tell: (span: SpanData) => void
  readonly requestMetrics: RequestMetrics
  readonly inferredRoutes: InferredRoutes
}

/** Watches every server of this process. Nothing is patched but `on` of incoming messages; nothing of ours throws into the app. */
export function watchServers(settings: ServerSettings): RequestTeller {
  const serving: Serving = {
    ...settings,
    tell: (span) => {
      if (span.flags) isQueued = settings.deliver(span)
      else if (span.status?.code === 2) isQueued = settings.deliver({ ...span, flags: 1 })
    },
    requestMetrics: createRequestMetrics(settings.metrics),
    inferredRoutes: createInferredRoutes(settings.mostInferredRoutes),
  }
  const settle: Open['settle'] = (open, outcome, status) => {
    end(serving, open, outcome, status)
  }
  subscribe('http.server.request.start', (message) => {
    const { request, response, server } = message as Started
    try {
      start(serving, request, response, server, settle)
    } catch {
      settings.manager.enter(ROOT_CONTEXT)
    }
  })
  subscribe('http.server.response.finish', (message) => {
    const { response } = message as Started
    const open = response[OPEN]
    if (open) settle(open, 'sent', sentStatus(response))
  })
  if (settings.traceResponse) writeTraceHeaders()
  bindLateListeners()
  const endTakenOver = watchTakenOver(() => performance.now())
  settings.metrics.callback(() => {
    endTakenOver()
    return []
  })
  if (!settings.isMuted) watchOthers(serving, settle)
  return {
    recordError(request, error) {
      hideOwnFrames(error)
      const open = requestOf(request)
      if (!open) return
      if (isAnswered(open.record)) throwBehind(open, error)
      open.hasThrown(error)
    },
    recordBroken(request, error) {
      hideOwnFrames(error)
      openOf(request)?.hasBroken(error)
    },
    setRoute(request, route) {
      const open = openOf(request)
      if (open) open.route = route
    },
  }
}

/** Requests that Node tells of in other ways, or not at all. */
function watchOthers(serving: Serving, settle: Open['settle']): void {
  const others = {
    begin: (head: RequestHead) => {
      // A CONNECT names a host there.
      const path = head.method === 'CONNECT' && head.httpVersion !== '2' ? '' : pathOf(head.url ?? '/')
      if (serving.ignorePaths.has(path)) return undefined
      const open = begin(serving, head, path, settle)
      serving.requestStarted()
      return open
    },
    enter: (context: Context) => {
      serving.manager.enter(context)
    },
    traceResponse: serving.traceResponse,
  }
  watchHttp2(others)
  watchLoggedErrors()
  watchUpgrades(others)
}

interface Started {
  readonly request: IncomingMessage & Marked
  readonly response: ServerResponse & Marked
  readonly server: Server
}

function start(
  serving: Serving,
  request: Started['request'],
  response: Started['response'],
  server: Server,
  settle: Open['settle'],
): void {
  const path = pathOf(request.url ?? '/')
  if (OWN_SERVER in server || serving.mount?.takes(server, request) || serving.ignorePaths.has(path)) {
    serving.manager.enter(suppressTracing(ROOT_CONTEXT))
    return
  }
  if (serving.isMuted) {
    serving.manager.enter(serving.inbound(request).context)
    return
  }
  const open = begin(serving, request, path, settle)
  request[OPEN] = open
  response[OPEN] = open
  open.record.response = response
  // The client is to come back by another connection, which is not to this process.
  if (serving.drain.isAsked) response.shouldKeepAlive = false
  makeRoom(response)
  response.on('close', onClose)
  watchPipelined(request.socket, gone)
  serving.requestStarted()
  serving.manager.enter(open.context)
}

/** The span of a request, and what is kept of it until it ends. */
function begin(serving: Serving, request: RequestHead, path: string, settle: Open['settle']): Open {
  const { context: inbound, links } = serving.inbound(request)
  const facts = describeRequest(request, path)
  const span = startSpan(serving, inbound, facts)
  for (const link of links) span.addLink(link)
  const { traceId: id, spanId: own, traceFlags } = span.spanContext()
  const ref = { traceId: id, spanId: own, sampled: traceFlags === TraceFlags.SAMPLED }
  const record: RequestRecord = {
    ref,
    method: facts.method,
    startedAt: span.startMs,
    promised: 0,
    ended: false,
    response: undefined,
  }
  const active = new RequestContext(inbound, span, record)
  const slot = serving.flight ? serving.flight.open(received(record, path, span.parentSpanId)) : -1
  const open = new Open({ record, span, context: active, request, path, settle, slot })
  inFlight.add(open)
  serving.requestMetrics.started(open)
  return open
}

function startSpan(serving: Serving, inbound: Context, { method, attributes }: RequestFacts): RequestSpan {
  const parent = trace.getSpanContext(inbound)
  const id = parent?.traceId ?? traceId()
  const { decision } = serving.sampler.shouldSample(inbound, id, method, SpanKind.SERVER, attributes, [])
  const isSampled = decision === SamplingDecision.RECORD_AND_SAMPLED
  const context: SpanContext = {
    traceId: id,
    spanId: spanId(),
    traceFlags: isSampled ? TraceFlags.SAMPLED : TraceFlags.NONE,
  }
  if (parent?.traceState) context.traceState = parent.traceState
  return new RequestSpan({
    context,
    parentSpanId: parent?.spanId,
    name: method === '_OTHER' ? 'HTTP' : method,
    startMs: nowMs(),
    attributes,
    limits: serving.limits,
    onEnd: serving.tell,
  })
}

function received(
  { ref, method, startedAt }: RequestRecord,
  target: string,
  parentSpanId: string | undefined,
): RequestReceived {
  return {
    origin: ref,
    at: Math.round(startedAt) as EpochMs,
    method,
    target,
    parentSpanId,
  }
}

/** Where the response itself does not say it. */
function gone(open: Open): void {
  const { response } = open.record
  if (response instanceof ServerResponse) onClose.call(response)
}

/** Node 22 says that it is finished of a response that was ended when its connection was gone, and 'finish' comes first of all others. */
const KNOWS_FINISHED = Number.parseInt(process.versions.node, 10) > 22

function onClose(this: ServerResponse & Marked): void {
  const open = this[OPEN]
  if (!open || open.done) return
  // 'finish' may still be on its way when everything was handed to the socket.
  const status = sentStatus(this)
  if (KNOWS_FINISHED && this.writableFinished) {
    open.settle(open, 'sent', status)
    return
  }
  const outcome = abortOutcome(open.request, open.span.nowMs() - open.span.startMs)
  if (outcome === 'aborted_by_client') open.isEventStream = isEventStream(this)
  // What the app, or its stream.pipeline(), destroyed the response with; or the connection.
  if (outcome === 'aborted_by_server' && open.error === undefined)
    open.error = this.errored ?? open.request.socket.errored ?? undefined
  open.settle(open, outcome, this.headersSent ? status : undefined)
}

function end(serving: Serving, open: Open, outcome: RequestOutcome, status: number | undefined): void {
  if (open.done) return
  // Frameworks that are asked for the route may tell of an error.
  const route = open.routeAt(status)
  open.done = true
  inFlight.delete(open)
  const { span, record } = open
  if (route !== undefined) {
    record.route = route
    span.setAttribute('http.route', route)
    span.updateName(`${record.method === '_OTHER' ? 'HTTP' : record.method} ${route}`)
  } else if (open.route === undefined) infer(serving, open, status)
  if (status !== undefined) {
    record.status = status
    span.setAttribute('http.response.status_code', status)
  }
  const errorType = giveVerdict(open, outcome, status)
  if (open.failure !== undefined) record.hasFailed = true
  if (outcome !== 'sent') record.outcome = outcome
  const endMs = span.nowMs()
  isQueued = false
  span.end(endMs)
  const isTold = isQueued
  record.ended = true
  record.response = undefined
  if (!record.ref.sampled) serving.unsampled.requestEnded(record, span.statusCode === 2)
  serving.requestMetrics.ended(open, endMs, status, errorType)
  serving.requestEnded(record)
  recentRequests.add(record)
  serving.effective.ended(record, outcome)
  if (record.promised > 0 || outcome === 'crashed') publishAnswered(serving.serviceName, open, outcome)
  // Last of all: until here a death of the process leaves the request's name. From here on it leaves the span, by the same one write.
  if (open.slot < 0) return
  if (isTold && serving.write()) serving.flight?.release(open.slot)
  else serving.flight?.close(open.slot)
}

/** Nobody told of this request: its router is unknown. */
function infer({ inferredRoutes }: Serving, open: Open, status: number | undefined): void {
  if (open.path === '') return // a CONNECT has none
  open.inferredRoute = inferredRoutes.of(open.path, status)
  if (open.inferredRoute !== undefined) open.span.setAttribute('afterspan.http.inferred_route', open.inferredRoute)
}

function publishAnswered(service: string, { record, span, path }: Open, outcome: RequestOutcome): void {
  const { ref, method, promised, startedAt, status, route, hasFailed } = record
  requestChannel.publish({
    kind: 'answered',
    origin: ref,
    at: Date.now() as EpochMs,
    startedAt: Math.round(startedAt) as EpochMs,
    service,
    method,
    target: path,
    promised,
    outcome,
    ...(span.parentSpanId ? { parentSpanId: span.parentSpanId } : {}),
    ...(status === undefined ? {} : { status }),
    ...(route === undefined ? {} : { route }),
    ...(hasFailed ? { hasFailed } : {}),
  })
}
