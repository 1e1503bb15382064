import { bothFormats, get, startPreloaded } from '@afterspan/testing'
import { drawTrace, startOtlpSink } from 'afterspan/internal'
import { describe, expect } from 'vitest'
import { appFile, listening, traceIdOf } from './app.ts'

describe('an Express 5 service under the preload', () => {
  bothFormats(
    'one SERVER span with the route, and the trace id in the response',
    { cjs: appFile('express.cjs'), mjs: appFile('express.mjs') },
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
