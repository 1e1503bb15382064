// Requests that were sent before the one ahead of them was answered. Their responses wait for the socket, and Node 22 says nothing of
// those that still wait when it is gone.
import type { IncomingMessage } from 'node:http'
import { inFlight } from './in-flight.ts'
import { makeRoom } from './listener-room.ts'
import { Open } from './open-request.ts'

const WATCHED: unique symbol = Symbol('afterspan.pipelined')

type Socket = IncomingMessage['socket'] & { _httpMessage?: object | null; [WATCHED]?: true }

/** `gone`: the connection of this request is gone, and nobody has told of its end. */
export function watchPipelined(socket: Socket, gone: (open: Open) => void): void {
  if (!socket._httpMessage || socket[WATCHED]) return
  socket[WATCHED] = true
  makeRoom(socket)
  socket.once('close', () => {
    for (const open of inFlight) if (open instanceof Open && open.request.socket === socket) gone(open)
  })
}
