// An OTLP/HTTP receiver that keeps spans in memory: for the demo, `afterspan sink` and tests. It listens on loopback unless told otherwise.
import {
  createServer,
  type IncomingHttpHeaders,
  type IncomingMessage,
  type Server,
  type ServerResponse,
} from 'node:http'
import { isIP, type AddressInfo } from 'node:net'
import { decodeTraces } from './otlp-decode.ts'
import { readLogs, readMetrics, type ReceivedLog, type ReceivedMetrics } from './received-signals.ts'
import { readRequestBody } from './request-body.ts'
import { sinkPage, text, type SinkReply } from './sink-pages.ts'
import { createSpanStore, type SpanStore } from './span-store.ts'
import { createSpanWaiters, type SpanWaiters } from './span-waiters.ts'
import type { StoredSpan } from './stored-span.ts'

export interface OtlpSinkOptions {
  /** Default 127.0.0.1: then only requests to localhost, an address or this name are answered. */
  readonly host?: string
  /** Default 0: any free one. */
  readonly port?: number
  /** For each span that was kept; not for one that was merged. */
  readonly onSpan?: (span: StoredSpan) => void
  /** For each record of /v1/logs; none is kept. */
  readonly onLog?: (log: ReceivedLog) => void
  /** For what /v1/metrics got, once for each service in it; nothing of it is kept. */
  readonly onMetrics?: (metrics: ReceivedMetrics) => void
  /** Stands in for a collector that is unwell. Asked once for each well-formed request; undefined: as if it were not there. */
  readonly answer?: (request: TraceRequest) => SinkAnswer | undefined
  /** Of a body, before and after unzipping; default 64 MiB. */
  readonly maxBodyBytes?: number
  readonly maxSpans?: number
  /** Until a connection has sent its headers; default 5 s. */
  readonly headersTimeoutMs?: number
}
export interface TraceRequest {
  /** 1 for the first POST that the sink ever got. */
  readonly number: number
  readonly headers: IncomingHttpHeaders
  readonly spans: readonly StoredSpan[]
}
export interface SinkAnswer {
  /** The spans are kept when it is 2xx, at the moment of the answer. */
  readonly status: number
  readonly headers?: Readonly<Record<string, string>>
  readonly body?: string | Uint8Array
  /** Infinity: never answered, nothing kept. */
  readonly delayMs?: number
}

export interface OtlpSink {
  /** 'http://127.0.0.1:4318', without a path: what OTEL_EXPORTER_OTLP_ENDPOINT wants. */
  readonly url: string
  readonly port: number
  /** Oldest trace first; inside a trace in order of arrival. */
  spans(): readonly StoredSpan[]
  trace(traceId: string): readonly StoredSpan[]
  /** POSTs to /v1/traces so far, refused ones included. */
  requests(): number
  /** Resolves when the predicate holds, asked at each arrival; rejects after `timeoutMs` (default 10 s) with a drawing of what is there. */
  waitFor(predicate: (spans: readonly StoredSpan[]) => boolean, timeoutMs?: number): Promise<void>
  /** Forgets the spans, not the number of requests. */
  clear(): void
  /** Ends every connection. What was kept can still be read. May be called twice. */
  close(): Promise<void>
}

interface Sink {
  readonly options: OtlpSinkOptions
  readonly host: string
  readonly store: SpanStore
  readonly waiters: SpanWaiters
  readonly timers: Set<NodeJS.Timeout>
  requests: number
}
type Format = 'protobuf' | 'json'

const MAX_BODY_BYTES = 64 * 1024 * 1024
const FORMATS: ReadonlyMap<string, Format> = new Map([
  ['application/x-protobuf', 'protobuf'],
  ['application/json', 'json'],
])

