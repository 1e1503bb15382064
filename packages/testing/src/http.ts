import { request } from 'node:http'
import type { IncomingHttpHeaders } from 'node:http'

export interface GetOptions {
  readonly body?: string | Uint8Array
  readonly headers?: Readonly<Record<string, string>>
  readonly method?: string
  /** For the whole exchange, not only until the first byte. */
  readonly timeoutMs?: number
}

export interface Answer {
  readonly headers: IncomingHttpHeaders
  readonly status: number
  readonly text: string
}

/** One HTTP exchange on a connection of its own, so that no pooled one outlives the test; every status is an answer, and the deadline rejects. */
export function get(url: string, options: GetOptions = {}): Promise<Answer> {
  const { body, headers = {}, method = 'GET', timeoutMs = 5_000 } = options
  return new Promise((resolve, reject) => {
    const sent = request(url, { agent: false, headers: { connection: 'close', ...headers }, method }, (response) => {
      const chunks: Buffer[] = []
      response.on('data', (chunk: Buffer) => chunks.push(chunk))
      response.on('error', fail)
      response.on('end', () => {
        clearTimeout(deadline)
        resolve({
          headers: response.headers,
          status: response.statusCode ?? 0,
          text: Buffer.concat(chunks).toString(),
        })
      })
    })
    const deadline = setTimeout(() => sent.destroy(new Error(`no whole answer within ${timeoutMs} ms`)), timeoutMs)
    sent.on('error', fail)
    sent.end(body)

    function fail(cause: Error): void {
      clearTimeout(deadline)
      reject(new Error(`${method} ${url}: ${cause.message || (cause as NodeJS.ErrnoException).code}`, { cause }))
    }
  })
}
