// hapi has public extension points: one where a request begins, one where its answer is known. Ours are the first in each.
import type { ModuleHook } from '../../contracts/module-hook.ts'
import { withExport, type RequestTeller } from './framework.ts'

interface Server {
  readonly events: { on(event: 'response', listener: (request: Request) => void): unknown }
  ext(event: 'onPreResponse' | 'onRequest', method: (request: Request, h: Toolkit) => unknown): void
}
interface Toolkit {
  readonly continue: symbol
}
interface Request {
  readonly raw: { readonly req: object }
  /** What became of an error is a response that has it. */
  readonly response?: { readonly isBoom?: boolean; readonly _error?: object | null } | null
  readonly route: { readonly method: string; readonly path: string }
}
/** The method of the routes that hapi answers by itself: not found, bad request, CORS preflights. */
const SPECIAL = '_special'

export function hapiHook(teller: RequestTeller): ModuleHook {
  return {
    name: '@hapi/hapi',
    module: '@hapi/hapi',
    versions: '>=19.0.0 <22',
    patch(exports) {
      const original = exports.server as (this: unknown, ...args: unknown[]) => Server
      const server = function (this: unknown, ...args: unknown[]): Server {
        const made = original.apply(this, args)
        watch(made, teller)
        return made
      }
      Object.defineProperties(server, Object.getOwnPropertyDescriptors(original))
      return withExport(withExport(exports, 'server', server), 'Server', server)
    },
  }
}

function watch(server: Server, { recordError, setRoute }: RequestTeller): void {
  server.ext('onRequest', (request, h) => {
    const { req } = request.raw
    // Asked at the end.
    setRoute(req, (status = 0) => {
      const { response, route } = request
      if (route.method === SPECIAL) return undefined
      // What fails behind our extension point: other extensions there, and what makes a body of the answer.
      if (status >= 500 && response?._error) recordError(req, response._error)
      return route.path.slice(0, 256)
    })
    return h.continue
  })
  server.ext('onPreResponse', (request, h) => {
    const { response, route } = request
    // What a handler throws is made into a Boom in place: it is still the app's own error.
    if (response?.isBoom && route.method !== SPECIAL) recordError(request.raw.req, response)
    return h.continue
  })
  // A body that is a stream and breaks: hapi keeps its error as the response.
  server.events.on('response', ({ raw, response, route }) => {
    if (response?.isBoom && route.method !== SPECIAL) recordError(raw.req, response)
  })
}
