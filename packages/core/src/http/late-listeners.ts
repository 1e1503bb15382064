import { IncomingMessage } from 'node:http'
import { context } from '@opentelemetry/api'
import { OPEN, type Marked } from './open-request.ts'
import { REQUEST_KEY } from './request-record.ts'

type Listener = ((...args: unknown[]) => void) & { listener?: unknown }
type On = (event: string | symbol, listener: Listener) => unknown

/** Added by Node itself to every request once its response has ended. */
const NODES_OWN = 'clearIncoming'
const LATE = new Set<string | symbol>(['data', 'end', 'close', 'error', 'readable'])

/** Listeners that the app adds to a request run in that request's context, whichever event of the parser fires them: raw `req.on('end')` listeners lose it on Node 24 and 26. */
export function bindLateListeners(of: object = IncomingMessage.prototype): void {
  const prototype = of as Record<string, On>
  const on = bound(prototype['on']!)
  replace(prototype, 'on', on)
  replace(prototype, 'addListener', on)
  replace(prototype, 'prependListener', bound(prototype['prependListener']!))
}

function bound(original: On): On {
  return function (this: IncomingMessage & Marked, event, listener) {
    const open = this[OPEN]
    if (open === undefined || !LATE.has(event) || typeof listener !== 'function' || listener.name === NODES_OWN)
      return original.call(this, event, listener)
    const now = context.active()
    const own = now.getValue(REQUEST_KEY) === open.record ? now : open.context
    const wrapped = context.bind(own, listener) as Listener
    wrapped.listener = listener.listener ?? listener // so that removeListener() finds it
    return original.call(this, event, wrapped)
  }
}

function replace(prototype: object, method: string, value: On): void {
  Object.defineProperty(prototype, method, { value, writable: true, configurable: true, enumerable: false })
}
