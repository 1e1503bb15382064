// One request to our own routes, and the reply to it. Load balancers and scrapers ask again and again for the same: a reply that is at
// hand goes out in the same turn, without a timer, a promise or a copy.
import type { IncomingHttpHeaders, IncomingMessage, ServerResponse } from 'node:http'
import type { AdminHandler, AdminReply, AdminRequest } from '../contracts/service.ts'

const HANDLER_MS = 5_000
const NO_QUERY = new URLSearchParams()

type IsTrusted = (headers: IncomingHttpHeaders) => boolean

/** Answers one request by one of the routes; also those of the app's own port come here. */
export function giveAnswer(
  routes: ReadonlyMap<string, AdminHandler>,
  isTrusted: IsTrusted,
  request: IncomingMessage,
  response: ServerResponse,
): void {
  const { method = '' } = request
  const answer = (reply: AdminReply): void => {
    try {
      send(response, method, reply)
    } catch {
      send(response, method, BROKEN)
    }
  }
  try {
    const reply = replyTo(routes, isTrusted, request)
    if (reply instanceof Promise)
      bounded(reply).then(answer, () => {
        answer(BROKEN)
      })
    else answer(reply)
  } catch {
    answer(BROKEN)
  }
}

function replyTo(
  routes: ReadonlyMap<string, AdminHandler>,
  isTrusted: IsTrusted,
  request: IncomingMessage,
): AdminReply | Promise<AdminReply> {
  const { headers, method } = request
  // Without a body there is nothing to take off the wire.
  if (headers['content-length'] !== undefined || headers['transfer-encoding'] !== undefined) request.resume()
  if (method !== 'GET' && method !== 'HEAD') return text(405, 'only GET and HEAD\n', { allow: 'GET, HEAD' })
  const target = request.url ?? ''
  if (!target.startsWith('/') || target.length > 4_096) return text(400, 'bad request\n')
  const query = target.indexOf('?')
  const path = query < 0 ? target : target.slice(0, query)
  const handle = findRoute(routes, path)
  if (!handle) return text(404, 'not found\n')
  return handle({
    method,
    path,
    query: query < 0 ? NO_QUERY : new URLSearchParams(target.slice(query + 1)),
    headers: flat(headers),
    trusted: isTrusted(headers),
  } satisfies AdminRequest)
}

/** The handler of a path: its own, or that of a prefix. */
export function findRoute(routes: ReadonlyMap<string, AdminHandler>, path: string): AdminHandler | undefined {
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

export function send(response: ServerResponse, method: string, reply: AdminReply): void {
  if (response.headersSent || response.destroyed) return
  const { body } = reply
  response.writeHead(reply.status, headOf(reply))
  response.end(method === 'HEAD' ? undefined : body)
}

const heads = new WeakMap<AdminReply, string[]>()

/** Names and values in one row, as writeHead takes them fastest. */
function headOf(reply: AdminReply): string[] {
  const known = heads.get(reply)
  if (known) return known
  const { body } = reply
  const head = Object.entries({
    'cache-control': 'no-store',
    'content-type': 'text/plain; charset=utf-8',
    'x-content-type-options': 'nosniff',
    ...reply.headers,
    'content-length': String(typeof body === 'string' ? Buffer.byteLength(body) : body.length),
  }).flat()
  heads.set(reply, head)
  return head
}

export function text(status: number, body: string, headers: Readonly<Record<string, string>> = {}): AdminReply {
  return { status, body, headers }
}

const BROKEN = text(500, 'internal error\n')

/** Node joins all that may come more than once but this one. */
function flat(headers: IncomingHttpHeaders): AdminRequest['headers'] {
  const { 'set-cookie': cookies } = headers
  return (cookies === undefined ? headers : { ...headers, 'set-cookie': cookies.join(', ') }) as AdminRequest['headers']
}
