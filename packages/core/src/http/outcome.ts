import type { IncomingMessage } from 'node:http'
import type { RequestOutcome } from '../contracts/task.ts'

/** How a response that never finished ended. A FIN or RST of the peer is the client's doing; an idle time-out of the server's socket is told apart; what is left is the server's own destroy(). */
export function abortOutcome({ socket }: IncomingMessage, elapsedMs: number): RequestOutcome {
  const errored = (socket as { errored?: NodeJS.ErrnoException | null }).errored
  if (errored && (errored.code === 'ECONNRESET' || errored.code === 'EPIPE')) return 'aborted_by_client'
  if (socket.readableEnded || (socket as { _readableState?: { ended?: boolean } })._readableState?.ended)
    return 'aborted_by_client'
  const timeout = socket.timeout ?? 0
  if (timeout > 0 && elapsedMs >= timeout - 50) return 'timed_out'
  return 'aborted_by_server'
}
