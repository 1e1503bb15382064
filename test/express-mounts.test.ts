// An Express that a bundler has put into the app is not seen as it is loaded: its routes were named without their mounts, and what its
// handlers threw was on no span.
import { join } from 'node:path'
import { get, nodesUnderTest, startPreloaded, tempDir } from '@afterspan/testing'
import { startOtlpSink } from 'afterspan/internal'
import { buildSync } from 'esbuild'
import { describe, expect, test } from 'vitest'
import { appFile, listening, traceIdOf } from './app.ts'

const ROUTES = {
  '/api/acme/v7/users/1': '/api/:tenant/v:version/users/:id',
  '/plain.d-e/users/1': '/plain.d-e/users/:id',
  '/one/users/1': '/one/users/:id',
  '/two/b/users/1': '/two/:x/users/:id',
  '/regex/users/1': String.raw`/^\/re(gex)?/users/:id`,
  '/handed/on/users/1': '/handed/:over/users/:id',
  '/app/deep/1': '/app/deep/:y',
  '/named/1': '/named/:z',
  '/one/throws': '/one/throws',
  '/one/nowhere': undefined,
}

describe.each(['express-mounts.cjs', 'express4-mounts.cjs'])('%s', (name) => {
  const bundled = join(tempDir('bundled'), 'app.cjs')
  buildSync({ entryPoints: [appFile(name)], bundle: true, platform: 'node', outfile: bundled, logLevel: 'silent' })

  test.each(
    nodesUnderTest().flatMap(({ major, path }) => [
      ...(major === 24 ? [{ what: 'as it is', app: appFile(name), major, path }] : []),
      { what: 'bundled', app: bundled, major, path },
    ]),
  )('$what: every route has its mounts: Node $major', async ({ app, path: node }) => {
    const sink = await startOtlpSink()
    const env = { OTEL_SERVICE_NAME: 'shop', OTEL_BSP_SCHEDULE_DELAY: '5' }
    const service = startPreloaded({ app, node, sink, env })
    const url = await listening(service)
    const told: Record<string, unknown> = {}
    for (const path of Object.keys(ROUTES)) {
      const traceId = traceIdOf(await get(url + path))
      await sink.waitFor(() => sink.trace(traceId).length > 0)
      const [{ attributes, events }] = sink.trace(traceId) as [ReturnType<typeof sink.trace>[number]]
      told[path] = attributes['http.route']
      if (events.length > 0) told['threw'] = [path, ...events.map((event) => event.attributes['exception.message'])]
    }
    expect(told).toEqual({ ...ROUTES, threw: ['/one/throws', 'no such thing'] })
    // Who hung up below a mount that is no route had none.
    await expect(get(`${url}/gone/by/then`)).rejects.toThrow(/hang up|reset/)
    await sink.waitFor((spans) => spans.some(({ attributes }) => attributes['http.route'] === '/gone/:by'))
    await service.stop()
    await sink.close()
  })
})
