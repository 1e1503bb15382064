// One HTTP listener for metrics, health and receipts. It trusts nobody: own guarded parsing, Host allow-list, limits on
// connections, time and size; nothing that changes state answers to GET.
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import { writeFileSync } from 'node:fs'
import type { AddressInfo } from 'node:net'
import type { AdminHandler, AdminReply, AdminRequest } from '../contracts/service.ts'
import type { ErrorCode } from '../errors.ts'
import { createAccess, type Access, type AccessSettings } from './access.ts'

export interface AdminSettings extends AccessSettings {
  readonly port: number
  /** Into this file goes the address once the listener has it; '' for none. */
  readonly addressFile: string
}
export interface AdminServer {
  route(path: string, handle: AdminHandler): void
  start(): void
  stop(): Promise<void>
}

/** Servers of our own: the request instrumentation leaves them alone. */
export const OWN_SERVER: unique symbol = Symbol.for('afterspan.own-server') as never

const RETRY_MS = 5_000
const HANDLER_MS = 5_000

/** A busy port is said once and tried again every five seconds; another port is never taken silently. */
export function createAdminServer(
  settings: AdminSettings,
  say: (code: ErrorCode, message: string, onceFor?: string) => void,
): AdminServer {
  const routes = new Map<string, AdminHandler>()
  const access = createAccess(settings)
  let server: Server | undefined
  let retry: NodeJS.Timeout | undefined
  let isStopped = false

  function listen(): void {
    if (isStopped) return
    const own = createServer({
      headersTimeout: 5_000,
      requestTimeout: 10_000,
      keepAliveTimeout: 5_000,
      maxHeaderSize: 8_192,
    })
    Object.defineProperty(own, OWN_SERVER, { value: true })
    own.maxConnections = 64
    own.on('request', (request, response) => {
      void answer(routes, access, request, response)
    })
    own.on('clientError', (_error, socket) => {
      if (socket.writable) socket.end('HTTP/1.1 400 Bad Request\r\nconnection: close\r\ncontent-length: 0\r\n\r\n')
      else socket.destroy()
    })
    own.on('error', (error: NodeJS.ErrnoException) => {
      own.close()
      const address = `${settings.host}:${settings.port}`
      say(
        'AFS_ADMIN_PORT_BUSY',
        `the admin listener cannot have ${address} (${error.code ?? error.message}): /metrics and /health are not served by this process until it can. ` +
          `OTEL_EXPORTER_PROMETHEUS_PORT gives it another port.`,
        address,
      )
      retry = setTimeout(listen, RETRY_MS)
      retry.unref()
    })
    own.listen(settings.port, settings.host, () => {
      server = own
      announce(settings, own)
    })
    own.unref()
  }

  return {
    route(path, handle) {
      routes.set(path, handle)
    },
    start: listen,
    stop() {
      isStopped = true
      clearTimeout(retry)
      const own = server
      server = undefined
      if (!own) return Promise.resolve()
      own.closeAllConnections()
      return new Promise((resolve) => {
        own.close(() => resolve())
      })
    },
  }
}

function announce(settings: AdminSettings, server: Server): void {
  if (settings.addressFile === '') return
  const { port } = server.address() as AddressInfo
  const host = settings.host.includes(':') ? `[${settings.host}]` : settings.host
  try {
    writeFileSync(settings.addressFile, `http://${host}:${port}\n`)
  } catch {
    // who asked for the file will miss it
  }
}

async function answer(
  routes: ReadonlyMap<string, AdminHandler>,
  access: Access,
  request: IncomingMessage,
  response: ServerResponse,
): Promise<void> {
  const { method = '' } = request
  try {
    const reply = await replyTo(routes, access, request)
    send(response, method, reply)
  } catch {
    send(response, method, text(500, 'internal error\n'))
  }
}

async function replyTo(
  routes: ReadonlyMap<string, AdminHandler>,
  access: Access,
  request: IncomingMessage,
): Promise<AdminReply> {
  const { headers, method } = request
  request.resume()
  if (!access.isHostAllowed(headers.host)) return text(421, 'this Host is not one that the admin listener answers to\n')
  if (method !== 'GET' && method !== 'HEAD') return text(405, 'only GET and HEAD\n', { allow: 'GET, HEAD' })
  const target = request.url ?? ''
  if (!target.startsWith('/') || target.length > 4_096) return text(400, 'bad request\n')
  const query = target.indexOf('?')
  const path = query < 0 ? target : target.slice(0, query)
  const handle = find(routes, path)
  if (!handle) return text(404, 'not found\n')
  const asked: AdminRequest = {
    method,
    path,
    query: new URLSearchParams(query < 0 ? '' : target.slice(query + 1)),
    headers: flat(headers),
    trusted: access.isTrusted(request.socket.remoteAddress, headers),
  }
  return bounded(Promise.resolve(handle(asked)))
}

function find(routes: ReadonlyMap<string, AdminHandler>, path: string): AdminHandler | undefined {
  const exact = routes.get(path)
  if (exact) return exact
  for (const [prefix, handle] of routes)
    if (prefix.length > 1 && prefix.endsWith('/') && path.startsWith(prefix)) return handle
  return undefined
}

function bounded(reply: Promise<AdminReply>): Promise<AdminReply> {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(() => {
      resolve(text(503, 'took too long\n'))
    }, HANDLER_MS)
    timer.unref()
    reply.then(resolve, reject).finally(() => {
      clearTimeout(timer)
    })
  })
}

function send(response: ServerResponse, method: string, reply: AdminReply): void {
  if (response.headersSent || response.destroyed) return
  const body = typeof reply.body === 'string' ? Buffer.from(reply.body) : reply.body
  response.writeHead(reply.status, {
    'cache-control': 'no-store',
    'content-type': 'text/plain; charset=utf-8',
    'x-content-type-options': 'nosniff',
    ...reply.headers,
    'content-length': body.length,
  })
  response.end(method === 'HEAD' ? undefined : body)
}

function text(status: number, body: string, headers: Readonly<Record<string, string>> = {}): AdminReply {
  return { status, body, headers }
}

function flat(headers: IncomingMessage['headers']): Record<string, string | undefined> {
  const out: Record<string, string | undefined> = Object.create(null)
  for (const [name, value] of Object.entries(headers)) out[name] = Array.isArray(value) ? value.join(', ') : value
  return out
}
