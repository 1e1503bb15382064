// Fastify 4 and 5 say on a diagnostics channel of their own that an instance was made. Its hooks are public, come first, and are
// inherited by every plugin; those that the app has behind the response are called through one of ours.
import { subscribe } from 'node:diagnostics_channel'
import { whenBroken } from '../broken-body.ts'
import { expressRoute } from './express.ts'
import { hearBehind, type Hooked } from './fastify-hooks.ts'
import type { RequestTeller } from './framework.ts'

interface Instance {
  readonly version?: string
  addHook(name: 'onRequest', hook: (request: Request, reply: unknown, done: () => void) => void): unknown
  addHook(name: 'onSend', hook: (request: Request, reply: unknown, body: unknown, done: () => void) => void): unknown
  addHook(name: 'onError', hook: (request: Request, reply: unknown, error: unknown, done: () => void) => void): unknown
}
interface Request {
  readonly raw: object
  readonly is404?: boolean
  readonly routeOptions?: { readonly url?: string }
}

/** `onActive` hears of each version once an instance of it is watched. */
export function watchFastify(
  { recordError, setRoute }: RequestTeller,
  onActive: (version: string) => void,
  onError: (error: unknown) => void,
): void {
  subscribe('fastify.initialization', (message) => {
    try {
      const { fastify } = message as { readonly fastify: Instance }
      fastify.addHook('onRequest', function afterspanRoute(request, _reply, done) {
        // Asked at the end: a handler may still hand over to the not-found handler. What it has no route for may have been answered
        // before, by an Express within it (@fastify/express).
        setRoute(request.raw, (status) =>
          request.is404 ? expressRoute(request.raw, status) : request.routeOptions?.url,
        )
        done()
      })
      // Before the app's own error handler, whatever part of the life cycle failed.
      fastify.addHook('onError', function afterspanError(request, _reply, error, done) {
        recordError(request.raw, error)
        done()
      })
      // What breaks when the head is sent is only logged, and the connection is closed without a word.
      fastify.addHook('onSend', function afterspanBody(request, _reply, body, done) {
        whenBroken(body, (error) => {
          recordError(request.raw, error)
        })
        done()
      })
      hearBehind(fastify as unknown as Hooked, (request, error) => {
        recordError(request.raw, error)
      })
      onActive(fastify.version ?? '')
    } catch (error) {
      onError(error)
    }
  })
}
