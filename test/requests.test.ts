import { bothFormats, get, startPreloaded } from '@afterspan/testing'
import { drawTrace, startOtlpSink } from 'afterspan/internal'
import { describe, expect } from 'vitest'
import { appFile, listening, traceIdOf } from './app.ts'

describe.each([
  { version: 5, cjs: 'express.cjs', mjs: 'express.mjs' },
  { version: 4, cjs: 'express4.cjs', mjs: 'express4.mjs' },
])('an Express $version service under the preload', ({ cjs, mjs }) => {
  bothFormats(
    'one SERVER span with the route, and the trace id in the response',
    { cjs: appFile(cjs), mjs: appFile(mjs) },
    async ({ app, node }) => {
      const sink = await startOtlpSink()
      const service = startPreloaded({ app, node: node.path, sink, env: { OTEL_SERVICE_NAME: 'orders' } })
      const url = await listening(service)

      const reply = await get(`${url}/api/acme/orders/7?token=hidden`)
      const traceId = traceIdOf(reply)
      expect(reply.status).toBe(200)
      await sink.waitFor((spans) => spans.some((span) => span.traceId === traceId))
      expect(drawTrace(sink.trace(traceId), { stable: true, attributes: ['http.route', 'url.query'] }))
        .toMatchInlineSnapshot(`
        "· GET /api/:tenant/orders/:id  SERVER orders
          http.route=/api/:tenant/orders/:id url.query=token=REDACTED"
      `)

      const failed = await get(`${url}/throws`)
      const failedTrace = traceIdOf(failed)
      await sink.waitFor((spans) => spans.some((span) => span.traceId === failedTrace))
      const [span] = sink.trace(failedTrace)
      expect(failed.status).toBe(500)
      expect(drawTrace([span!], { stable: true })).toMatchInlineSnapshot(`
        "✗ GET /throws  SERVER orders
          TypeError: no such thing"
      `)
      expect(span!.events.filter((event) => event.name === 'exception')).toHaveLength(1)

      await service.stop()
      await sink.close()
    },
  )
})
