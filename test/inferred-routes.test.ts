import { bothFormats, get, nodesUnderTest, startPreloaded } from '@afterspan/testing'
import { drawTrace, startOtlpSink } from 'afterspan/internal'
import { expect, test } from 'vitest'
import { appFile, listening, traceIdOf } from './app.ts'
import { getPipelined } from './pipelined.ts'

bothFormats(
  'a raw server has inferred routes, beside http.route and in bounded number',
  { cjs: appFile('frameworks/plain.cjs'), mjs: appFile('frameworks/plain.mjs') },
  async ({ app, node }) => {
    const sink = await startOtlpSink()
    const env = { OTEL_SERVICE_NAME: 'shop', OTEL_BSP_SCHEDULE_DELAY: '5', AFTERSPAN_INFERRED_ROUTES: '5' }
    const service = startPreloaded({ app, node: node.path, sink, env })
    const url = await listening(service)

    const traceId = traceIdOf(await get(`${url}/users/42`))
    await sink.waitFor((spans) => spans.some((span) => span.traceId === traceId))
    expect(
      drawTrace(sink.trace(traceId), { stable: true, attributes: ['http.route', 'afterspan.http.inferred_route'] }),
    ).toMatchInlineSnapshot(`
        "· GET  SERVER shop
          afterspan.http.inferred_route=/users/{id}"
      `)

    const scan = Array.from(
      { length: 300 },
      (_, n) => `/${'abcdefghij'[n % 10]!}${'klmnopqrst'[Math.trunc(n / 10) % 10]!}`,
    )
    await getPipelined(
      url,
      scan.map((path) => `${path}?status=404`),
    )
    await getPipelined(
      url,
      scan.map((path) => `${path}?status=403`),
    )
    expect(await inferred(service)).toEqual(['', '/users/{id}'])
    await getPipelined(url, scan)
    expect(await inferred(service)).toEqual(['', '/ak', '/bk', '/ck', '/dk', '/users/{id}'])

    await service.stop()
    await sink.close()
  },
)

test.each(
  nodesUnderTest().flatMap(({ major, path }) => [
    { name: 'express', major, path },
    { name: 'express4', major, path },
  ]),
)('what middleware at the root of $name answers had no route at all: Node $major', async ({ name, path: node }) => {
  const sink = await startOtlpSink()
  const env = { OTEL_SERVICE_NAME: 'shop', OTEL_BSP_SCHEDULE_DELAY: '5' }
  const app = appFile('frameworks/express-middleware.cjs')
  const service = startPreloaded({ app, args: [name], node, sink, env })
  const url = await listening(service)
  const told: Record<string, string> = {}
  for (const path of ['/users/42', '/fails/42', '/routed/42', '/below/42', '/refused/42', '/nowhere/42']) {
    const traceId = traceIdOf(await get(url + path))
    await sink.waitFor(() => sink.trace(traceId).length > 0)
    const { attributes } = sink.trace(traceId)[0]!
    told[path] = JSON.stringify([attributes['http.route'], attributes['afterspan.http.inferred_route']])
  }
  expect(told).toEqual({
    '/users/42': '[null,"/users/{id}"]',
    '/fails/42': '[null,"/fails/{id}"]',
    '/routed/42': '["/routed/:id",null]',
    '/below/42': '["/below",null]',
    // Whoever is refused teaches no template.
    '/refused/42': '[null,null]',
    '/nowhere/42': '[null,null]',
  })
  await service.stop()
  await sink.close()
})

/** The routes that the request metric has. */
async function inferred(service: ReturnType<typeof startPreloaded>): Promise<string[]> {
  const { text } = await get(`${await service.adminUrl()}/metrics`)
  const lines = text.match(/^http_server_request_duration_seconds_count\{.*$/gm) ?? []
  expect(lines.join()).not.toMatch(/[{,]http_route=/)
  const routes = lines.map((line) => /afterspan_http_inferred_route="([^"]*)"/.exec(line)?.[1] ?? '')
  return [...new Set(routes)].toSorted()
}
