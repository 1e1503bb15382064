// The process is ending while an export is under way, and no event will bring its answer any more: it is read from the connection.
import { readSync } from 'node:fs'
import type { ClientRequest, IncomingMessage } from 'node:http'
import type { Socket } from 'node:net'
import { requestOf, type OtlpBody } from './transport.ts'

const LOOK_MS = 1
const MOST_BYTES = 16 * 1024

/**
 * Whether the collector has taken what was given to `postOtlp`, as far as its answer comes by `until` (performance.now()). Blocks; takes
 * what it reads from whoever would have read it. False where it did not take it, or where that cannot be known: by TLS, by gRPC, or while
 * a part of it has not left yet.
 */
export function wasTaken(body: OtlpBody, until: number): boolean {
  try {
    const request = requestOf(body) as (ClientRequest & { readonly res?: IncomingMessage }) | undefined
    const { statusCode, headers } = request?.res ?? {}
    // Its end alone is missing.
    if (headers) return isTaking(String(statusCode), headers['content-type'])
    const fd = request?.socket ? readableNow(request.socket) : undefined
    const head = fd === undefined ? '' : readHead(fd, until)
    return isTaking(/^HTTP\/1\.\d (\d+)/.exec(head)?.[1], /^content-type:[ \t]*(.*)/im.exec(head)?.[1])
  } catch {
    return false
  }
}

/** As an answer that is heard in time: a page for people is none of a collector's. */
function isTaking(status = '', type = ''): boolean {
  return /^2\d\d$/.test(status) && !/^text\/html\b/i.test(type)
}

/** Its descriptor; undefined where it has none, or where nothing is to be expected. */
function readableNow(socket: Socket): number | undefined {
  if (socket.connecting || socket.writableLength > 0 || 'encrypted' in socket) return undefined
  const { _handle: handle } = socket as { _handle?: { readonly fd?: number; readonly writeQueueSize?: number } | null }
  // On Windows there is none.
  const { fd = -1, writeQueueSize = 1 } = handle ?? {}
  return fd >= 0 && writeQueueSize === 0 ? fd : undefined
}

/** Empty where it does not come whole. */
function readHead(fd: number, until: number): string {
  const bytes = Buffer.allocUnsafe(MOST_BYTES)
  const pause = new Int32Array(new SharedArrayBuffer(4))
  for (let length = 0; length < bytes.length;) {
    const more = readNow(fd, bytes, length)
    if (more === 0) return ''
    length += more ?? 0
    const head = bytes.toString('latin1', 0, length)
    if (head.includes('\r\n\r\n')) return head
    if (performance.now() >= until) return ''
    if (more === undefined) Atomics.wait(pause, 0, 0, LOOK_MS)
  }
  return ''
}

/** Undefined: there is nothing yet; 0: it was closed. */
function readNow(fd: number, into: Buffer, at: number): number | undefined {
  try {
    return readSync(fd, into, at, into.length - at, null)
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'EAGAIN') return undefined
    throw error
  }
}
