// connect, polka, restify, tRPC, GraphQL and Apollo: a 500 of theirs had no exception, and their routes were guessed.
import { formatsInTurn, get, startPreloaded } from '@afterspan/testing'
import { startOtlpSink, type StoredSpan } from 'afterspan/internal'
import { expect } from 'vitest'
import { appFile, traceIdOf } from './app.ts'

const THROWN = ['no such thing']
const GUESSED = 'guessed '
/** Status, route, and the exceptions; an error unless it is said. */
const ASKED = {
  connect: {
    '/users/1': [200, `${GUESSED}/users/{id}`, []],
    '/throws': [500, `${GUESSED}/throws`, THROWN],
    '/hands-on?further': [500, `${GUESSED}/hands-on`, THROWN],
    // Answered by the app's own middleware: seen, and no error of the request.
    '/hands-on': [422, `${GUESSED}/hands-on`, THROWN],
    '/nowhere': [404, undefined, []],
  },
  polka: {
    '/users/1': [200, '/users/:id', []],
    '/inner/users/1': [200, '/inner/users/:id', []],
    '/rejects': [500, '/rejects', THROWN],
    '/hands-on': [500, '/hands-on', THROWN],
    '/nowhere': [404, undefined, []],
  },
  restify: {
    '/users/1': [200, '/users/:id', []],
    '/rejects': [500, '/rejects', THROWN],
    '/hands-on': [500, '/hands-on', THROWN],
    '/nowhere': [404, undefined, []],
  },
  trpc: {
    '/users': [200, `${GUESSED}/users`, []],
    '/rejects': [500, `${GUESSED}/rejects`, THROWN],
    // The status came before: an error all the same, unless it refuses the client.
    '/events': [{ code: 200, name: 'GET', status: { code: 'error', message: THROWN[0] } }, `${GUESSED}/events`, THROWN],
    '/refused': [200, `${GUESSED}/refused`, THROWN],
    '/heard': [200, `${GUESSED}/heard`, []],
  },
  graphql: {
    '/good': [200, `${GUESSED}/good`, []],
    // Answered in the body: seen, and no error of the request.
    '/rejects': [200, `${GUESSED}/rejects`, THROWN],
  },
  apollo: {
    '/?query={good}': [200, `${GUESSED}/`, []],
    // Of its `context` function, which Apollo tells nobody of.
    '/?query={good}&unknown': [500, `${GUESSED}/`, THROWN],
  },
}

formatsInTurn(
  'connect, polka, restify, tRPC, GraphQL and Apollo tell their routes and the one exception of a request',
  { cjs: appFile('frameworks/lesser.cjs'), mjs: appFile('frameworks/lesser.mjs') },
  async ({ app, node }) => {
    const sink = await startOtlpSink()
    const env = { OTEL_SERVICE_NAME: 'shop', OTEL_BSP_SCHEDULE_DELAY: '5' }
    const service = startPreloaded({ app, node: node.path, sink, env })
    for (const [name, paths] of Object.entries(ASKED)) {
      const [, port] = await service.waitForLine(new RegExp(`^${name} (\\d+)$`))
      const told: Record<string, unknown> = {}
      for (const path of Object.keys(paths)) {
        const traceId = traceIdOf(await get(`http://127.0.0.1:${port}${path}`))
        await sink.waitFor(() => sink.trace(traceId).length > 0)
        told[path] = toldBy(sink.trace(traceId)[0]!)
      }
      expect({ [name]: told }).toEqual({ [name]: paths })
    }
    await service.stop()
    await sink.close()
  },
)

function toldBy({ attributes, events, name, status }: StoredSpan): unknown {
  const inferred = attributes['afterspan.http.inferred_route']
  const route = inferred === undefined ? attributes['http.route'] : `${GUESSED}${inferred as string}`
  const code = attributes['http.response.status_code'] as number
  const isWhole =
    (status.code === 'error') === code >= 500 &&
    name.endsWith((attributes['http.route'] as string | undefined) ?? 'GET')
  return [isWhole ? code : { code, name, status }, route, events.map((event) => event.attributes['exception.message'])]
}
