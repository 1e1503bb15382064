// SERVER spans of HTTP/2, for streams and for the compatibility API above them. A stream is announced on a diagnostics channel before
// its handlers run, and what is entered there is their context. Node has that channel from 22.17 and 24.2 on.
import { subscribe } from 'node:diagnostics_channel'
import type { IncomingHttpHeaders, OutgoingHttpHeaders, ServerHttp2Stream } from 'node:http2'
import { ROOT_CONTEXT, type Context } from '@opentelemetry/api'
import { suppressTracing } from '@opentelemetry/core'
import { say } from '../diag.ts'
import { bindLateListeners } from './late-listeners.ts'
import { grpcCode } from './grpc-codes.ts'
import { makeRoom } from './listener-room.ts'
import { OPEN, type Marked, type Open } from './open-request.ts'
import { streamOutcome } from './outcome.ts'
import { traceparentOf, type RequestHead } from './request-attributes.ts'
import { replaceMethod } from '../instrument/replace-method.ts'

/** The app has closed it, with a code that says that something is wrong. */
const CLOSED: unique symbol = Symbol('afterspan.closed')
type Stream = ServerHttp2Stream &
  Marked & { [CLOSED]?: 'app' | 'timeout'; errored?: (Error & { code?: string }) | null }
interface Http2Settings {
  /** Undefined: the request is not to be seen. */
  begin(head: RequestHead): Open | undefined
  enter(context: Context): void
  readonly traceResponse: boolean
}

export function watchHttp2(settings: Http2Settings): void {
  if (!canSeeHttp2(process.versions.node)) return
  let isPatched = false
  subscribe('http2.server.stream.created', (message) => {
    const { stream, headers } = message as { readonly stream: Stream; readonly headers: IncomingHttpHeaders }
    if ((stream.id ?? 0) % 2 === 0) return // pushed by the server itself: part of another request
    try {
      if (!isPatched) patch(Object.getPrototypeOf(stream) as object, settings)
      isPatched = true
      start(settings, stream, headers)
    } catch {
      settings.enter(ROOT_CONTEXT)
    }
  })
}

/** http2.server.stream.created: nodejs/node#58390, in 22.17 and 24.2. */
export function canSeeHttp2(version: string): boolean {
  const [major = 0, minor = 0] = version.split('.').map((part) => Number.parseInt(part, 10))
  if (major === 22) return minor >= 17
  return major === 24 ? minor >= 2 : major > 24
}

/** Where servers of HTTP/2 cannot be seen, the first one that is made says so. Called when the app loads `http2`. */
export function sayHttp2Unseen(): void {
  const http2 = process.getBuiltinModule('node:http2')
  for (const name of ['createServer', 'createSecureServer'])
    replaceMethod(
      http2,
      name,
      (original) =>
        function (...args) {
          const text = `Node ${process.version} does not tell of HTTP/2 requests: they have no spans and no metrics. Node 22.17, 24.2 or 26 does.`
          say('AFS_HOOK_UNSUPPORTED', text, 'http2')
          return original.apply(this, args)
        },
    )
  process.getBuiltinModule('node:module').syncBuiltinESMExports()
}

function start(settings: Http2Settings, stream: Stream, headers: IncomingHttpHeaders): void {
  // Whoever asks for health, and goes on listening to it, is no user of the app.
  const isOfHealth = (headers[':path'] as string | undefined)?.startsWith('/grpc.health.v1.Health/')
  const open = isOfHealth ? undefined : settings.begin(headOf(stream, headers))
  if (!open) {
    settings.enter(suppressTracing(ROOT_CONTEXT))
    return
  }
  stream[OPEN] = open
  makeRoom(stream)
  stream.once('close', onClose)
  settings.enter(open.context)
}

function headOf(stream: Stream, headers: IncomingHttpHeaders): RequestHead {
  const authority = headers[':authority'] as string | undefined
  return {
    headers: authority === undefined ? headers : { ...headers, host: authority },
    httpVersion: '2',
    method: headers[':method'] as string,
    socket: stream.session!.socket as RequestHead['socket'],
    url: (headers[':path'] as string | undefined) ?? '/',
  }
}

