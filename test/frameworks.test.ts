import { bothFormats, formatsInTurn, get, nodesUnderTest, pollUntil, startPreloaded } from '@afterspan/testing'
import { drawTrace, startOtlpSink, type StoredSpan } from 'afterspan/internal'
import { describe, expect, test } from 'vitest'
import { appFile, listening, traceIdOf } from './app.ts'
import { getPipelined } from './pipelined.ts'

/** Path, status and route; '' where nothing was routed. */
type More = readonly [string, number, string]
type Sink = Awaited<ReturnType<typeof startOtlpSink>>

const express: readonly More[] = [
  ['/v2/acme/orders/7', 200, '/v2/:tenant/orders/:id'],
  ['/either/7', 200, '/either/:id'],
  ['/or/7/it', 200, '/or/:id/it'],
  // Answered by no route, but below a mount: it had none.
  ['/guarded/7', 401, '/guarded'],
  ['/handed-on/7', 200, '/handed-on/7'],
  ['/shop/acme/orders/7', 403, '/shop/:name/orders/:id'],
]
const fastify: readonly More[] = [
  ['/gone/7', 404, ''],
  ['/guarded/7', 401, '/guarded/:id'],
  ['/files/a/b.txt', 200, '/files/*'],
  ['/within/7', 200, '/within/:id'],
  ['/within/7/none', 404, ''],
]
const koa: readonly More[] = [
  ['/guarded/7', 401, '/guarded/:id'],
  ['/files/a/b.txt', 200, '/files/{*path}'],
  ['/mounted/files/7', 200, '/mounted/files/:id'],
]
const hono: readonly More[] = [
  ['/guarded/7', 401, '/guarded/:id'],
  ['/any/7', 200, '/any/:id'],
  ['/files/b.txt', 200, '/files/*'],
  ['/files/b.png', 404, ''],
]
const hapi: readonly More[] = [
  ['/files/a/b.txt', 200, '/files/{path*}'],
  ['/any/7', 403, '/any/{id}'],
]

const ASYNC = new Set(['koa/swallowed', 'hono/rejects'])

describe.each([
  { name: 'Express 5', file: 'express', order: '/api/:tenant/orders/:id', more: express },
  { name: 'Express 4', file: 'express4', order: '/api/:tenant/orders/:id', more: express },
  { name: 'Fastify', file: 'fastify', order: '/api/:tenant/orders/:id', more: fastify },
  { name: 'Koa', file: 'koa', order: '/api/:tenant/orders/:id', more: koa },
  { name: 'Hono', file: 'hono', order: '/api/:tenant/orders/:id', more: hono },
  { name: 'hapi', file: 'hapi', order: '/api/{tenant}/orders/{id}', more: hapi },
  { name: 'Nest', file: 'nest', order: '/api/:tenant/orders/:id', more: [] },
])('$name', ({ file, order, more }) => {
  bothFormats(
    'has the whole route of each request, its one exception, and its own context',
    { cjs: appFile(`frameworks/${file}.cjs`), mjs: appFile(`frameworks/${file}.mjs`) },
    async ({ app, node }) => {
      const sink = await startOtlpSink()
      const env = { OTEL_SERVICE_NAME: 'shop', OTEL_BSP_SCHEDULE_DELAY: '5' }
      const service = startPreloaded({ app, node: node.path, sink, env })
      const url = await listening(service)

      const found = await get(`${url}/api/acme/orders/7`)
      expect(await draw(sink, found)).toBe(`· GET ${order}  SERVER shop\n  http.route=${order}`)
      expect(JSON.parse(found.text)).toEqual({ trace: traceIdOf(found) })

      const headers = { 'content-type': 'application/json' }
      const sent = await get(`${url}/echo`, { method: 'POST', body: '{"a":1}', headers })
      expect(await draw(sink, sent)).toBe('· POST /echo  SERVER shop\n  http.route=/echo')
      expect(JSON.parse(sent.text)).toEqual({ got: { a: 1 }, trace: traceIdOf(sent) })

      for (const path of ['/throws', '/rejects', '/swallowed']) {
        const failed = await get(url + path)
        expect(failed.status).toBe(500)
        expect(await draw(sink, failed)).toBe(
          `✗ GET ${path}  SERVER shop\n  TypeError: no such thing\n  http.route=${path}`,
        )
        const [span] = sink.trace(traceIdOf(failed))
        const exceptions = span!.events.filter((event) => event.name === 'exception')
        expect(exceptions).toHaveLength(1)
        const stack = exceptions[0]!.attributes['exception.stacktrace']
        expect(stack).toContain(`${file.replace('4', '')}-app.cjs`)
        expect(stack).not.toContain('/packages/afterspan/')
        // Those that waited for the handler were no longer named, once somebody else waited for it too.
        if (ASYNC.has(file + path)) expect(stack).toContain('\n    at async ')
      }

      const safe = await get(`${url}/safe`)
      expect([safe.status, safe.text.toLowerCase()]).toEqual([500, expect.stringContaining('internal server error')])
      expect(safe.text).not.toContain('no such thing')
      expect(await draw(sink, safe)).toBe('✗ GET /safe  SERVER shop\n  TypeError: no such thing\n  http.route=/safe')
      await service.waitForLine(/^\[afterspan\] AFS_HANDLER_FAILED .*"error":"TypeError"/)

      const missing = await get(`${url}/nowhere/at/all`)
      expect(missing.status).toBe(404)
      expect(await draw(sink, missing)).toBe('· GET  SERVER shop')

      for (const [path, status, route] of more) {
        const answer = await get(url + path)
        expect([path, answer.status]).toEqual([path, status])
        expect(await draw(sink, answer)).toBe(
          route === '' ? '· GET  SERVER shop' : `· GET ${route}  SERVER shop\n  http.route=${route}`,
        )
      }

      await hasOwnContexts(url, sink, order)
      expect(await counted(await service.adminUrl())).toEqual({
        [`GET ${order} 200`]: 9,
        'GET /rejects 500': 1,
        'GET /safe 500': 1,
        'GET /swallowed 500': 1,
        'GET /throws 500': 1,
        'GET  404': 1 + more.filter(([, status, route]) => status === 404 && route === '').length,
        'POST /echo 200': 1,
        ...Object.fromEntries(
          more.filter(([, status]) => status !== 404).map(([, status, route]) => [`GET ${route} ${status}`, 1]),
        ),
      })
      expect(service.stderr.match(/\[afterspan\] \w+/g)).toEqual(['[afterspan] AFS_HANDLER_FAILED'])

      await service.stop()
      await sink.close()
    },
  )
})

