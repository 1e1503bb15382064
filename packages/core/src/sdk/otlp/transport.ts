import { request as httpRequest, type ClientRequest, type IncomingMessage } from 'node:http'
import { request as httpsRequest } from 'node:https'
import { join } from 'node:path'
import { gzipSync } from 'node:zlib'
import { agentFor } from './agent.ts'
import { OWN_REQUEST } from './own-request.ts'
import { partialSuccess } from './partial-success.ts'
import type { OtlpReply } from './reply.ts'
import type { OtlpSettings } from './settings.ts'
import { TOO_LARGE } from './size-limit.ts'

export type { OtlpReply }

/** Refusals that are about what was sent, and not about who may send where. */
export const ABOUT_CONTENT: ReadonlySet<string> = new Set([
  'http_400',
  'http_422',
  'grpc_invalid_argument',
  ...TOO_LARGE,
])

/** One of the files may be new already, and the other not yet. */
const OF_CERTIFICATES = /^ERR_OSSL_/

const MAX_REPLY_BYTES = 64 * 1024

/** In one piece or in several, which are sent as they are. */
export type OtlpBody = Uint8Array | readonly Uint8Array[]

/** By what was given to be sent. */
const requests = new WeakMap<object, ClientRequest>()

/** What brings it to the collector now, where that is a request of HTTP. */
export function requestOf(body: OtlpBody): ClientRequest | undefined {
  return requests.get(body)
}

/** One export request of the signal that the settings name, in protobuf, on its way to the collector by whichever protocol it takes. Never rejects. */
export function postOtlp(settings: OtlpSettings, body: OtlpBody): Promise<OtlpReply> {
  return settings.protocol === undefined ? post(settings, body) : postOther(settings, body)
}

/** What the collector has of it is a copy: the memory is free in any case. */
async function postOther(settings: OtlpSettings, body: OtlpBody): Promise<OtlpReply> {
  const whole = Buffer.concat(body instanceof Uint8Array ? [body] : body)
  try {
    // Beside the bundle, and beside this file where there is none.
    const { postGrpc, otlpJson } = require(
      join(__dirname, 'other-protocols.js'),
    ) as typeof import('./other-protocols.ts')
    if (settings.protocol === 'grpc') return { ...(await postGrpc(settings, whole)), isBodyFree: true }
    const json = Buffer.from(otlpJson(whole, settings.signal))
    return { ...(await post({ ...settings, contentType: 'application/json' }, json, body)), isBodyFree: true }
  } catch (error) {
    return { ok: false, retryable: false, reason: (error as NodeJS.ErrnoException).code ?? 'invalid' }
  }
}

type PostSettings = OtlpSettings & { readonly contentType?: string }

/** One POST. Redirects are not followed; the reply is read to its end, up to 64 KiB. */
function post(settings: PostSettings, body: OtlpBody, given = body): Promise<OtlpReply> {
  return new Promise((resolve) => {
    let done = false
    const finish = (reply: OtlpReply): void => {
      if (!done) {
        done = true
        clearTimeout(timer)
        resolve(reply)
      }
    }
    let request: ClientRequest | undefined
    const timer = setTimeout(() => {
      finish({ ok: false, retryable: true, reason: 'timeout' })
      request?.destroy()
    }, settings.timeoutMs)
    timer.unref()
    const attempt = (): void => {
      try {
        const own = open(settings, body, (response) => {
          read(response, (reply) => {
            finish({ ...reply, isBodyFree: own.writableFinished })
          })
        })
        request = own
        requests.set(given, own)
        own.on('error', (error: NodeJS.ErrnoException) => {
          if (!done && wasClosedIdle(own, error)) attempt()
          else finish({ ok: false, retryable: true, reason: error.code ?? 'network' })
        })
      } catch (error) {
        const reason = (error as NodeJS.ErrnoException).code ?? 'invalid'
        finish({ ok: false, retryable: OF_CERTIFICATES.test(reason), reason })
      }
    }
    attempt()
  })
}

/** A server may close a connection that is idle, and it may do so as the next request is on its way: that says nothing of the server. */
function wasClosedIdle(request: ClientRequest, { code }: NodeJS.ErrnoException): boolean {
  return request.reusedSocket && (code === 'ECONNRESET' || code === 'EPIPE')
}

function open(settings: PostSettings, body: OtlpBody, onResponse: (response: IncomingMessage) => void): ClientRequest {
  const url = new URL(settings.url)
  const secure = url.protocol === 'https:'
  const pieces: readonly Uint8Array[] = body instanceof Uint8Array ? [body] : body
  const packed = settings.compression === 'gzip' ? [gzipSync(Buffer.concat(pieces))] : pieces
  const headers: Record<string, string | number> = {
    'user-agent': 'afterspan',
    ...settings.headers,
    'content-type': settings.contentType ?? 'application/x-protobuf',
    'content-length': packed.reduce((sum, piece) => sum + piece.length, 0),
  }
  if (settings.compression === 'gzip') headers['content-encoding'] = 'gzip'
  const options = { method: 'POST', headers, agent: agentFor(url, settings.tls), [OWN_REQUEST]: true }
  const request = (secure ? httpsRequest : httpRequest)(url, options, onResponse)
  // An export never keeps the process alive.
  request.on('socket', (socket) => {
    socket.unref()
  })
  for (const piece of packed) request.write(piece)
  request.end()
  return request
}

function read(response: IncomingMessage, finish: (reply: OtlpReply) => void): void {
  const status = response.statusCode ?? 0
  const type = response.headers['content-type'] ?? ''
  const chunks: Buffer[] = []
  let bytes = 0
  response.on('data', (chunk: Buffer) => {
    bytes += chunk.length
    if (bytes > MAX_REPLY_BYTES) response.destroy()
    else chunks.push(chunk)
  })
  const end = (): void => {
    if (status >= 200 && status < 300) {
      finish(acceptance(type, Buffer.concat(chunks), response.complete || bytes > MAX_REPLY_BYTES))
      return
    }
    const retryable = status === 429 || status === 502 || status === 503 || status === 504
    const retryAfterMs = retryAfter(response.headers['retry-after'])
    finish({ ok: false, retryable, reason: `http_${status}`, ...(retryAfterMs === undefined ? {} : { retryAfterMs }) })
  }
  response.on('end', end)
  response.on('close', end)
  response.on('error', end)
}

/** What a 2xx is worth: a page for people is a proxy's or a portal's word, and half an answer is none. */
function acceptance(type: string, body: Buffer, isWhole: boolean): OtlpReply {
  if (!isWhole) return { ok: false, retryable: true, reason: 'half_answer' }
  if (/^text\/html\b/i.test(type)) return { ok: false, retryable: true, reason: 'not_otlp' }
  return { ok: true, retryable: false, reason: 'ok', ...partialSuccess(type, body) }
}

/** Seconds or an HTTP date (RFC 9110, 10.2.3), at most five minutes. */
export function retryAfter(header: string | undefined, now: number = Date.now()): number | undefined {
  if (header === undefined) return undefined
  const seconds = /^\d{1,9}$/.test(header.trim()) ? Number(header) * 1000 : Date.parse(header) - now
  return Number.isNaN(seconds) ? undefined : Math.min(Math.max(0, seconds), 300_000)
}