function onClose(this: Stream): void {
  const open = this[OPEN]
  if (!open || open.done) return
  const sent = this.sentHeaders?.[':status']
  const status = sent === undefined ? undefined : Number(sent)
  // Node ends a stream that it closes; `aborted` tells that the app had not.
  const { errored } = this
  // Node's own error only says that the stream was reset.
  const isReset = errored?.code === 'ERR_HTTP2_STREAM_ERROR'
  const by = this[CLOSED] ?? (isReset ? 'peer' : undefined)
  const outcome = streamOutcome(this.rstCode ?? 0, status !== undefined && !this.aborted, by)
  if (errored && !isReset && outcome === 'aborted_by_server') open.error ??= errored
  if (outcome === 'sent') tellGrpcStatus(this, open)
  if (outcome === 'aborted_by_client')
    open.isEventStream = /^text\/event-stream\b/i.test(String(this.sentHeaders?.['content-type']))
  open.settle(open, outcome, status)
}

/** `stream.setTimeout(ms, () => stream.close(NGHTTP2_CANCEL))` is how one gives up a stream. */
function closerOf(stream: Stream): 'app' | 'timeout' {
  const { timeout = 0, [OPEN]: open } = stream as Stream & { timeout?: number }
  return timeout > 0 && open && open.span.nowMs() - open.span.startMs >= timeout - 50 ? 'timeout' : 'app'
}

/** gRPC answers 200 whatever happens; how it went is said in the trailers, or in the headers where there is nothing else. */
function tellGrpcStatus(stream: Stream, open: Open): void {
  if (!open.request.headers['content-type']?.startsWith('application/grpc')) return
  const { sentHeaders, sentTrailers } = stream as {
    readonly sentHeaders?: OutgoingHttpHeaders
    readonly sentTrailers?: OutgoingHttpHeaders
  }
  const said = sentTrailers?.['grpc-status'] ?? sentHeaders?.['grpc-status']
  if (said === undefined) return
  const code = Number(said)
  const name = grpcCode(code)
  open.span.setAttribute('rpc.system.name', 'grpc')
  open.span.setAttribute('rpc.response.status_code', name)
  if (FAILED.has(name)) open.failure = name
}
/** Those that the semantic conventions call errors of the server: the others are its answer. */
const FAILED = new Set(['UNKNOWN', 'DEADLINE_EXCEEDED', 'UNIMPLEMENTED', 'INTERNAL', 'UNAVAILABLE', 'DATA_LOSS'])

/** Once, by the first stream: Node does not export its class. */
function patch(prototype: object, { traceResponse }: Http2Settings): void {
  bindLateListeners(prototype)
  replaceMethod(
    prototype,
    'close',
    (original) =>
      function (this: Stream, ...args: unknown[]) {
        if (args[0] && !this.closed) this[CLOSED] = closerOf(this)
        return original.apply(this, args)
      },
  )
  if (!traceResponse) return
  respondWithTrace(prototype, 'respond', 0)
  respondWithTrace(prototype, 'respondWithFD', 1)
  respondWithTrace(prototype, 'respondWithFile', 1)
}

/** `at`: which argument the headers are. The app's own object is never written to. */
function respondWithTrace(prototype: object, method: string, at: number): void {
  replaceMethod(
    prototype,
    method,
    (original) =>
      function (this: Stream, ...args: unknown[]) {
        const open = this[OPEN]
        const headers = args[at] as OutgoingHttpHeaders | undefined
        if (open && !open.done && !Array.isArray(headers)) {
          const value = traceparentOf(open.ref)
          const timing = `traceparent;desc="${value}"`
          args[at] = { traceresponse: value, 'server-timing': timing, ...headers }
        }
        return original.apply(this, args)
      },
  )
}
