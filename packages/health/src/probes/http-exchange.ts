// One request by node:http or node:https, read to its end, with what it was told on the way.
import type { IncomingMessage } from 'node:http'
import type { HttpProbeOptions } from './http-options.ts'

export interface HttpAnswer {
  readonly status: number
  readonly contentType: string
  /** Of a redirect that is not followed. */
  readonly location?: string
  readonly body: string
  /** There was more than is kept. */
  readonly isCut: boolean
  readonly elapsedMs: number
  /** The end of the server's certificate, in milliseconds since 1970. */
  readonly validUntil?: number
}

const MOST_BYTES = 1_048_576
const IS_REDIRECT: ReadonlySet<number | undefined> = new Set([301, 302, 303, 307, 308])

/** Rejects with the network's error, or when the signal aborts; nothing is left open then. */
export async function exchange(url: URL, options: HttpProbeOptions, signal: AbortSignal): Promise<HttpAnswer> {
  const startedAt = performance.now()
  let at = url
  for (let followed = 0; ; followed++) {
    const answer = await once(at, options, { signal, isSameOrigin: at.origin === url.origin, isFirst: followed === 0 })
    if (answer.location === undefined || followed >= (options.redirects ?? 0))
      return { ...answer, elapsedMs: performance.now() - startedAt }
    at = new URL(answer.location, at)
    if (!/^https?:$/.test(at.protocol)) throw new Error('a redirect to something that is not HTTP')
  }
}

interface Step {
  readonly signal: AbortSignal
  readonly isSameOrigin: boolean
  readonly isFirst: boolean
}

function once(
  url: URL,
  options: HttpProbeOptions,
  { signal, isSameOrigin, isFirst }: Step,
): Promise<Omit<HttpAnswer, 'elapsedMs'>> {
  return new Promise((resolve, reject) => {
    // By the name as Node has it: loaded by the first check, and an app that never speaks TLS never loads that.
    const { request } = process.getBuiltinModule(url.protocol === 'https:' ? 'node:https' : 'node:http')
    const body = isFirst ? options.body : undefined
    const sent = request(url, {
      // Of an agent's own: that of the process resumes a session of TLS, in which no certificate is shown, and none is looked at.
      agent: false,
      ...options.request,
      method: isFirst ? (options.method ?? 'GET') : 'GET',
      headers: {
        accept: '*/*',
        // A connection of its own sees a new address and a new certificate. An agent of the app's is used as the app uses it.
        ...(options.request?.['agent'] ? {} : { connection: 'close' }),
        ...(isSameOrigin ? options.headers : {}),
      },
    })
    const onAbort = (): void => void sent.destroy(new Error('given up'))
    const settle = (then: () => void): void => {
      signal.removeEventListener('abort', onAbort)
      then()
    }
    signal.addEventListener('abort', onAbort, { once: true })
    const failed = (error: unknown): void => settle(() => reject(error as Error))
    sent.on('error', failed)
    // A check that hangs keeps no process alive.
    sent.once('socket', (socket) => socket.unref())
    sent.once('response', (response: IncomingMessage) => {
      // Before its connection is closed: then nobody knows the certificate.
      const validUntil = endOfCertificate(response)
      read(response).then((whole) => settle(() => resolve(answerOf(response, whole, validUntil))), failed)
    })
    sent.end(body)
  })
}

function answerOf(
  { headers, statusCode = 0 }: IncomingMessage,
  { body, isCut }: Pick<HttpAnswer, 'body' | 'isCut'>,
  validUntil: number | undefined,
): Omit<HttpAnswer, 'elapsedMs'> {
  const { location } = headers
  return {
    status: statusCode,
    contentType: headers['content-type'] ?? '',
    body,
    isCut,
    ...(location !== undefined && IS_REDIRECT.has(statusCode) ? { location } : {}),
    ...(validUntil === undefined ? {} : { validUntil }),
  }
}

function endOfCertificate({ socket }: IncomingMessage): number | undefined {
  if (!('getPeerCertificate' in socket)) return undefined
  const { valid_to: end } = (socket as unknown as { getPeerCertificate(): { valid_to?: string } }).getPeerCertificate()
  const at = end === undefined ? Number.NaN : Date.parse(end)
  return Number.isNaN(at) ? undefined : at
}

async function read(response: IncomingMessage): Promise<Pick<HttpAnswer, 'body' | 'isCut'>> {
  const chunks: Buffer[] = []
  let bytes = 0
  for await (const chunk of response as AsyncIterable<Buffer>) {
    if (bytes < MOST_BYTES) chunks.push(chunk)
    bytes += chunk.length
    // Endless ones too end here.
    if (bytes > MOST_BYTES) break
  }
  return { body: Buffer.concat(chunks).toString('utf8'), isCut: bytes > MOST_BYTES }
}
