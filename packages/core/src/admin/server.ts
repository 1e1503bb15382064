// One HTTP listener for metrics, health and receipts. It trusts nobody: own guarded parsing, Host allow-list, limits on
// connections, time and size; nothing that changes state answers to GET.
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import { writeFileSync } from 'node:fs'
import type { AddressInfo } from 'node:net'
import type { AdminHandler } from '../contracts/service.ts'
import type { ErrorCode } from '../errors.ts'
import { createAccess, type Access, type AccessSettings } from './access.ts'
import { giveAnswer, send, text } from './answer.ts'
import { listenAt } from './listen.ts'

export interface AdminSettings extends AccessSettings {
  readonly port: number
  /** Into this file goes the address once the listener has it; '' for none. */
  readonly addressFile: string
  /** Whether /metrics is one of the routes. */
  readonly metrics: boolean
}
type Say = (code: ErrorCode, message: string, onceFor?: string) => void
/** Processes that answer as one: only one of them can have the port. */
export interface PortFamily {
  holdPort(): void
  isPortHeld(): Promise<boolean>
}

/** Servers of our own: the request instrumentation leaves them alone. */
export const OWN_SERVER: unique symbol = Symbol.for('afterspan.own-server') as never

/** Another port would not help. */
const NO_SUCH_HOST: ReadonlySet<string | undefined> = new Set(['ENOTFOUND', 'EAI_AGAIN', 'EADDRNOTAVAIL'])
const RETRY_MS = 5_000
/** Longer than a handler may take. A client that says nothing, or does not read what it asked for, would else keep one of the few connections. */
const STALLED_MS = 8_000
/** The next one takes the port soon when the process that had it for all of them is gone. */
const FAMILY_RETRY_MS = 1_000

/** A busy port is said once and tried again every five seconds; another port is never taken silently. */
export class AdminServer {
  readonly #settings: AdminSettings
  readonly #say: Say
  readonly #family: PortFamily | undefined
  readonly #routes = new Map<string, AdminHandler>()
  readonly #access: Access
  #server: Server | undefined
  #retry: NodeJS.Timeout | undefined
  #isStopped = false
  #misses = 0

  constructor(settings: AdminSettings, say: Say, family?: PortFamily) {
    this.#settings = settings
    this.#say = say
    this.#family = family
    this.#access = createAccess(settings)
  }

  /** A path that ends in '/' is a prefix. */
  route(path: string, handle: AdminHandler): void {
    this.#routes.set(path, handle)
  }

  start(): void {
    if (this.#isStopped) return
    const server = guardedServer((request, response) => {
      this.#answer(request, response)
    })
    server.on('error', (error: NodeJS.ErrnoException) => {
      server.close()
      void this.#portIsBusy(error)
    })
    server.once('listening', () => {
      this.#server = server
      this.#family?.holdPort()
      announce(this.#settings, server)
    })
    listenAt(server, this.#settings)
    server.unref()
  }

  stop(): Promise<void> {
    this.#isStopped = true
    clearTimeout(this.#retry)
    const server = this.#server
    this.#server = undefined
    if (!server) return Promise.resolve()
    server.closeAllConnections()
    return new Promise((resolve) => {
      server.close(() => resolve())
    })
  }

  #answer(request: IncomingMessage, response: ServerResponse): void {
    const { remoteAddress } = request.socket
    if (this.#access.isHostAllowed(request.headers.host)) {
      giveAnswer(this.#routes, (headers) => this.#access.isTrusted(remoteAddress, headers), request, response)
      return
    }
    request.resume()
    send(response, request.method ?? '', text(421, 'this Host is not one that the admin listener answers to\n'))
  }

  async #portIsBusy(error: NodeJS.ErrnoException): Promise<void> {
    if (await this.#isInFamily()) {
      this.#tryAgain(FAMILY_RETRY_MS)
      return
    }
    const { host, port } = this.#settings
    const address = `${host}:${port}`
    const remedy = NO_SUCH_HOST.has(error.code)
      ? 'OTEL_EXPORTER_PROMETHEUS_HOST is to be an address of this host: 127.0.0.1, or 0.0.0.0 for all of them.'
      : 'OTEL_EXPORTER_PROMETHEUS_PORT gives it another port.'
    const text = `the admin listener cannot have ${address} (${error.code ?? error.message}): /metrics and /health are not served by this process until it can. ${remedy}`
    this.#say('AFS_ADMIN_PORT_BUSY', text, address)
    this.#tryAgain(RETRY_MS)
  }

  /** A sibling that has just begun, or is about to end, has not yet said or no longer says that the port is its own: so nothing is said at the first miss. */
  async #isInFamily(): Promise<boolean> {
    if (!this.#family) return false
    this.#misses = (await this.#family.isPortHeld()) ? 0 : this.#misses + 1
    return this.#misses < 2
  }

  #tryAgain(ms: number): void {
    if (this.#isStopped) return
    this.#retry = setTimeout(() => {
      this.start()
    }, ms)
    this.#retry.unref()
  }
}

function guardedServer(onRequest: (request: IncomingMessage, response: ServerResponse) => void): Server {
  const server = createServer({
    headersTimeout: 5_000,
    requestTimeout: 10_000,
    keepAliveTimeout: 5_000,
    maxHeaderSize: 8_192,
  })
  server.timeout = STALLED_MS
  Object.defineProperty(server, OWN_SERVER, { value: true })
  server.maxConnections = 64
  server.on('request', onRequest)
  server.on('clientError', (_error, socket) => {
    if (socket.writable) socket.end('HTTP/1.1 400 Bad Request\r\nconnection: close\r\ncontent-length: 0\r\n\r\n')
    else socket.destroy()
  })
  return server
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
