import { types } from 'node:util'
import { say } from '../diag.ts'
import { globalState } from '../global-state.ts'
import { toFailure } from '../tasks/redact.ts'
import { answeringOf, type Answering } from './answering.ts'

/**
 * Wraps a request handler of Node, Express, Fastify, Koa, Hono or hapi: a throw or a rejection answers 500 without detail (where
 * nothing was sent yet; else the connection is ended), puts the exception on the SERVER span, says one line, reports it (see
 * `onReport`), and the process lives.
 * Where a handler answers in another way (a method of a Nest controller), the line is said, and the error goes on to the framework.
 * Works without the preload.
 */
export function safeHandler<H extends (...args: any[]) => unknown>(handler: H): H {
  const safe = function (this: unknown, ...args: unknown[]): unknown {
    const answering = answeringOf(args)
    let result: unknown
    try {
      result = handler.apply(this, args)
    } catch (error) {
      return fail(answering, error)
    }
    return types.isPromise(result) ? result.then(undefined, (error: unknown) => fail(answering, error)) : result
  }
  Object.defineProperty(safe, 'length', { value: handler.length, configurable: true })
  Object.defineProperty(safe, 'name', { value: handler.name, configurable: true })
  return safe as unknown as H
}

function fail(answering: Answering | undefined, error: unknown): unknown {
  const failure = toFailure(error)
  const request = answering?.request
  if (request) globalState().recordError?.(request, error)
  globalState().reportError?.(request, failure)
  const path = request?.url?.split('?')[0]
  say(
    'AFS_HANDLER_FAILED',
    JSON.stringify({ method: request?.method, path, error: failure.type, message: failure.message }),
  )
  if (!answering) throw error
  return answering.fail()
}
