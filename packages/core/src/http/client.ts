// CLIENT spans for node:http and node:https from Node's own channels. fetch and undici have channels of their own.
import { subscribe } from 'node:diagnostics_channel'
import type { ClientRequest, IncomingMessage } from 'node:http'
import type { Socket } from 'node:net'
import { context, propagation, trace, type TextMapSetter, type Tracer } from '@opentelemetry/api'
import { isTracingSuppressed } from '@opentelemetry/core'
import { OWN_REQUEST } from '../sdk/otlp/own-request.ts'
import { makeRoom } from './listener-room.ts'
import type { MeasureClient } from './client-metrics.ts'
import { targetOf } from './client-target.ts'
import {
  failClientSpan,
  giveUpClientSpan,
  openClientSpan,
  tellPort,
  tellStatus,
  type OpenClientSpan,
} from './client-span.ts'
import { isGivenUp, watchGivenUp } from './given-up.ts'
import { addWrittenHeader } from './written-headers.ts'

const SPAN: unique symbol = Symbol('afterspan.client-span')
interface Marked {
  [SPAN]?: OpenClientSpan | undefined
}

const SETTABLE: TextMapSetter<ClientRequest> = {
  set(request, key, value) {
    request.setHeader(key, value)
  },
}
/** Node has written the head already, but not sent it: the headers are a flat list, or the server is asked to expect a body. */
const WRITTEN: TextMapSetter<ClientRequest> = { set: addWrittenHeader }

export function watchClients(tracer: () => Tracer, measure: MeasureClient): void {
  watchGivenUp()
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
    tellPort(open, (response.socket as Socket | null)?.remotePort)
    tellStatus(open, response.statusCode ?? 0, response.httpVersion)
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
    tellPort(open, (error as { readonly port?: unknown } | null)?.port ?? request.socket?.remotePort)
    if (isGivenUp(request, error)) giveUpClientSpan(open, error)
    else failClientSpan(open, error)
    finish(request)
  })
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
  const open = openClientSpan(tracer, targetOf(request))
  request[SPAN] = open
  propagation.inject(trace.setSpan(active, open.span), request, request.headersSent ? WRITTEN : SETTABLE)
  // An upgrade, a CONNECT, or a destroy() without an error ends without the other two channels.
  // So does an answer that is cut off: Node closes the request before the response.
  makeRoom(request)
  request.once('close', () => {
    const { [SPAN]: open, res } = request as typeof request & { readonly res?: IncomingMessage | null }
    if (open && res && isCutOff(res)) failClientSpan(open, res.errored)
    if (open) tellPort(open, request.socket?.remotePort)
    if (open && open.status === undefined && res?.statusCode !== undefined)
      tellStatus(open, res.statusCode, res.httpVersion)
    finish(request)
  })
}
