// AdonisJS tells what it does on diagnostics channels of its own: nothing is patched.
import { subscribe } from 'node:diagnostics_channel'
import { activeInFlight } from '../in-flight.ts'
import type { RequestTeller } from './framework.ts'

interface Started {
  readonly ctx: {
    readonly request: { readonly request: object }
    readonly route?: { readonly pattern?: string }
  }
}

/** `onActive` hears once that there is a server of it. */
export function watchAdonis(
  { setRoute }: RequestTeller,
  onActive: () => void,
  onError: (error: unknown) => void,
): void {
  let isActive = false
  subscribe('tracing:adonisjs.http.request:start', (message) => {
    try {
      const { ctx } = message as Started
      // Asked at the end: it is looked for after the middleware of the server.
      setRoute(ctx.request.request, () => ctx.route?.pattern)
      if (!isActive) onActive()
      isActive = true
    } catch (error) {
      onError(error)
    }
  })
  // From the inside out: the first that is told is what was thrown.
  const threw = (message: unknown): void => {
    activeInFlight()?.hasThrown((message as { readonly error: unknown }).error)
  }
  subscribe('tracing:adonisjs.http.route.handler:error', threw)
  subscribe('tracing:adonisjs.http.middleware:error', threw)
}