bothFormats(
  'hono/tiny and hono/quick have routes and errors as the whole of Hono has',
  { cjs: appFile('frameworks/hono-presets.cjs'), mjs: appFile('frameworks/hono-presets.mjs') },
  async ({ app, node }) => {
    const sink = await startOtlpSink()
    const env = { OTEL_SERVICE_NAME: 'shop', OTEL_BSP_SCHEDULE_DELAY: '5' }
    const service = startPreloaded({ app, node: node.path, sink, env })
    await pollUntil(() => service.stdout.match(/^listening \d+$/gm)?.length === 2)
    for (const [, port] of service.stdout.matchAll(/^listening (\d+)$/gm)) {
      const found = await get(`http://127.0.0.1:${port}/api/acme/orders/7`)
      expect(await draw(sink, found)).toBe(
        '· GET /api/:tenant/orders/:id  SERVER shop\n  http.route=/api/:tenant/orders/:id',
      )
      const failed = await get(`http://127.0.0.1:${port}/rejects`)
      expect(await draw(sink, failed)).toBe(
        '✗ GET /rejects  SERVER shop\n  TypeError: no such thing\n  http.route=/rejects',
      )
    }
    await service.stop()
    await sink.close()
  },
)

describe.each(nodesUnderTest())('a body that breaks leaves its error on the request: Node $major', (node) => {
  test.each([
    ['hapi', '/breaks/{id}'],
    ['fastify', '/breaks/:id'],
    ['fastify', '/breaks-of-the-web/:id'],
    ['nest', '/breaks/:id'],
    // Its server destroys the response and then ends it: on Node 22 that was an answer that is whole.
    ['hono', '/breaks-of-the-web/:id'],
  ])('%s %s', async (name, route) => {
    const sink = await startOtlpSink()
    const env = { OTEL_SERVICE_NAME: 'shop', OTEL_BSP_SCHEDULE_DELAY: '5' }
    const service = startPreloaded({ app: appFile(`frameworks/${name}-stream.cjs`), node: node.path, sink, env })
    await expect(get((await listening(service)) + route.replace(/[:{].*/, '7'))).rejects.toThrow(
      /aborted|hang up|reset/i,
    )
    await sink.waitFor((spans) => spans.length === 1)
    expect(drawTrace(sink.spans(), { stable: true })).toBe(`✗ GET ${route}  SERVER shop\n  TypeError: no such thing`)
    await service.stop()
    await sink.close()
  })
})

describe.each(nodesUnderTest())(
  'what fails behind the handler leaves its error on the request: Node $major',
  (node) => {
    test.each([
      ['nest', '/events/:id', 200, 'no such thing'],
      ['hapi', '/is-extended/{id}', 500, 'no such thing'],
      ['hapi', '/is-circular/{id}', 500, 'Converting circular structure to JSON'],
    ])('%s %s', async (name, route, status, message) => {
      const sink = await startOtlpSink()
      const env = { OTEL_SERVICE_NAME: 'shop', OTEL_BSP_SCHEDULE_DELAY: '5' }
      const service = startPreloaded({ app: appFile(`frameworks/${name}-stream.cjs`), node: node.path, sink, env })
      const answer = await get((await listening(service)) + route.replace(/[:{].*/, '7'))
      expect(answer.status).toBe(status)
      expect(await draw(sink, answer)).toMatch(`✗ GET ${route}  SERVER shop\n  TypeError: ${message}`)
      await service.stop()
      await sink.close()
    })
  },
)

formatsInTurn(
  'a callback of stream(), streamText() or streamSSE() of Hono that throws leaves its error on the request',
  { cjs: appFile('frameworks/hono-stream.cjs'), mjs: appFile('frameworks/hono-stream.mjs') },
  async ({ app, node }) => {
    const sink = await startOtlpSink()
    const env = { OTEL_SERVICE_NAME: 'shop', OTEL_BSP_SCHEDULE_DELAY: '5' }
    const service = startPreloaded({ app, node: node.path, sink, env })
    const url = await listening(service)
    for (const path of ['/breaks', '/breaks-as-text', '/breaks-as-events', '/is-told']) {
      const answer = await get(`${url}${path}/7`)
      expect([answer.status, answer.text]).toEqual([
        200,
        path === '/is-told' ? 'the first halfsorry' : 'the first half',
      ])
      await sink.waitFor(() => sink.trace(traceIdOf(answer)).length > 0)
      const [{ attributes, events, name, status }] = sink.trace(traceIdOf(answer)) as [StoredSpan]
      expect({ name, exceptions: events.map((event) => event.attributes['exception.message']) }).toEqual({
        name: `GET ${path}/:id`,
        exceptions: ['no such thing'],
      })
      // What the app has a handler for it has told the client itself.
      expect([status.code, attributes['error.type']]).toEqual(
        path === '/is-told' ? ['unset', undefined] : ['error', 'TypeError'],
      )
    }
    await service.stop()
    await sink.close()
  },
)

/** Eight requests on one connection, the first of them the slowest: each is answered under its own trace. */
async function hasOwnContexts(url: string, sink: Sink, route: string): Promise<void> {
  const paths = Array.from({ length: 8 }, (_, n) => `/api/acme/orders/${n}?ms=${8 * (8 - n)}`)
  const answers = await getPipelined(url, paths)
  const traces = answers.map((answer) => /^00-([0-9a-f]{32})-/.exec(answer.headers['traceresponse'] ?? '')?.[1])
  expect(new Set(traces).size).toBe(8)
  expect(answers.map(({ text }) => (JSON.parse(text) as { trace: string }).trace)).toEqual(traces)
  for (const [n, trace] of traces.entries()) {
    await sink.waitFor((spans) => spans.some((span) => span.traceId === trace))
    const [span] = sink.trace(trace!)
    expect([span!.attributes['url.query'], span!.attributes['http.route']]).toEqual([`ms=${8 * (8 - n)}`, route])
  }
}

async function draw(sink: Sink, answer: Awaited<ReturnType<typeof get>>): Promise<string> {
  const traceId = traceIdOf(answer)
  await sink.waitFor((spans) => spans.some((span) => span.traceId === traceId))
  return drawTrace(sink.trace(traceId), { stable: true, attributes: ['http.route'] })
}

/** Of `http_server_request_duration_seconds`: how many requests by method, route and status. */
async function counted(admin: string): Promise<Record<string, number>> {
  const { text } = await get(`${admin}/metrics`, { headers: { accept: 'text/plain' } })
  const lines = text.matchAll(/^http_server_request_duration_seconds_count\{(.*)\} (\d+)/gm)
  return Object.fromEntries(
    [...lines].map(([, labels = '', count]) => {
      const of = (name: string): string => new RegExp(`\\b${name}="([^"]*)"`).exec(labels)?.[1] ?? ''
      return [`${of('http_request_method')} ${of('http_route')} ${of('http_response_status_code')}`, Number(count)]
    }),
  )
}
