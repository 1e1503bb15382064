// A call over gRPC had no span and carried no trace: each service began a trace of its own.
import { formatsInTurn, get, startPreloaded } from '@afterspan/testing'
import { startOtlpSink } from 'afterspan/internal'
import { expect } from 'vitest'
import { appFile, listening, traceIdOf } from './app.ts'

const WAYS = ['unary', 'unary-own', 'unary-options', 'sends', 'gets', 'talks', 'fails']

formatsInTurn(
  'calls over gRPC are CLIENT spans, and the server’s are below them',
  { cjs: appFile('grpc-calls.cjs'), mjs: appFile('grpc-calls.mjs') },
  async ({ app, node }) => {
    const sink = await startOtlpSink()
    const env = { OTEL_SERVICE_NAME: 'shop', OTEL_BSP_SCHEDULE_DELAY: '5' }
    const service = startPreloaded({ app, node: node.path, sink, env })
    const url = await listening(service)
    // All of the first wait for one connection: each is in its own trace all the same.
    const replies = await Promise.all(WAYS.map((way) => get(`${url}/${way}`)))
    for (const [n, way] of WAYS.entries()) {
      const reply = replies[n]!
      const traceId = traceIdOf(reply)
      await sink.waitFor(() => sink.trace(traceId).length === 3)
      const spans = sink.trace(traceId)
      const call = spans.find(({ kind }) => kind === 'client')!
      const served = spans.find(({ attributes }) =>
        (attributes['url.path'] as string | undefined)?.startsWith('/shop.Stock/'),
      )!
      const name = way.replace(/-.*/, '').replace(/^./, (first) => first.toUpperCase())
      expect(call).toMatchObject({
        name: `shop.Stock/${name}`,
        parentSpanId: spans.find(({ attributes }) => attributes['url.path'] === `/${way}`)!.spanId,
        attributes: { 'rpc.system.name': 'grpc', 'server.address': '127.0.0.1' },
        status: way === 'fails' ? { code: 'error', message: 'no such thing' } : { code: 'unset' },
      })
      expect(call.attributes['rpc.response.status_code']).toBe(way === 'fails' ? 'INTERNAL' : 'OK')
      expect(served.parentSpanId).toBe(call.spanId)
      // A failure that only the trailers tell was a good answer: HTTP has 200 for all.
      expect([served.status.code, served.attributes['rpc.response.status_code']]).toEqual(
        way === 'fails' ? ['error', 'INTERNAL'] : ['unset', 'OK'],
      )
      const answer = JSON.parse(reply.text) as Record<string, unknown>
      expect([way, answer['x-own'], answer['failed']]).toEqual([
        way,
        ['unary-own', 'gets'].includes(way) ? 'kept' : undefined,
        way === 'fails' ? 13 : undefined,
      ])
    }
    const { text } = await get(`${await service.adminUrl()}/metrics`)
    expect(text).toMatch(/^http_server_request_duration_seconds_count{[^}]*error_type="INTERNAL"[^}]*} 1$/m)
    await service.stop()
    await sink.close()
  },
)
