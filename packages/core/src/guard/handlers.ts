import type { IncomingMessage, ServerResponse } from 'node:http'
import { say } from '../diag.ts'
import { globalState } from '../global-state.ts'
import { toFailure } from '../tasks/redact.ts'
import { observe } from '../tasks/observe.ts'

/**
 * Wraps a request handler `(req, res[, next])`: a throw or a rejection answers 500 without detail (where nothing was sent yet; else
 * the connection is ended), puts the exception on the SERVER span, says one line, and the process lives. Works without the preload.
 */
export function safeHandler<H extends (...args: never[]) => unknown>(handler: H): H {
  const safe = function (this: unknown, ...args: never[]): unknown {
    const response = args.find((arg) => isResponse(arg)) as ServerResponse | undefined
    let result: unknown
    try {
      result = observe(() => handler.apply(this, args), {
        onSuccess() {},
        onFailure(error) {
          answer(response, error)
        },
        onError() {},
      })
    } catch {
      return undefined // answered above
    }
    return result instanceof Promise ? result.catch(() => {}) : result
  }
  Object.defineProperty(safe, 'length', { value: handler.length, configurable: true })
  Object.defineProperty(safe, 'name', { value: handler.name, configurable: true })
  return safe as unknown as H
}

function isResponse(value: unknown): boolean {
  const candidate = value as Partial<ServerResponse> | null
  return (
    typeof candidate === 'object' &&
    candidate !== null &&
    typeof candidate.end === 'function' &&
    typeof candidate.setHeader === 'function' &&
    'headersSent' in candidate
  )
}

function answer(response: ServerResponse | undefined, error: unknown): void {
  const failure = toFailure(error)
  const request = (response as { req?: IncomingMessage } | undefined)?.req
  if (request) globalState().recordError?.(request, error)
  const path = request?.url?.split('?')[0]
  say(
    'AFS_HANDLER_FAILED',
    JSON.stringify({ method: request?.method, path, error: failure.type, message: failure.message }),
  )
  if (!response || response.writableEnded) return
  try {
    if (response.headersSent) {
      response.destroy()
      return
    }
    response.statusCode = 500
    response.setHeader('content-type', 'application/json; charset=utf-8')
    response.end('{"error":"Internal Server Error"}')
  } catch {
    response.destroy()
  }
}
