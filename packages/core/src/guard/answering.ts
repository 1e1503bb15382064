// How a handler of each framework answers: by what it was called with. Nothing of a framework is loaded for that.
import type { IncomingMessage, ServerResponse } from 'node:http'

const BODY = { error: 'Internal Server Error' }

export interface Answering {
  /** Node's own; undefined where the framework does not give it. */
  readonly request: Pick<IncomingMessage, 'method' | 'url'> | undefined
  /** 500 without detail, or the end of the connection where an answer has begun; what the handler is to return. */
  fail(): unknown
}

interface FastifyReply {
  readonly raw: ServerResponse
  readonly sent: boolean
  code(status: number): FastifyReply
  send(body: unknown): unknown
}
interface KoaContext {
  readonly req: IncomingMessage
  readonly res: ServerResponse
  body: unknown
  status: number
}
interface HonoContext {
  readonly env?: { readonly incoming?: IncomingMessage }
  json(body: unknown, status: number): unknown
}
interface HapiRequest {
  readonly raw: { readonly req: IncomingMessage }
}
interface HapiToolkit {
  response(body: unknown): { code(status: number): unknown }
}

/** Undefined: called by something that answers in a way of its own. */
export function answeringOf(args: readonly unknown[]): Answering | undefined {
  const response = args.find((arg) => isResponse(arg)) as (ServerResponse & { req?: IncomingMessage }) | undefined
  if (response) return { request: response.req, fail: () => answerByNode(response) }
  const [first, second] = args
  if (has(second, 'code', 'send') && isResponse((second as FastifyReply).raw)) return fastify(second as FastifyReply)
  if (isResponse((first as KoaContext | undefined)?.res)) return koa(first as KoaContext)
  if (has(first, 'json', 'newResponse')) return hono(first as HonoContext)
  if (has(second, 'response', 'redirect')) return hapi(first as HapiRequest, second as HapiToolkit)
  return undefined
}

function fastify(reply: FastifyReply): Answering {
  return {
    request: (reply.raw as { req?: IncomingMessage }).req,
    fail() {
      if (reply.raw.headersSent) end(reply.raw)
      else if (!reply.sent) reply.code(500).send(BODY)
      return reply
    },
  }
}

function koa(context: KoaContext): Answering {
  return {
    request: context.req,
    fail() {
      if (context.res.headersSent) return end(context.res)
      context.status = 500
      context.body = BODY
      return undefined
    },
  }
}

function hono(context: HonoContext): Answering {
  return { request: context.env?.incoming, fail: () => context.json(BODY, 500) }
}

function hapi(request: HapiRequest, toolkit: HapiToolkit): Answering {
  return { request: request.raw.req, fail: () => toolkit.response(BODY).code(500) }
}

function answerByNode(response: ServerResponse): undefined {
  if (response.headersSent) return end(response)
  try {
    response.statusCode = 500
    response.setHeader('content-type', 'application/json; charset=utf-8')
    response.end(JSON.stringify(BODY))
  } catch {
    response.destroy()
  }
  return undefined
}

/** An answer that has begun cannot become a 500: a connection that breaks says that it is not whole. */
function end(response: ServerResponse): undefined {
  if (!response.writableEnded) response.destroy()
  return undefined
}

function isResponse(value: unknown): boolean {
  return has(value, 'end', 'setHeader') && 'headersSent' in (value as object)
}

function has(value: unknown, ...methods: readonly string[]): boolean {
  if (typeof value !== 'object' || value === null) return false
  return methods.every((method) => typeof (value as Record<string, unknown>)[method] === 'function')
}
