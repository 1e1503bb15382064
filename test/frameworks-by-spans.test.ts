// Next.js makes spans by the API. Each request had two SERVER spans, the route was mostly missing and guessed beside it, and frames of
// ours stood in the stacks that it prints.
import { get, nodesUnderTest, startPreloaded } from '@afterspan/testing'
import { drawTrace, startOtlpSink } from 'afterspan/internal'
import { expect, test } from 'vitest'
import { appFile, listening, traceIdOf } from './app.ts'

const ROUTES = ['http.route', 'afterspan.http.inferred_route', 'afterspan.exception.source']

test.each(nodesUnderTest())('what a framework tells by spans of its own: Node $major', async (node) => {
  const sink = await startOtlpSink()
  const env = { OTEL_SERVICE_NAME: 'shop', OTEL_BSP_SCHEDULE_DELAY: '5' }
  const service = startPreloaded({ app: appFile('frameworks/by-spans.cjs'), node: node.path, sink, env })
  const url = await listening(service)
  const draw = async (path: string, spans: number, headers = {}): Promise<string> => {
    const traceId = traceIdOf(await get(url + path, { headers }))
    await sink.waitFor(() => sink.trace(traceId).length === spans)
    return drawTrace(sink.trace(traceId), { stable: true, attributes: ROUTES })
  }

  expect(await draw('/pages/7', 4)).toMatchInlineSnapshot(`
    "✗ GET /pages/[id]  SERVER shop
    │ TypeError: no such thing
    │ http.route=/pages/[id] afterspan.exception.source=console
    └─ · GET  INTERNAL
       │ http.route=/late
       ├─ · find page  INTERNAL
       └─ · find page  INTERNAL"
  `)
  expect(await draw('/put/7', 2)).toMatchInlineSnapshot(`
    "· GET /put/:id  SERVER shop
    │ http.route=/put/:id
    └─ · GET  INTERNAL
         http.route=/late"
  `)
  expect(await draw('/nowhere', 3)).toMatchInlineSnapshot(`
    "· GET  SERVER shop
    └─ · GET  INTERNAL
       │ http.route=/late
       └─ · find page  INTERNAL"
  `)

  // What takes the context from the headers once more left the request: its route and its error were nobody's.
  const traceparent = '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01'
  expect(await draw('/again/7', 4)).toMatchInlineSnapshot(`
    "✗ GET /again/[id]  SERVER shop
    │ TypeError: no such thing
    │ http.route=/again/[id] afterspan.exception.source=console
    └─ · first  INTERNAL
       └─ · second  INTERNAL
          └─ · find page  INTERNAL"
  `)
  expect(await draw('/again/7', 4, { traceparent })).toMatchInlineSnapshot(`
    "(parent not received)
    └─ ✗ GET /again/[id]  SERVER shop
       │ TypeError: no such thing
       │ http.route=/again/[id] afterspan.exception.source=console
       └─ · first  INTERNAL
          └─ · second  INTERNAL
             └─ · find page  INTERNAL"
  `)

  const { text } = await get(`${await service.adminUrl()}/metrics`)
  const counted = text.match(/^http_server_request_duration_seconds_count\{.*$/gm) ?? []
  expect(counted.map((line) => /[{,]http_route="([^"]*)"/.exec(line)?.[1] ?? '').toSorted()).toEqual([
    '',
    '/again/[id]',
    '/pages/[id]',
    '/put/:id',
  ])
  expect(counted.join()).not.toContain('inferred_route')
  expect(service.stderr).toMatch(/^TypeError: no such thing\n {4}at .*by-spans\.cjs/)
  expect(service.stderr).not.toContain('/packages/afterspan/')
  await service.stop()
  await sink.close()
})
