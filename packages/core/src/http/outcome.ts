import type { Socket } from 'node:net'
import type { RequestOutcome } from '../contracts/task.ts'
import type { RequestHead } from './request-attributes.ts'

/** The status that went out: some set another one when the head is sent already. */
export function sentStatus({ _header: head, statusCode }: { _header?: unknown; readonly statusCode: number }): number {
  const sent = typeof head === 'string' ? Number(head.slice('HTTP/1.1 '.length, 'HTTP/1.1 200'.length)) : 0
  return sent >= 100 ? sent : statusCode
}

/** What is sent as such by HTTP/1: a head that was written in one call is in no list of headers. */
export function isEventStream(response: object): boolean {
  const { _header: head } = response as { readonly _header?: unknown }
  return typeof head === 'string' && /\r\ncontent-type: *text\/event-stream\b/i.test(head)
}

/** How a response that never finished ended. A FIN or RST of the peer is the client's doing; an idle time-out of the server's socket is told apart; what is left is the server's own destroy(). */
export function abortOutcome(
  request: RequestHead & { readonly complete?: boolean },
  elapsedMs: number,
): RequestOutcome {
  const { socket } = request
  const errored = (socket as { errored?: NodeJS.ErrnoException | null }).errored
  const code = errored?.code
  if (code === 'ERR_HTTP_REQUEST_TIMEOUT') return 'timed_out'
  // An app that listens to 'clientError' is told of that in Node's place, and ends the connection in its own way.
  const { requestTimeout = 0 } = (socket as { server?: { requestTimeout?: number } }).server ?? {}
  if (request.complete === false && requestTimeout > 0 && elapsedMs >= requestTimeout - 50 && endsFirst(socket))
    return 'timed_out'
  // What the parser does not understand was sent by the client, behind this request.
  if (code === 'ECONNRESET' || code === 'EPIPE' || code?.startsWith('HPE_')) return 'aborted_by_client'
  if (hasEnded(socket)) return 'aborted_by_client'
  const timeout = socket.timeout ?? 0
  if (timeout > 0 && elapsedMs >= timeout - 50) return 'timed_out'
  return 'aborted_by_server'
}

function endsFirst(socket: Socket): boolean {
  return socket.writableEnded || !hasEnded(socket)
}
function hasEnded(socket: Socket): boolean {
  return socket.readableEnded || (socket as { _readableState?: { ended?: boolean } })._readableState?.ended === true
}

/** The same of a stream of HTTP/2, by its reset code: CANCEL is what a client sends that goes away, and what Node gives to the streams of a connection that is gone. `isEnded`: the app has answered, and said that this is all. `by`: who has reset it, where that is known. */
export function streamOutcome(rstCode: number, isEnded: boolean, by?: 'app' | 'peer' | 'timeout'): RequestOutcome {
  if (rstCode === NO_ERROR) return isEnded ? 'sent' : 'aborted_by_server'
  if (by === 'timeout') return 'timed_out'
  if (by === 'app') return 'aborted_by_server'
  return rstCode === CANCEL || by === 'peer' ? 'aborted_by_client' : 'aborted_by_server'
}
const NO_ERROR = 0
const CANCEL = 8