/** Listens, or rejects with what `listen` failed for. The process stays alive until `close`. */
export async function startOtlpSink(options: OtlpSinkOptions = {}): Promise<OtlpSink> {
  const store = createSpanStore({ maxSpans: options.maxSpans })
  const host = options.host ?? '127.0.0.1'
  const waiters = createSpanWaiters(() => store.spans())
  const sink: Sink = { options, host, store, waiters, timers: new Set(), requests: 0 }
  const server = createSinkServer(sink)
  const { port } = await listen(server, host, options.port ?? 0)
  let closing: Promise<void> | undefined
  return {
    url: `http://${reachable(host)}:${port}`,
    port,
    spans: () => store.spans(),
    trace: (traceId) => store.trace(traceId),
    requests: () => sink.requests,
    waitFor: (predicate, timeoutMs = 10_000) => waiters.wait(predicate, timeoutMs),
    clear: () => {
      store.clear()
    },
    close: () => (closing ??= close(server, sink)),
  }
}

function createSinkServer(sink: Sink): Server {
  const headersTimeout = sink.options.headersTimeoutMs ?? 5_000
  const limits = {
    connectionsCheckingInterval: Math.min(headersTimeout, 1_000),
    headersTimeout,
    // Longer than the pause between two exports: closing just as one begins would reset it.
    keepAliveTimeout: 60_000,
    maxHeaderSize: 16 * 1024,
    requestTimeout: 30_000,
  }
  const server = createServer(limits, (request, response) => {
    handle(sink, request)
      .catch((error: unknown) => text(500, `${error instanceof Error ? error.message : String(error)}\n`))
      .then((reply) => {
        if (reply) send(response, reply)
      })
      .catch(() => {
        response.destroy() // a header of `answer` that HTTP does not allow
      })
  })
  server.maxConnections = 512
  return server
}

function listen(server: Server, host: string, port: number): Promise<AddressInfo> {
  return new Promise((resolve, reject) => {
    server.once('error', reject)
    server.listen(port, host, () => {
      server.off('error', reject)
      server.on('error', () => {}) // one connection that could not be accepted: its sender tries again
      resolve(server.address() as AddressInfo)
    })
  })
}

function close(server: Server, sink: Sink): Promise<void> {
  for (const timer of sink.timers) clearTimeout(timer)
  sink.waiters.close()
  return new Promise((resolve) => {
    server.close(() => {
      resolve()
    })
    server.closeAllConnections()
  })
}

/** The reply; undefined: none at all. */
async function handle(sink: Sink, request: IncomingMessage): Promise<SinkReply | undefined> {
  const path = (request.url ?? '/').split('?', 1)[0] ?? '/'
  if (!isAddressedToUs(request.headers.host, sink.host)) return text(421, 'this host name is not served here\n')
  if (request.method === 'POST' && path === '/v1/traces') return receiveSpans(sink, request)
  if (request.method === 'POST' && path === '/v1/logs') return receiveOther(sink, request, tellLogs)
  if (request.method === 'POST' && path === '/v1/metrics') return receiveOther(sink, request, tellMetrics)
  if (request.method === 'GET' || request.method === 'HEAD') return sinkPage(path, sink.store)
  return text(404, 'not found\n')
}

/** A web page that has its own name point to loopback (DNS rebinding) must not read traces. */
function isAddressedToUs(header: string | undefined, host: string): boolean {
  if (header === undefined || !/^(127\.|::1$|localhost$)/.test(host)) return true
  const name = header
    .replace(/:\d*$/, '')
    .replace(/^\[(.*)\]$/, '$1')
    .toLowerCase()
  return name === 'localhost' || name === host || isIP(name) !== 0
}

interface Received {
  readonly format: Format
  readonly bytes: Uint8Array
}

