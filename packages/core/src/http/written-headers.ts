// Headers of an outgoing request whose head Node has written into one string as it made the request: setHeader() comes too late.
import type { ClientRequest } from 'node:http'

type Written = ClientRequest & {
  _header?: unknown
  readonly _headerSent?: boolean
  /** Waits for the socket. */
  readonly outputData?: readonly { data: unknown }[]
}

/** In place of those of that name. Nothing where the head is on its way. */
export function addWrittenHeader(request: Written, name: string, value: string): void {
  const { _header: head } = request
  // With `Expect: 100-continue` it is in the queue already.
  const queued = request._headerSent ? request.outputData?.[0] : undefined
  if (typeof head !== 'string' || (request._headerSent && queued?.data !== head)) return
  const [first, ...lines] = head.split('\r\n')
  const start = `${name.toLowerCase()}:`
  const others = lines.filter((line) => !line.toLowerCase().startsWith(start))
  request._header = [first, `${name}: ${value}`, ...others].join('\r\n')
  if (queued) queued.data = request._header
}

/** What it says of the host. */
export function writtenHost({ _header }: Written): string | undefined {
  return typeof _header === 'string' ? /^host: *(\S+)/im.exec(_header)?.[1] : undefined
}
