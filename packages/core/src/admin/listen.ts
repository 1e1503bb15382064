import * as net from 'node:net'
import type { Server } from 'node:http'

/** Node's own way to a bound socket, by which cluster makes them; a number is the error. In its types it is not, and it may go. */
type Bind = (host: string, port: number, family: 4, fd: undefined, flags: 0) => object | number

/**
 * Like `server.listen({ host, port, exclusive: true })`. An address in numbers is bound without the look-up of names that comes
 * before it otherwise: that loads node:dns and compiles Node's pattern of IPv6 addresses, 4 ms of a start.
 */
export function listenAt(server: Server, { host, port }: { readonly host: string; readonly port: number }): void {
  const bound = bind(host, port)
  // A cluster would hand a port to another worker each time; a handle of one's own is exclusive.
  if (bound) server.listen(bound)
  else server.listen({ host, port, exclusive: true })
}

function bind(host: string, port: number): object | undefined {
  const { _createServerHandle } = net as { readonly _createServerHandle?: Bind }
  if (!/^\d+\.\d+\.\d+\.\d+$/.test(host)) return undefined
  try {
    const handle = _createServerHandle?.(host, port, 4, undefined, 0)
    return typeof handle === 'object' ? handle : undefined
  } catch {
    return undefined // as without it: listen tells why
  }
}
