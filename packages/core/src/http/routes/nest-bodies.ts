// Bodies that Nest writes while the answer is under way: what breaks them it logs, and no exception filter hears of it.
import type { ModuleHook } from '../../contracts/module-hook.ts'
import { followObservable } from '../../instrument/follow-observable.ts'
import { hideOwnFrames } from '../../instrument/hidden-frames.ts'
import { replaceMethod } from '../../instrument/replace-method.ts'
import { whenBroken } from '../broken-body.ts'
import { activeInFlight } from '../in-flight.ts'
import type { RequestTeller } from './framework.ts'

interface Response {
  readonly headersSent?: boolean
}
interface Request {
  readonly raw?: object
}

/** A file that is streamed. Express is given its stream by Nest; Fastify's own hooks see it too. */
export function nestFileHook(): ModuleHook {
  const watched = new WeakSet<object>()
  return {
    name: '@nestjs/core',
    module: '@nestjs/common',
    versions: '>=9.0.0 <13',
    patch(exports) {
      replaceMethod(exports.StreamableFile?.prototype, 'getStream', (getStream) => {
        return function (this: unknown, ...args) {
          const stream = getStream.apply(this, args) as { readonly errored?: unknown } | undefined
          const request = stream && !watched.has(stream) ? activeInFlight() : undefined
          if (!stream || !request) return stream
          watched.add(stream)
          const tell = (error: unknown): void => {
            hideOwnFrames(error)
            request.hasThrown(error)
          }
          if (stream.errored) tell(stream.errored)
          else whenBroken(stream, tell)
          return stream
        }
      })
      return undefined
    },
  }
}

/** The events of a handler by @Sse. Before the first of them the error goes to the exception filters. */
export function watchEvents(prototype: object, { recordBroken }: Pick<RequestTeller, 'recordBroken'>): void {
  replaceMethod(prototype, 'sse', (sse) => {
    return function (this: unknown, events: unknown, response: Response, request: Request, ...rest: unknown[]) {
      const ends = {
        failed(error: unknown) {
          if (response.headersSent) recordBroken(request.raw ?? request, error)
        },
      }
      const seen = (given: unknown): unknown => followObservable(given, ends) ?? given
      return sse.call(this, events instanceof Promise ? events.then(seen) : seen(events), response, request, ...rest)
    }
  })
}
