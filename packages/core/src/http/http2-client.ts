// CLIENT spans of sessions that the app makes by `http2.connect()`. Node tells of a stream when its headers are written already, so
// the trace context has to be put into what `request()` is given. What fetch and @grpc/grpc-js send by HTTP/2 has a span already.
import { subscribe } from 'node:diagnostics_channel'
import type { ClientHttp2Session, ClientHttp2Stream, IncomingHttpHeaders } from 'node:http2'
import { syncBuiltinESMExports } from 'node:module'
import { context, propagation, trace, type Tracer } from '@opentelemetry/api'
import { isTracingSuppressed } from '@opentelemetry/core'
import { withOwnFramesHidden } from '../instrument/hidden-frames.ts'
import type { MeasureClient } from './client-metrics.ts'
import { defaultPort, failClientSpan, openClientSpan, tellStatus, type OpenClientSpan } from './client-span.ts'
import { OWN_REQUEST } from '../sdk/otlp/own-request.ts'
import { isGivenUpStream, watchGivenUpStreams } from './given-up.ts'
import { canSeeHttp2 } from './http2-server.ts'
import { makeRoom } from './listener-room.ts'
import { replaceMethod } from '../instrument/replace-method.ts'

const SPAN: unique symbol = Symbol('afterspan.client-span')
type Stream = ClientHttp2Stream & { [SPAN]?: OpenClientSpan | undefined }
/** By name; or a flat list of names and values. */
type Headers = Readonly<Record<string | symbol, unknown>> | readonly unknown[]
/** What a session was connected to. */
type Target = Pick<OpenClientSpan, 'address' | 'port' | 'scheme'>

/** What Node has no error for: a server that cancels it, or goes. */
const NO_ANSWER = Object.assign(new Error('closed before its answer'), { code: 'ERR_HTTP2_STREAM_CANCEL' })
const NOT_SENT = Object.assign(new Error('Node did not send it'), { code: 'refused' })

const targets = new WeakMap<ClientHttp2Session, Target>()

/** Called when the app is about to load `http2`. */
export function watchHttp2Clients(tracer: () => Tracer, measure: MeasureClient): void {
  if (!canSeeHttp2(process.versions.node)) return
  const open = (session: ClientHttp2Session, headers: Headers | undefined): OpenClientSpan | undefined => {
    try {
      return begin(tracer(), session, headers)
    } catch {
      return undefined // the request goes on without a span
    }
  }
  replaceMethod(
    process.getBuiltinModule('node:http2'),
    'connect',
    (original) =>
      function (this: unknown, ...args) {
        const session = withOwnFramesHidden(() => original.apply(this, args)) as ClientHttp2Session
        const target = targetOf(args)
        if (target) targets.set(session, target)
        watchRequests(Object.getPrototypeOf(session) as object, open, measure)
        return session
      },
  )
  syncBuiltinESMExports()
  subscribe('http2.client.stream.finish', (message) => {
    const { stream, headers } = message as { readonly stream: Stream; readonly headers: IncomingHttpHeaders }
    const own = stream[SPAN]
    if (own) tellStatus(own, Number(headers[':status']), '2')
  })
}

/** The prototype of all sessions, once: Node does not export their class. */
function watchRequests(
  prototype: object,
  open: (session: ClientHttp2Session, headers: Headers | undefined) => OpenClientSpan | undefined,
  measure: MeasureClient,
): void {
  replaceMethod(
    prototype,
    'request',
    (original) =>
      function (this: ClientHttp2Session, headers: Headers | undefined, ...rest) {
        const own = open(this, headers)
        if (!own) return original.call(this, headers, ...rest)
        let stream: Stream | undefined
        try {
          const given = carrying(headers, own)
          stream = withOwnFramesHidden(() => original.call(this, given, ...rest)) as Stream
          stream[SPAN] = own
          watchGivenUpStreams(Object.getPrototypeOf(stream) as object)
          makeRoom(stream)
          stream.once('close', function (this: Stream) {
            const error = this.errored ?? (own.status || isGivenUpStream(this) ? undefined : NO_ANSWER)
            if (error) failClientSpan(own, error)
            finish(own, measure)
          })
          return stream
        } finally {
          // What Node refuses to send, such as a header of HTTP/1, is no request.
          if (!stream) refuse(own, measure)
        }
      },
  )
}

