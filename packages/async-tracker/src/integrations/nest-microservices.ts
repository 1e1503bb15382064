// @nestjs/microservices: what a handler by @EventPattern throws becomes a stream that fails, of which nobody hears, and the transport has
// acknowledged the message, or does so. A handler by @MessagePattern answers: what it throws is its caller's.
import { types } from 'node:util'
import { followObservable, hideOwnFrames, type Integration, type TaskKit } from '@afterspan/core/internal'
import { activeCaught, type Caught } from './running/caught.ts'
import { failureOf } from './running/failure-of.ts'

type Handle = (...args: unknown[]) => unknown
interface Server {
  getHandlerByPattern(pattern: unknown): Handle | null | undefined
  handleEvent(pattern: unknown, ...rest: unknown[]): unknown
}
interface ExceptionsHandler {
  handle(exception: unknown, ...rest: unknown[]): unknown
}
/** server/server.js has the one, exceptions/rpc-exceptions-handler.js the other. */
interface Exports {
  readonly Server?: { readonly prototype: Server }
  readonly RpcExceptionsHandler?: { readonly prototype: ExceptionsHandler }
}

const ours = new WeakSet<object>()

/** The integration of @nestjs/microservices: the run of a message that another integration follows fails with the event that it brought. */
export const nestMicroservices: Integration<Exports> = {
  name: 'nest-microservices',
  module: '@nestjs/microservices',
  files: ['server/server.js', 'exceptions/rpc-exceptions-handler.js'],
  hasModules: true,
  versions: '>=10.0.0 <13',
  patch({ Server, RpcExceptionsHandler }, kit) {
    if (RpcExceptionsHandler) patchExceptions(RpcExceptionsHandler.prototype, kit)
    if (Server) patchEvents(Server.prototype, kit)
  },
}

function patchExceptions(prototype: ExceptionsHandler, kit: TaskKit): void {
  if (ours.has(prototype)) return
  ours.add(prototype)
  kit.wrap(
    prototype,
    'handle',
    (original) =>
      function (this: ExceptionsHandler, exception, ...rest) {
        const caught = activeCaught()
        if (caught) {
          caught.thrown = { error: exception }
          hideOwnFrames(exception)
        }
        return original.call(this, exception, ...rest)
      },
  )
}

function patchEvents(prototype: Server, kit: TaskKit): void {
  if (ours.has(prototype)) return
  ours.add(prototype)
  kit.wrap(
    prototype,
    'handleEvent',
    (original) =>
      function (this: Server, pattern, ...rest) {
        const caught = activeCaught()
        if (!caught) return original.call(this, pattern, ...rest)
        const streams: Promise<void>[] = []
        const done = original.call(serverOf(this, caught, streams), pattern, ...rest)
        // Whoever waits for the event then waits for its stream too, as long as nobody else looks at that.
        return types.isPromise(done) ? done.then(async (value) => (await Promise.all(streams), value)) : done
      },
  )
}

/** The server, but for the handlers that it finds. */
function serverOf(server: Server, caught: Caught, streams: Promise<void>[]): Server {
  const getHandlerByPattern = (pattern: unknown): Handle | null | undefined => {
    const handler = server.getHandlerByPattern(pattern)
    if (handler) return async (...args) => followed(await handler(...args), caught, streams)
    const error = failureOf('no_event_handler', `nobody handles the event ${String(pattern)}`)
    caught.failure ??= { error }
    return handler
  }
  return new Proxy(server, {
    get: (_, key): unknown => (key === 'getHandlerByPattern' ? getHandlerByPattern : Reflect.get(server, key)),
  })
}

/** A stream like the one that a handler gave, whose end is seen. What a filter of the app's has made one that ends well is no failure. */
function followed(given: unknown, caught: Caught, streams: Promise<void>[]): unknown {
  const { promise, resolve } = Promise.withResolvers<void>()
  const seen = followObservable(given, {
    failed(error) {
      caught.failure ??= caught.thrown ?? { error }
    },
    ended: resolve,
  })
  if (seen === undefined) return given
  streams.push(promise)
  return seen
}
