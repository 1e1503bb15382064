import { ServerResponse } from 'node:http'
import type { TraceRef } from '../contracts/task.ts'
import { OPEN, type Marked } from './open-request.ts'
import { traceparentOf } from './request-attributes.ts'

type Headers = Readonly<Record<string, unknown>> | readonly unknown[] | null | undefined
type StoreHeader = (this: object, firstLine: string, headers: Headers) => void

/**
 * Responses name their trace: `traceresponse` and `server-timing`. They are written behind the status line, and not set before the app
 * answers: with headers that are set Node takes another way through `writeHead`, which refuses lists of pairs and drops the first of two
 * names that differ by case alone. So the app finds its own headers, and no other, and what it says itself under the name wins.
 */
export function writeTraceHeaders(of: object = ServerResponse.prototype): void {
  const prototype = of as { _storeHeader: StoreHeader }
  const { _storeHeader: store } = prototype
  const value: StoreHeader = function (this: Marked, firstLine, headers) {
    const open = this[OPEN]
    if (open === undefined || isNamed(headers)) return store.call(this, firstLine, headers)
    store.call(this, firstLine + traceLines(open.ref), headers)
  }
  Object.defineProperty(prototype, '_storeHeader', { value, writable: true, configurable: true, enumerable: false })
}

/** As they go over the wire, behind the status line. */
export function traceLines(ref: TraceRef): string {
  const trace = traceparentOf(ref)
  return `traceresponse: ${trace}\r\nserver-timing: traceparent;desc="${trace}"\r\n`
}

/** Those that are set are by their names in small letters; those of `writeHead` are as the app wrote them. */
function isNamed(headers: Headers): boolean {
  if (!headers) return false
  if (!Array.isArray(headers)) return (headers as Readonly<Record<string, unknown>>)['traceresponse'] !== undefined
  return headers.flat().some((name) => typeof name === 'string' && name.toLowerCase() === 'traceresponse')
}
