// What Sentry sends for us holds the process, as whatever it sends: at the end of one that has nothing else to do it may do so for a
// moment, and not for as long as Sentry's server hangs.
import { subscribe } from 'node:diagnostics_channel'
import type { ClientRequest } from 'node:http'
import { context, createContextKey } from '@opentelemetry/api'
import { once } from '../once.ts'
import { withValue } from '../sdk/request-context.ts'

const BRIEF_KEY = createContextKey('afterspan.brief-requests')
const HOLD_MS = 500

/** Calls what sends them, now or in a while. */
export function withBriefRequests<T>(send: () => T): T {
  watch()
  return context.with(withValue(context.active(), BRIEF_KEY, true), send)
}

const watch = once(() => {
  subscribe('http.client.request.created', (message) => {
    if (context.active().getValue(BRIEF_KEY) !== true) return
    const { request } = message as { readonly request: ClientRequest }
    setTimeout(() => {
      if (request.socket) request.socket.unref()
      else request.once('socket', (socket) => socket.unref())
    }, HOLD_MS).unref()
  })
})
