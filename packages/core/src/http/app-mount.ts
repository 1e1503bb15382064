// Some paths of Afterspan's own on the app's servers. The app's handler is not called for them and sees nothing of it; whatever else
// arrives goes its way.
import type { IncomingMessage, Server, ServerResponse } from 'node:http'
import { createAccess } from '../admin/access.ts'
import { findRoute, giveAnswer } from '../admin/answer.ts'
import type { AdminHandler } from '../contracts/service.ts'
import { wrapMethod } from '../tasks/wrap-method.ts'
import { pathOf } from './request-attributes.ts'

export interface AppMount {
  /** Whether this request is answered here: then it makes no span and no metric. Called before the server has told its listeners. */
  takes(server: Server, request: IncomingMessage): boolean
}

type Emit = (this: Server, event: string, ...args: unknown[]) => boolean

/**
 * Serves the routes to GET and HEAD on every HTTP/1 server of the process that is not ours. Loopback gives no trust here: a reverse proxy on
 * the same machine is loopback too, and the app's port is what it forwards to. The token alone opens details.
 */
export function mountOnApp(
  routes: ReadonlyMap<string, AdminHandler>,
  token: string,
  onError: (error: unknown) => void,
): AppMount {
  const access = createAccess({ host: '', token, hosts: [] })
  const watched = new WeakSet<Server>()
  const taken = new WeakSet<IncomingMessage>()
  const isAnswered = (request: IncomingMessage, response: ServerResponse): boolean => {
    if (!taken.has(request)) return false
    // Emitted again by the app, or by a wrapper of it: the answer is on its way already.
    if (!response.headersSent && !answering.has(response)) {
      answering.add(response)
      giveAnswer(routes, (headers) => access.isTrusted(undefined, headers), request, response)
    }
    return true
  }
  const answering = new WeakSet<ServerResponse>()
  /** On the server itself, when its first request comes: the prototypes of http and https stay what they are. */
  const watch = (server: Server): void => {
    if (watched.has(server)) return
    watched.add(server)
    const replace = (original: Emit): Emit =>
      function emit(event, ...args) {
        if (event === 'request' && isAnswered(args[0] as IncomingMessage, args[1] as ServerResponse)) return true
        return original.call(this, event, ...args)
      }
    wrapMethod(server as unknown as { emit: Emit }, 'emit', replace, onError)
  }
  return {
    takes(server, request) {
      watch(server)
      const { method, url = '' } = request
      if ((method !== 'GET' && method !== 'HEAD') || !findRoute(routes, pathOf(url))) return false
      taken.add(request)
      return true
    },
  }
}
