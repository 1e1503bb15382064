import type { ClientRequest } from 'node:http'
import { defaultPort, type Sent } from './client-span.ts'
import { writtenHost } from './written-headers.ts'

/** Where a request of node:http goes. A proxy is asked by a whole address, which may have a user and a password in it: those stay out. */
export function targetOf(request: ClientRequest): Sent {
  const { host, method, path, protocol } = request
  const scheme = protocol === 'https:' ? 'https' : 'http'
  const authority = String(request.getHeader('host') ?? writtenHost(request) ?? host)
  const port = Number(/:(\d{1,5})$/.exec(authority)?.[1] ?? defaultPort(scheme))
  const sent = { method, address: host, port, scheme, authority, path } as const
  if (path.startsWith('/')) return sent
  // CONNECT names the host that it wants, OPTIONS may name nothing.
  if (method === 'CONNECT') return { ...sent, authority: path.replace(/^.*@/, ''), path: '' }
  return behindProxy(method, path) ?? { ...sent, path: '' }
}

function behindProxy(method: string, address: string): Sent | undefined {
  if (!/^https?:\/\//i.test(address) || !URL.canParse(address)) return undefined
  const url = new URL(address)
  const scheme = url.protocol === 'https:' ? 'https' : 'http'
  return {
    method,
    address: url.hostname.replace(/^\[(.*)\]$/, '$1'),
    port: Number(url.port || defaultPort(scheme)),
    scheme,
    authority: url.host,
    path: url.pathname + url.search,
  }
}
