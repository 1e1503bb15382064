// Next.js is bundled, and its apps with it: there is nothing to hook. It makes spans of its own by the API, and the first of a request
// that knows the page tells it; the response may have ended before Next.js puts it on the SERVER span as http.route.
import type { SpanObserver } from '../../sdk/span-observers.ts'
import { activeRequest } from '../request-record.ts'

/** Pages that are shown in place of one. */
const INSTEAD = /^\/(?:_|404$|500$)/

let isHere = false

/** Whether it has served anything. */
export function hasNext(): boolean {
  return isHere
}

export const nextRoutes: SpanObserver = {
  onStart({ attributes, instrumentationScope }, parent) {
    isHere ||= instrumentationScope.name === 'next.js'
    const page = attributes['next.route']
    if (typeof page !== 'string' || INSTEAD.test(page)) return
    const request = activeRequest(parent)
    if (request && !request.ended) request.toldRoute ??= page
  },
  onEnd() {},
}
