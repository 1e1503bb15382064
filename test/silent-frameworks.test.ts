// They answer 500 for what a handler throws and log nothing: the SERVER span had no exception, and routes that they know were guessed.
import { formatsInTurn, get, startPreloaded } from '@afterspan/testing'
import { startOtlpSink, type StoredSpan } from 'afterspan/internal'
import { expect } from 'vitest'
import { appFile, traceIdOf } from './app.ts'

const THROWN = ['TypeError: no such thing']
const GUESSED = 'guessed '
type Told = readonly [status: number | string, route: string | undefined, exceptions: readonly string[]]

function routed(base = ''): Record<string, Told> {
  return {
    [`${base}/users/1`]: [200, `${base}/users/:id`, []],
    [`${base}/throws/1`]: [500, `${base}/throws/:id`, THROWN],
    [`${base}/rejects/1`]: [500, `${base}/rejects/:id`, THROWN],
    [`${base}/nowhere`]: [404, undefined, []],
  }
}
const ASKED: Record<string, Record<string, Told>> = {
  'find-my-way': routed(),
  '0http': { ...routed(), '/hands-on/1': [500, '/hands-on/:id', THROWN] },
  restana: {
    ...routed(),
    '/inner/users/1': [200, '/inner/users/:id', []],
    '/inner/hands-on/1': [500, '/inner/hands-on/:id', THROWN],
  },
  'itty-router': routed('/v1'),
  whatwg: { '/users/1': [200, `${GUESSED}/users/{id}`, []], '/rejects/1': [500, `${GUESSED}/rejects/{id}`, THROWN] },
  elysia: {
    '/users/1': [200, `${GUESSED}/users/{id}`, []],
    '/throws/1': [500, `${GUESSED}/throws/{id}`, THROWN],
    '/rejects/1': [500, `${GUESSED}/rejects/{id}`, THROWN],
    '/yields': [200, `${GUESSED}/yields`, []],
    // The body ends as if it were whole.
    '/breaks': ['failed 200', `${GUESSED}/breaks`, THROWN],
    '/nowhere': [404, undefined, []],
  },
  'moleculer-web': routed('/v1'),
  orpc: {
    '/refuses': [404, undefined, []],
    '/users': [200, `${GUESSED}/users`, []],
    '/rejects': [500, `${GUESSED}/rejects`, THROWN],
    // The status came before.
    '/events': ['failed 200', `${GUESSED}/events`, THROWN],
    '/refused': [200, `${GUESSED}/refused`, []],
    '/whole': [200, `${GUESSED}/whole`, []],
  },
  h3: {
    ...routed(),
    '/refuses/1': [503, '/refuses/:id', ['HTTPError: no such thing']],
    '/inner/users/1': [200, '/inner/users/:id', []],
    '/below/users/1': [200, `${GUESSED}/below/users/{id}`, []],
  },
}

formatsInTurn(
  'a 500 of a framework that logs nothing has its one exception, and the route that the framework knows',
  { cjs: appFile('frameworks/silent.cjs'), mjs: appFile('frameworks/silent.mjs') },
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
        const spans = sink.trace(traceId).filter(({ kind }) => kind === 'server')
        expect(spans).toHaveLength(1)
        told[path] = toldBy(spans[0]!)
      }
      expect({ [name]: told }).toEqual({ [name]: paths })
    }
    await service.stop()
    expect(service.stderr).toBe('')
    await sink.close()
  },
)

function toldBy({ attributes, events, status }: StoredSpan): unknown {
  const code = attributes['http.response.status_code'] as number
  const isFailure = status.code === 'error'
  if (code >= 500) expect(isFailure).toBe(true)
  const inferred = attributes['afterspan.http.inferred_route']
  const route = inferred === undefined ? attributes['http.route'] : `${GUESSED}${inferred as string}`
  const exceptions = events.map((event) => {
    expect(event.attributes['exception.stacktrace']).toContain('silent-app.cjs')
    return `${event.attributes['exception.type'] as string}: ${event.attributes['exception.message'] as string}`
  })
  return [isFailure && code < 500 ? `failed ${code}` : code, route, exceptions]
}
