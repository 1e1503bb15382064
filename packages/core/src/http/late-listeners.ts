import { IncomingMessage } from 'node:http'
import { context } from '@opentelemetry/api'
import { putMethod } from '../instrument/replace-method.ts'
import { boundListener, type AddListener } from './bound-listener.ts'
import { OPEN, type Marked } from './open-request.ts'
import { REQUEST_KEY } from './request-record.ts'

/** Added by Node itself to every request once its response has ended. */
const NODES_OWN = 'clearIncoming'
const LATE = new Set<string | symbol>(['data', 'end', 'close', 'error', 'readable'])

/** Listeners that the app adds to a request run in that request's context, whichever event of the parser fires them: raw `req.on('end')` listeners lose it on Node 24 and 26. */
export function bindLateListeners(of: object = IncomingMessage.prototype): void {
  const prototype = of as Record<string, AddListener>
  const on = bound(prototype['on']!)
  putMethod(prototype, 'on', on)
  putMethod(prototype, 'addListener', on)
  putMethod(prototype, 'prependListener', bound(prototype['prependListener']!))
}

function bound(original: AddListener): AddListener {
  return function (this: IncomingMessage & Marked, event, listener) {
    const open = this[OPEN]
    if (open === undefined || !LATE.has(event) || typeof listener !== 'function' || listener.name === NODES_OWN)
      return original.call(this, event, listener)
    const now = context.active()
    const own = now.getValue(REQUEST_KEY) === open.record ? now : open.context
    return original.call(this, event, boundListener(own, event, listener))
  }
}
