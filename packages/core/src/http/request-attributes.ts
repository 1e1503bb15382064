import type { IncomingMessage } from 'node:http'
import type { Attributes } from '@opentelemetry/api'
import type { TraceRef } from '../contracts/task.ts'
import { redactQuery } from './redact-query.ts'

const METHODS = new Set(['GET', 'HEAD', 'POST', 'PUT', 'DELETE', 'CONNECT', 'OPTIONS', 'TRACE', 'PATCH', 'QUERY'])

/** What is read of a request when it arrives, semconv http 1.45.0. */
export interface RequestFacts {
  /** `_OTHER` for a method that is nobody's. */
  readonly method: string
  readonly path: string
  readonly attributes: Attributes
}

/** What HTTP/1 and HTTP/2 both say of a request when it arrives. */
export type RequestHead = Pick<IncomingMessage, 'headers' | 'httpVersion' | 'method' | 'socket' | 'url'>

export function traceparentOf({ sampled, spanId, traceId }: TraceRef): string {
  return `00-${traceId}-${spanId}-${sampled ? '01' : '00'}`
}

/** The path of a request's target. A proxy may have been sent a whole address: its authority, and what stands before '@' in it, is left out. */
export function pathOf(target: string): string {
  const query = target.indexOf('?')
  const path = query < 0 ? target : target.slice(0, query)
  return path.charCodeAt(0) === SLASH ? path : path.replace(/^[a-z][a-z\d+.-]*:\/\/[^/]*/i, '') || '/'
}
const SLASH = 47

export function describeRequest(request: RequestHead, path: string): RequestFacts {
  const { headers, socket, url = '/' } = request
  const method = METHODS.has(request.method ?? '') ? request.method! : '_OTHER'
  const attributes: Attributes = {
    'http.request.method': method,
    'url.path': path,
    'url.scheme': (socket as { encrypted?: boolean }).encrypted ? 'https' : 'http',
    'network.protocol.version': request.httpVersion,
  }
  if (method === '_OTHER') attributes['http.request.method_original'] = request.method ?? ''
  const query = url.indexOf('?')
  if (query >= 0 && query < url.length - 1) attributes['url.query'] = redactQuery(url.slice(query + 1))
  const host = parseHost(headers.host ?? '')
  if (host.address) attributes['server.address'] = host.address
  const port = host.port ?? socket.localPort
  if (port) attributes['server.port'] = port
  if (socket.remoteAddress) {
    attributes['client.address'] = socket.remoteAddress
    attributes['network.peer.address'] = socket.remoteAddress
  }
  if (socket.remotePort) attributes['network.peer.port'] = socket.remotePort
  const agent = headers['user-agent']
  if (agent) attributes['user_agent.original'] = agent.slice(0, 512)
  return { method, path, attributes }
}

interface Host {
  readonly header: string
  readonly address?: string
  readonly port?: number
}
/** Clients of a service mostly say the same name. */
let lastHost: Host = { header: '' }

function parseHost(header: string): Host {
  if (header === lastHost.header) return lastHost
  const found = /^(\[[0-9a-fA-F:.]+\]|[^:/?#@\s]{1,255})(?::(\d{1,5}))?$/.exec(header)
  lastHost = found ? { header, address: found[1]!, ...(found[2] ? { port: Number(found[2]) } : {}) } : { header }
  return lastHost
}