function refuse(open: OpenClientSpan, measure: MeasureClient): void {
  failClientSpan(open, NOT_SENT)
  finish(open, measure)
}

function finish(open: OpenClientSpan, measure: MeasureClient): void {
  open.span.end()
  measure(open, open.span.spanContext())
}

function begin(tracer: Tracer, session: ClientHttp2Session, headers: Headers | undefined): OpenClientSpan | undefined {
  if (isTracingSuppressed(context.active()) || OWN_REQUEST in session || isOfUndici(session)) return undefined
  const given = headers ?? {}
  if (typeof given !== 'object') return undefined // Node throws
  const header = (name: string): string | undefined => valueOf(given, name)
  if (/\bgrpc-node-js\//.test(header('user-agent') ?? '')) return undefined
  const target = targets.get(session)
  const scheme = (header(':scheme') ?? target?.scheme) === 'http' ? 'http' : 'https'
  const authority = (header(':authority') ?? header('host'))?.replace(/^.*@/, '')
  const address = target?.address ?? authority?.replace(/:\d+$/, '') ?? ''
  const port = target?.port ?? Number(/:(\d{1,5})$/.exec(authority ?? '')?.[1] ?? defaultPort(scheme))
  return openClientSpan(tracer, {
    method: header(':method') ?? 'GET',
    address,
    port,
    scheme,
    authority: authority ?? (port === defaultPort(scheme) ? address : `${address}:${port}`),
    path: header(':path') ?? '/',
  })
}

function valueOf(headers: Headers, name: string): string | undefined {
  if (!Array.isArray(headers)) {
    const value = (headers as Record<string, unknown>)[name]
    return value === undefined ? undefined : String(value as string)
  }
  const at = headers.findIndex((value, index) => index % 2 === 0 && String(value).toLowerCase() === name)
  return at < 0 ? undefined : String(headers[at + 1])
}

/** The app's own object is never written to; what it has of a trace context is another's. */
function carrying(headers: Headers | undefined, { span }: OpenClientSpan): Headers {
  const carried: Record<string, string> = {}
  propagation.inject(trace.setSpan(context.active(), span), carried)
  const isOurs = (name: string): boolean => Object.hasOwn(carried, name.toLowerCase())
  if (Array.isArray(headers)) {
    const kept = (headers as unknown[]).filter((_, at) => !isOurs(String(headers[at - (at % 2)])))
    const list = [...kept, ...Object.entries(carried).flat()]
    // Beside the list stands what must not be compressed: http2.sensitiveHeaders.
    for (const mark of Object.getOwnPropertySymbols(headers)) Reflect.set(list, mark, Reflect.get(headers, mark))
    return list
  }
  const own: Record<string | symbol, unknown> = { ...(headers as Record<string | symbol, unknown> | undefined) }
  for (const name of Object.keys(own)) if (isOurs(name)) delete own[name]
  return Object.assign(own, carried)
}

function targetOf([authority, options]: readonly unknown[]): Target | undefined {
  try {
    const {
      protocol = (options as { protocol?: string } | undefined)?.protocol,
      hostname,
      host,
      port,
    } = typeof authority === 'string' ? new URL(authority) : (authority as Partial<URL>)
    const scheme = protocol === 'http:' ? 'http' : 'https'
    const address = (hostname || host || 'localhost').replace(/^\[(.*)\]$/, '$1')
    return { scheme, address, port: Number(port || defaultPort(scheme)) }
  } catch {
    return undefined
  }
}

/** It marks the sessions that it makes. */
function isOfUndici(session: object): boolean {
  return Object.getOwnPropertySymbols(session).some(({ description }) => description === 'client')
}