/** The body, or the reply to one that cannot be read. */
async function receive(sink: Sink, request: IncomingMessage): Promise<Received | SinkReply> {
  const type = (request.headers['content-type'] ?? '').split(';', 1)[0]?.trim().toLowerCase() ?? ''
  const format = FORMATS.get(type)
  if (!format) {
    request.resume()
    return text(415, `content-type ${type || 'missing'}: application/x-protobuf and application/json are taken\n`)
  }
  const body = await readRequestBody(request, sink.options.maxBodyBytes ?? MAX_BODY_BYTES)
  return body.ok ? { format, bytes: body.bytes } : refusal(format, body.status, body.reason)
}

async function receiveOther(
  sink: Sink,
  request: IncomingMessage,
  tell: (sink: Sink, received: Received) => void,
): Promise<SinkReply> {
  const received = await receive(sink, request)
  if ('status' in received) return received
  try {
    tell(sink, received)
  } catch (error) {
    return refusal(received.format, 400, error instanceof Error ? error.message : String(error))
  }
  return taken(received.format)
}

function tellLogs({ options }: Sink, { bytes, format }: Received): void {
  for (const log of readLogs(bytes, format)) options.onLog?.(log)
}

function tellMetrics({ options }: Sink, { bytes, format }: Received): void {
  for (const metrics of readMetrics(bytes, format)) options.onMetrics?.(metrics)
}

async function receiveSpans(sink: Sink, request: IncomingMessage): Promise<SinkReply | undefined> {
  const number = ++sink.requests
  const received = await receive(sink, request)
  if ('status' in received) return received
  const { bytes, format } = received
  const decoded = decodeTraces(bytes, format)
  if (!decoded.ok) return refusal(format, 400, decoded.error)
  const answer = sink.options.answer?.({ number, headers: request.headers, spans: decoded.spans })
  if (!answer) return keep(sink, decoded.spans, format)
  if (answer.delayMs === Number.POSITIVE_INFINITY) return undefined
  if (answer.delayMs) await delay(sink, answer.delayMs)
  const usual =
    answer.status >= 200 && answer.status < 300
      ? keep(sink, decoded.spans, format)
      : refusal(format, answer.status, 'simulated')
  return {
    status: answer.status,
    headers: { ...usual.headers, ...answer.headers },
    body: answer.body ?? usual.body,
  }
}

function delay(sink: Sink, ms: number): Promise<void> {
  return new Promise((resolve) => {
    const timer = setTimeout(() => {
      sink.timers.delete(timer)
      resolve()
    }, ms)
    timer.unref()
    sink.timers.add(timer)
  })
}

/** Stores them, tells whoever waits, and answers that all were taken: an empty ExportTraceServiceResponse. */
function keep(sink: Sink, spans: readonly StoredSpan[], format: Format): SinkReply {
  try {
    for (const span of spans) {
      const kept = sink.store.add(span)
      if (kept) sink.options.onSpan?.(kept)
    }
  } finally {
    sink.waiters.arrived()
  }
  return taken(format)
}

function taken(format: Format): SinkReply {
  return { status: 200, headers: headersFor(format), body: format === 'json' ? '{}' : '' }
}

/** OTLP wants a google.rpc.Status, in the format of the request; its `message` is field 2. */
function refusal(format: Format, status: number, reason: string): SinkReply {
  const message = Buffer.from(reason).subarray(0, 120)
  const body = format === 'json' ? JSON.stringify({ message: reason }) : Buffer.from([0x12, message.length, ...message])
  return { status, headers: headersFor(format), body }
}

function headersFor(format: Format): Record<string, string> {
  return { 'content-type': format === 'json' ? 'application/json' : 'application/x-protobuf' }
}

function send(response: ServerResponse, reply: SinkReply): void {
  response.writeHead(reply.status, { ...reply.headers, 'content-length': Buffer.byteLength(reply.body) })
  response.end(reply.body)
}

/** An address to connect to, for one that is listened on. */
function reachable(host: string): string {
  if (host === '0.0.0.0') return '127.0.0.1'
  if (host === '::') return '[::1]'
  return isIP(host) === 6 ? `[${host}]` : host
}
