import type { ClientRequest } from 'node:http'
import { defaultPort, type Sent } from './client-span.ts'
import { writtenHost } from './written-headers.ts'

/** Where a request of node:http goes. A proxy is asked by a whole address, which may have a user and a password in it: those stay out. */
export function targetOf(request: ClientRequest): Sent {
  const { host, method, path, protocol } = request
  const scheme = protocol === 'https:' ? 'https' : 'http'
  const named = nameOf(request)
  const sent = { method, address: host, scheme, path, ...(named ?? unknownPort(host, scheme)) } as const
  if (path.startsWith('/')) return sent
  // CONNECT names the host that it wants, OPTIONS may name nothing.
  if (method === 'CONNECT') return { ...sent, authority: path.replace(/^.*@/, ''), path: '' }
  return behindProxy(method, path) ?? { ...sent, path: '' }
}

/** Node writes where it connects to into the Host header. One of the app's own, as a reverse proxy sends it on, says nothing of that. */
function nameOf(request: ClientRequest): Pick<Sent, 'authority' | 'port'> | undefined {
  const authority = String(request.getHeader('host') ?? writtenHost(request) ?? '')
  const [, name, port] = /^(.*?)(?::(\d{1,5}))?$/.exec(authority) ?? []
  if (!name || name.toLowerCase() !== bracketed(request.host).toLowerCase()) return undefined
  return { authority, port: Number(port ?? defaultPort(request.protocol === 'https:' ? 'https' : 'http')) }
}

function unknownPort(host: string, scheme: Sent['scheme']): Pick<Sent, 'authority' | 'isPortUnknown' | 'port'> {
  return { authority: bracketed(host), port: defaultPort(scheme), isPortUnknown: true }
}

function bracketed(host: string): string {
  return host.includes(':') && !host.startsWith('[') ? `[${host}]` : host
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
