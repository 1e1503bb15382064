// OTLP over gRPC: one unary call on a connection of Node's own HTTP/2. The protocol is a length before the message and a status in
// the trailers; a library for it would be larger than all that the preload loads.
import {
  connect,
  constants,
  type ClientHttp2Session,
  type ClientHttp2Stream,
  type IncomingHttpHeaders,
} from 'node:http2'
import { gzipSync } from 'node:zlib'
import { currentTls } from './current-tls.ts'
import { OWN_REQUEST } from './own-request.ts'
import { partialSuccess } from './partial-success.ts'
import { fields } from './protobuf-fields.ts'
import type { OtlpReply } from './reply.ts'
import { connectionKey, type OtlpSettings } from './settings.ts'

const PATHS = {
  logs: '/opentelemetry.proto.collector.logs.v1.LogsService/Export',
  metrics: '/opentelemetry.proto.collector.metrics.v1.MetricsService/Export',
  traces: '/opentelemetry.proto.collector.trace.v1.TraceService/Export',
} as const
const MAX_REPLY_BYTES = 64 * 1024
const FRAME_BYTES = 5
/** The names of gRPC's status codes, by number. */
const CODES =
  'ok cancelled unknown invalid_argument deadline_exceeded not_found already_exists permission_denied resource_exhausted failed_precondition aborted out_of_range unimplemented internal unavailable data_loss unauthenticated'.split(
    ' ',
  )
/** As OTLP has it; resource_exhausted too, where the collector says when to come back. */
const RETRYABLE = new Set(['cancelled', 'deadline_exceeded', 'aborted', 'out_of_range', 'unavailable', 'data_loss'])
const OF_SIZE = new Set(['resource_exhausted', 'out_of_range'])
/** The words of the servers in Go, C++, Python and Node; in Java and .NET; in Rust. */
const TOO_LARGE_MESSAGE = /message\b.*(?:larger than max|exceeds (?:the )?maximum|length too large)/i
const RETRYABLE_HTTP = new Set([429, 502, 503, 504])

/** One connection for each collector; none of them keeps the process alive. */
const sessions = new Map<string, ClientHttp2Session>()

/** Those that have carried an answer. */
const proven = new WeakSet<ClientHttp2Session>()

/** One call of Export. Never rejects. */
export function postGrpc(settings: OtlpSettings, body: Uint8Array): Promise<OtlpReply> {
  return new Promise((resolve) => {
    let stream: ClientHttp2Stream | undefined
    let done = false
    const finish = (reply: OtlpReply): void => {
      done = true
      clearTimeout(timer)
      resolve(reply)
    }
    const timer = setTimeout(() => {
      finish({ ok: false, retryable: true, reason: 'timeout' })
      stream?.close(constants.NGHTTP2_CANCEL)
      // It may be the connection that hangs.
      drop(settings)
    }, settings.timeoutMs)
    timer.unref()
    const attempt = (): void => {
      try {
        const session = sessionOf(settings)
        stream = call(session, settings, body)
        listen(stream, (reply, isAnswered) => {
          if (done) return
          // A collector may close a connection at any time, and the next call may be on its way by then: that says nothing of the collector.
          if (isAnswered) proven.add(session)
          else session.close()
          if (!isAnswered && proven.has(session)) attempt()
          else finish(reply)
        })
      } catch (error) {
        drop(settings)
        finish({ ok: false, retryable: true, reason: (error as NodeJS.ErrnoException).code ?? 'invalid' })
      }
    }
    attempt()
  })
}

function call(session: ClientHttp2Session, settings: OtlpSettings, body: Uint8Array): ClientHttp2Stream {
  const isZipped = settings.compression === 'gzip'
  const content = isZipped ? gzipSync(body) : body
  const frame = Buffer.alloc(FRAME_BYTES)
  frame.writeUInt8(isZipped ? 1 : 0)
  frame.writeUInt32BE(content.length, 1)
  const own = Object.entries(settings.headers).map(([name, value]) => [name.toLowerCase(), value])
  const stream = session.request({
    'user-agent': 'afterspan',
    ...Object.fromEntries(own),
    ':method': 'POST',
    ':path': PATHS[settings.signal ?? 'traces'],
    'content-type': 'application/grpc',
    te: 'trailers',
    'grpc-timeout': `${Math.min(settings.timeoutMs, 99_999_999)}m`,
    ...(isZipped ? { 'grpc-encoding': 'gzip' } : {}),
  })
  stream.write(frame)
  stream.end(content)
  return stream
}

function sessionOf({ url, tls }: OtlpSettings): ClientHttp2Session {
  const key = connectionKey(url, tls)
  const known = sessions.get(key)
  if (known && !known.closed && !known.destroyed) return known
  const session = connect(url, { ...currentTls(tls) })
  Object.defineProperty(session, OWN_REQUEST, { value: true })
  session.unref()
  session.on('error', () => {}) // told by the stream
  session.on('close', () => {
    if (sessions.get(key) === session) sessions.delete(key)
  })
  sessions.set(key, session)
  return session
}

