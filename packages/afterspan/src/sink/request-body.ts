import type { IncomingMessage } from 'node:http'
import { promisify } from 'node:util'
import { gunzip } from 'node:zlib'

export type RequestBody =
  | { readonly ok: true; readonly bytes: Buffer }
  | { readonly ok: false; readonly status: 400 | 413 | 415; readonly reason: string }

const unzip = promisify(gunzip)

/** The whole body, unzipped where it says gzip; never more than `limit` bytes of it, before or after. Never rejects. */
export async function readRequestBody(request: IncomingMessage, limit: number): Promise<RequestBody> {
  const encoding = (request.headers['content-encoding'] ?? 'identity').trim().toLowerCase()
  if (encoding !== 'gzip' && encoding !== 'identity') {
    request.resume()
    return { ok: false, status: 415, reason: `content-encoding ${encoding} is not supported, gzip is` }
  }
  const raw = await readAtMost(request, limit)
  if (raw === 'too_large') return tooLarge(limit)
  if (raw === 'aborted') return { ok: false, status: 400, reason: 'the request ended before its body did' }
  if (encoding === 'identity') return { ok: true, bytes: raw }
  try {
    return { ok: true, bytes: await unzip(raw, { maxOutputLength: limit }) }
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ERR_BUFFER_TOO_LARGE') return tooLarge(limit)
    return { ok: false, status: 400, reason: `not gzip: ${(error as Error).message}` }
  }
}

/** What is too large is read to its end and thrown away: a sender that is still writing would not see the answer. */
function readAtMost(request: IncomingMessage, limit: number): Promise<Buffer | 'aborted' | 'too_large'> {
  return new Promise((resolve) => {
    let parts: Buffer[] = []
    let length = Number(request.headers['content-length'] ?? 0) > limit ? Number.POSITIVE_INFINITY : 0
    request.on('data', (part: Buffer) => {
      length += part.length
      if (length > limit) parts = []
      else parts.push(part)
    })
    request.on('end', () => {
      resolve(length > limit ? 'too_large' : Buffer.concat(parts))
    })
    for (const event of ['error', 'close'] as const)
      request.on(event, () => {
        resolve('aborted')
      })
  })
}

function tooLarge(limit: number): RequestBody {
  return { ok: false, status: 413, reason: `the body is larger than ${limit} bytes` }
}
