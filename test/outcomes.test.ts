// How responses end that no handler ends: each is told as what it was.
import { connect as connectHttp2, constants } from 'node:http2'
import { connect } from 'node:net'
import { get, nodesUnderTest, startPreloaded } from '@afterspan/testing'
import { drawTrace, startOtlpSink, type OtlpSink } from 'afterspan/internal'
import { expect, test } from 'vitest'
import { appFile } from './app.ts'

const POLL = { timeout: 20_000, interval: 150 }
const NONE_ACTIVE = /^http_server_active_requests{http_request_method="GET",url_scheme="http"} 0$/m
const SHOWN = [
  'http.response.status_code',
  'afterspan.exception.source',
  'afterspan.http.aborted_by',
  'afterspan.http.inferred_route',
]

test.each(nodesUnderTest())('the end of a response is told as what it was: Node $major', async (node) => {
  const sink = await startOtlpSink()
  const env = { OTEL_SERVICE_NAME: 'shop', OTEL_BSP_SCHEDULE_DELAY: '5' }
  const service = startPreloaded({ app: appFile('outcomes.cjs'), node: node.path, sink, env })
  const [, port, port2, port3] = await service.waitForLine(/^listening (\d+) (\d+) (\d+)$/)
  const url = `http://127.0.0.1:${port}`

  // A body that does not come in time was called aborted by the server.
  send(port!, 'POST /body HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\nabc')
  expect(await draw(sink, '/body')).toBe('✗ POST  SERVER shop\n  timed_out\n  afterspan.http.aborted_by=timeout')

  // Where the app answers that itself, it was called aborted by the client.
  send(port3!, 'POST /body3 HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\nabc')
  expect(await draw(sink, '/body3')).toBe('✗ POST  SERVER shop\n  timed_out\n  afterspan.http.aborted_by=timeout')

  // What no parser understands, sent behind a request, was called the doing of the server.
  send(port!, 'GET /half HTTP/1.1\r\nHost: x\r\n\r\n', '\0garbage\r\n\r\n')
  expect(await draw(sink, '/half')).toBe(
    '✗ GET  SERVER shop\n  aborted_by_client\n  http.response.status_code=200 afterspan.http.aborted_by=client afterspan.http.inferred_route=/half',
  )

  // Of a handler that was rejected and never answered, the span did not say with what.
  const rejected = get(`${url}/rejects`, { timeoutMs: 1_000 })
  await expect(rejected).rejects.toThrow(/no whole answer/)
  expect(await draw(sink, '/rejects')).toBe(
    '✗ GET  SERVER shop\n  aborted_by_client: no such thing\n  afterspan.http.aborted_by=client',
  )

  // Nothing is something to be rejected with too.
  await get(`${url}/rejects-nothing`)
  expect(await draw(sink, '/rejects-nothing')).toContain('✗ GET  SERVER shop\n  undefined: undefined\n')

  // Whoever left a stream of events, which has no other end, made it an error.
  send(port!, 'GET /events HTTP/1.1\r\nHost: x\r\n\r\n', 'GONE')
  expect(await draw(sink, '/events')).toBe(
    '· GET  SERVER shop\n  http.response.status_code=200 afterspan.http.aborted_by=client afterspan.http.inferred_route=/events',
  )

  // What waited behind another when its connection went was in flight for ever on Node 22.
  send(port!, 'GET /half HTTP/1.1\r\nHost: x\r\n\r\nGET /behind HTTP/1.1\r\nHost: x\r\n\r\n', 'GONE')
  expect(await draw(sink, '/behind')).toBe(
    '✗ GET  SERVER shop\n  aborted_by_client\n  http.response.status_code=200 afterspan.http.aborted_by=client afterspan.http.inferred_route=/behind',
  )

  // A request whose socket the app took from the response was in flight for ever.
  const admin = await service.adminUrl()
  expect((await get(`${url}/detached`)).text).toBe('hi')
  await expect.poll(async () => (await get(`${admin}/metrics`)).text, POLL).toMatch(NONE_ACTIVE)
  expect(await draw(sink, '/detached')).toBe('· GET  SERVER shop')

  // The error that a response is destroyed with was lost, and that of its connection.
  for (const path of ['/breaks', '/pipeline', '/socket']) {
    await expect(get(url + path)).rejects.toThrow(/aborted|hang up|reset/i)
    expect(await draw(sink, path)).toBe(
      `✗ GET  SERVER shop\n  TypeError: no such thing\n  http.response.status_code=200 afterspan.http.aborted_by=server afterspan.http.inferred_route=${path}`,
    )
  }

  // On Node 22, what was ended when its connection was gone was a good answer: by the app, or by the client.
  await expect(get(`${url}/ends-when-gone`)).rejects.toThrow(/aborted|hang up|reset/i)
  send(port!, 'GET /goes-before-the-end HTTP/1.1\r\nHost: x\r\n\r\n', 'GONE')
  for (const [path, by] of [
    ['/ends-when-gone', 'server'],
    ['/goes-before-the-end', 'client'],
  ] as const)
    expect(await draw(sink, path)).toBe(
      `✗ GET  SERVER shop\n  aborted_by_${by}\n  http.response.status_code=200 afterspan.http.aborted_by=${by} afterspan.http.inferred_route=${path}`,
    )

  // The status of an answer was the one that the app sets when another is sent already (Next.js, of an error in middleware).
  expect((await get(`${url}/changes`)).status).toBe(500)
  // What is logged behind it is not why it is one.
  expect(await draw(sink, '/changes')).toContain(
    '✗ GET  SERVER shop\n  TypeError: no such thing\n  http.response.status_code=500',
  )

  // A router that writes to `request.url` took the beginning of the path out of the route.
  await get(`${url}/mounted/orders/12`)
  expect(await draw(sink, '/mounted/orders/12')).toBe(
    '· GET  SERVER shop\n  http.response.status_code=200 afterspan.http.inferred_route=/mounted/orders/{id}',
  )

  // A 500 of a framework that is not known had no exception, though the app's own log did.
  // So had one that prints the stack as a text (SvelteKit, Astro), or after the error one without a stack for the client (React Router);
  // h3 puts an error of its own around it.
  for (const how of ['', '/text', '/then', '/around']) {
    await get(`${url}/says/500${how}`)
    expect(await draw(sink, `/says/500${how}`)).toBe(
      `✗ GET  SERVER shop\n  TypeError: no such thing\n  http.response.status_code=500 afterspan.exception.source=console afterspan.http.inferred_route=/says/{id}${how}`,
    )
    const said = sink.spans().find(({ attributes }) => attributes['url.path'] === `/says/500${how}`)
    const exceptions = said!.events.map(({ attributes }) => attributes['exception.stacktrace'])
    expect(exceptions).toEqual([expect.stringMatching(/^TypeError: no such thing\n {4}at .*outcomes\.cjs/)])
  }
  await get(`${url}/says/404`)
  expect(await draw(sink, '/says/404')).toBe('· GET  SERVER shop\n  http.response.status_code=404')

  // A call whose answer was cut off was told as a good one; one that the app gives up is no error.
  await get(`${url}/asks`)
  await get(`${url}/gives-up`)
  await sink.waitFor((spans) => spans.filter(({ kind }) => kind === 'client').length === 2)
  const calls = sink.spans().filter(({ kind }) => kind === 'client')
  const cutOff = calls.find(({ attributes }) => (attributes['url.full'] as string).endsWith('/cut-off'))
  const givenUp = calls.find(({ attributes }) => (attributes['url.full'] as string).endsWith('/half'))
  expect(cutOff).toMatchObject({ status: { code: 'error' }, attributes: { 'error.type': 'ECONNRESET' } })
  expect(givenUp).toMatchObject({ status: { code: 'unset' }, attributes: { 'http.response.status_code': 200 } })

  // A fetch that takes too long was called an error of the type 23.
  await get(`${url}/too-slow`)
  await sink.waitFor((spans) => spans.filter(({ kind }) => kind === 'client').length === 3)
  expect(
    sink.spans().filter(({ kind, attributes }) => kind === 'client' && attributes['error.type'] === 'TimeoutError'),
  ).toMatchObject([{ events: [{ attributes: { 'exception.type': 'TimeoutError' } }] }])

  // A stream of HTTP/2 that is given up half-way was called sent.
  const session = connectHttp2(`http://127.0.0.1:${port2}`)
  for (const path of ['/whole', '/half-way', '/given-up', '/too-long'])
    session
      .request({ ':path': path })
      .on('error', () => {})
      .resume()
  const reset = session.request({ ':path': '/reset' })
  reset.on('error', () => {}).on('response', () => reset.close(constants.NGHTTP2_INTERNAL_ERROR))
  expect(await draw(sink, '/whole')).toContain('· GET  SERVER shop\n  http.response.status_code=200')
  expect(await draw(sink, '/half-way')).toContain('✗ GET  SERVER shop\n  aborted_by_server\n')
  // One that the app itself gives up was called the client's doing, and one that the client resets the app's.
  expect(await draw(sink, '/given-up')).toContain('aborted_by_server\n')
  expect(await draw(sink, '/too-long')).toContain('timed_out\n')
  expect(await draw(sink, '/reset')).toContain('aborted_by_client\n')
  const events = session.request({ ':path': '/events2' })
  events.on('error', () => {}).on('data', () => events.close(constants.NGHTTP2_CANCEL))
  expect(await draw(sink, '/events2')).toContain('· GET  SERVER shop\n  http.response.status_code=200')
  session.destroy()

  await service.stop()
  await sink.close()
})

async function draw(sink: OtlpSink, path: string): Promise<string> {
  await sink.waitFor((spans) => spans.some((span) => span.attributes['url.path'] === path))
  const span = sink.spans().find(({ attributes }) => attributes['url.path'] === path)
  return drawTrace([span!], { stable: true, attributes: SHOWN })
}

/** On a connection of its own; `more` once the first of an answer is there, GONE for its end. */
function send(port: string, text: string, more?: string): void {
  const socket = connect(Number(port), '127.0.0.1', () => socket.write(text))
  socket.on('error', () => {})
  socket.once('data', () => {
    if (more === 'GONE') socket.destroy()
    else if (more !== undefined) socket.write(more)
  })
}