function drop({ url, tls }: OtlpSettings): void {
  const key = connectionKey(url, tls)
  sessions.get(key)?.destroy()
  sessions.delete(key)
}

function listen(stream: ClientHttp2Stream, finish: (reply: OtlpReply, isAnswered: boolean) => void): void {
  const chunks: Buffer[] = []
  let bytes = 0
  let headers: IncomingHttpHeaders = {}
  let error: StreamError | undefined
  stream.on('response', (got) => {
    headers = { ...got, ...headers }
  })
  stream.on('trailers', (got) => {
    headers = { ...headers, ...got }
  })
  stream.on('data', (chunk: Buffer) => {
    bytes += chunk.length
    if (bytes <= MAX_REPLY_BYTES) chunks.push(chunk)
    else stream.close(constants.NGHTTP2_CANCEL)
  })
  stream.on('error', (failed) => {
    error = failed
  })
  stream.on('close', () => {
    if (headers['grpc-status'] !== undefined) finish(grpcReply(headers, Buffer.concat(chunks)), true)
    else if (headers[':status'] !== undefined) finish(noGrpc(Number(headers[':status'])), true)
    else finish({ ok: false, retryable: true, reason: reasonOf(error) }, false)
  })
}

/** By the status of the call, and what it says beside: a response in a frame, or when to come back. */
export function grpcReply(headers: IncomingHttpHeaders, body: Buffer): OtlpReply {
  const code = CODES[Number(headers['grpc-status'])] ?? 'unknown'
  if (code === 'ok') {
    const isPlain = body.length >= FRAME_BYTES && body.readUInt8() === 0
    const message = isPlain ? body.subarray(FRAME_BYTES) : Buffer.alloc(0)
    return { ok: true, retryable: false, reason: 'ok', ...partialSuccess('application/grpc', message) }
  }
  // Some servers say that it is out of range: that would be sent again for ever.
  if (OF_SIZE.has(code) && TOO_LARGE_MESSAGE.test(messageOf(headers)))
    return { ok: false, retryable: false, reason: 'grpc_too_large' }
  const retryAfterMs = retryInfo(headers['grpc-status-details-bin'])
  const retryable = RETRYABLE.has(code) || (code === 'resource_exhausted' && retryAfterMs !== undefined)
  return { ok: false, retryable, reason: `grpc_${code}`, ...(retryAfterMs === undefined ? {} : { retryAfterMs }) }
}

/** It is percent-encoded; what matters of it is not. */
function messageOf(headers: IncomingHttpHeaders): string {
  return String(headers['grpc-message'] ?? '').replaceAll('%20', ' ')
}

/** Somebody else answered: a proxy, or a server that knows HTTP/2 and no gRPC. */
function noGrpc(status: number): OtlpReply {
  if (status === 200) return { ok: false, retryable: true, reason: 'not_grpc' }
  return { ok: false, retryable: RETRYABLE_HTTP.has(status), reason: `http_${status}` }
}

/** What speaks HTTP/1 or nothing like it is told apart: 4318 is not 4317. What cancels a stream is the trouble of its connection. */
function reasonOf(error: StreamError | undefined): string {
  const code = error?.code ?? 'network'
  if (code === 'ERR_HTTP2_STREAM_CANCEL') return error?.cause?.code ?? code
  return code === 'ERR_HTTP2_ERROR' || code === 'ERR_HTTP2_SESSION_ERROR' ? 'not_grpc' : code
}
interface StreamError {
  readonly code?: string
  readonly cause?: { readonly code?: string }
}

/** google.rpc.Status with google.rpc.RetryInfo among its details; at most five minutes. */
function retryInfo(details: string | string[] | undefined): number | undefined {
  if (typeof details !== 'string') return undefined
  try {
    for (const { number, value } of fields(Buffer.from(details, 'base64'))) {
      if (number !== 3 || !Buffer.isBuffer(value)) continue
      const any = new Map([...fields(value)].map((field) => [field.number, field.value]))
      const info = any.get(2)
      if (!String(any.get(1)).endsWith('/google.rpc.RetryInfo') || !Buffer.isBuffer(info)) continue
      const delay = [...fields(info)].find((field) => field.number === 1)?.value
      if (!Buffer.isBuffer(delay)) return 0
      const parts = new Map([...fields(delay)].map((field) => [field.number, Number(field.value)]))
      return Math.min(Math.max(0, (parts.get(1) ?? 0) * 1_000 + (parts.get(2) ?? 0) / 1e6), 300_000)
    }
  } catch {
    // not such a message
  }
  return undefined
}
