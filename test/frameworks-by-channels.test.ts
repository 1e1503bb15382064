// AdonisJS had guessed routes, and a 500 of it no exception: it logs nothing that could be heard.
import { get, nodesUnderTest, startPreloaded } from '@afterspan/testing'
import { drawTrace, startOtlpSink } from 'afterspan/internal'
import { expect, test } from 'vitest'
import { appFile, listening, traceIdOf } from './app.ts'

test.each(nodesUnderTest())('AdonisJS tells routes and errors on its channels: Node $major', async (node) => {
  const sink = await startOtlpSink()
  const env = { OTEL_SERVICE_NAME: 'shop', OTEL_BSP_SCHEDULE_DELAY: '5' }
  const service = startPreloaded({ app: appFile('frameworks/adonis-channels.cjs'), node: node.path, sink, env })
  const url = await listening(service)
  const draw = async (path: string): Promise<string> => {
    const traceId = traceIdOf(await get(url + path))
    await sink.waitFor(() => sink.trace(traceId).length > 0)
    expect(sink.trace(traceId)[0]!.events.length).toBe(path.startsWith('/throws') ? 1 : 0)
    return drawTrace(sink.trace(traceId), { stable: true, attributes: ['http.route', 'afterspan.http.inferred_route'] })
  }
  expect(await draw('/users/7')).toBe('· GET /users/:id  SERVER shop\n  http.route=/users/:id')
  expect(await draw('/throws/7')).toBe(
    '✗ GET /throws/:id  SERVER shop\n  TypeError: no such thing\n  http.route=/throws/:id',
  )
  expect(await draw('/nowhere')).toBe('· GET  SERVER shop')
  expect((await get(`${await service.adminUrl()}/metrics`)).text).toMatch(
    /^afterspan_instrumentation\{.*module="@adonisjs\/http-server".*state="active".*\} 1$/m,
  )
  await service.stop()
  await sink.close()
})
