import { createServer as createHttpServer } from 'node:http'
import { createServer } from 'node:net'
import { bothFormats, get, nodesUnderTest, startPreloaded } from '@afterspan/testing'
import type { Receipt } from 'afterspan'
import { startOtlpSink } from 'afterspan/internal'
import { describe, expect, test } from 'vitest'
import { appFile, listening, traceIdOf } from './app.ts'
import { expectReceipt, settledReceipt, toldTrace } from './receipts.ts'

function closedPort(): Promise<number> {
  return new Promise((resolve) => {
    const server = createServer().listen(0, '127.0.0.1', () => {
      const { port } = server.address() as { port: number }
      server.close(() => resolve(port))
    })
  })
}

bothFormats(
  'a fetch after the response that is refused breaks the promise of its request',
  { cjs: appFile('express.cjs'), mjs: appFile('express.mjs') },
  async ({ app, node }) => {
    const sink = await startOtlpSink()
    const child = startPreloaded({
      app,
      node: node.path,
      sink,
      env: { CLOSED_PORT: String(await closedPort()), OTEL_SERVICE_NAME: 'web' },
    })
    const url = await listening(child)
    const reply = await get(`${url}/late-fetch`)
    expect(reply.status).toBe(200)
    const traceId = traceIdOf(reply)
    const admin = await child.adminUrl()
    await expectReceipt(admin, traceId, {
      verdict: 'broken',
      request: { method: 'GET', route: '/late-fetch', status: 200 },
      tasks: [{ state: 'failed', reason: 'rejected', system: 'process', name: 'POST' }],
    })
    expect(await toldTrace(sink, traceId, 'failed')).toMatchInlineSnapshot(`
      "· GET /late-fetch  SERVER web
      └─ ✗ POST  CLIENT
           ECONNREFUSED: connect ECONNREFUSED 127.0.0.1:*
           task.state=failed task.reason=rejected"
    `)
    expect((await get(`${admin}/metrics`)).text).toMatch(
      /afterspan_requests_effective_total\{[^}]*http_route="\/late-fetch",outcome="false_success"\} 1\n/,
    )
    await child.stop()
    await sink.close()
  },
)

describe.each(nodesUnderTest())('a call after the response, on Node $major', (node) => {
  test('that the app aborts is cancelled, not failed and not done; one that takes too long has failed', async () => {
    const long = Buffer.alloc(10_000_000)
    const slow = createHttpServer(({ url }, res) => {
      if (url === '/long') res.end(long)
    })
    await new Promise<void>((resolve) => {
      slow.listen(0, '127.0.0.1', resolve)
    })
    const { port } = slow.address() as { port: number }
    const sink = await startOtlpSink()
    const env = { SLOW_URL: `http://127.0.0.1:${port}/`, LONG_URL: `http://127.0.0.1:${port}/long` }
    const app = startPreloaded({ app: appFile('late-calls.cjs'), node: node.path, sink, env })
    const url = await listening(app)
    const ends = {
      'fetch-abort': { state: 'cancelled', reason: 'aborted' },
      // The error that nobody heard was a second task.
      'fetch-abort-unheard': { state: 'cancelled', reason: 'aborted' },
      'fetch-abort-reason': { state: 'cancelled', reason: 'aborted' },
      // The answer was there, and the rest of it is let go.
      'fetch-cancel': { state: 'succeeded' },
      'fetch-unread': { state: 'succeeded' },
      'get-abort': { state: 'cancelled', reason: 'aborted' },
      // It was called failed, as one whose server had hung up.
      'get-destroy': { state: 'cancelled', reason: 'aborted' },
      'get-idle': { state: 'failed', attempts: [{ failure: { type: 'ECONNRESET' } }] },
      'http2-close': { state: 'cancelled', reason: 'aborted' },
      // Node has no error where the server gives up: it was called the wish of the app.
      'http2-cancelled': { state: 'failed', attempts: [{ failure: { type: 'ERR_HTTP2_STREAM_CANCEL' } }] },
      'http2-idle': { state: 'failed', attempts: [{ failure: { type: 'ERR_HTTP2_STREAM_CANCEL' } }] },
      'axios-abort': { state: 'cancelled', reason: 'aborted' },
      'axios-fetch-abort': { state: 'cancelled', reason: 'aborted' },
      'get-timeout': { state: 'failed', attempts: [{ failure: { type: 'TimeoutError' } }] },
      'axios-timeout': { state: 'failed', attempts: [{ failure: { type: 'TimeoutError' } }] },
      'axios-fetch-timeout': { state: 'failed', attempts: [{ failure: { type: 'TimeoutError' } }] },
      'fetch-timeout': { state: 'failed', attempts: [{ failure: { type: 'TimeoutError' } }] },
    }
    for (const [act, end] of Object.entries(ends)) {
      const traceId = traceIdOf(await get(`${url}/${act}`))
      const isOver = ({ verdict, tasks }: Receipt): boolean => tasks.length > 0 && verdict !== 'open'
      const { tasks } = await settledReceipt(await app.adminUrl(), traceId, isOver)
      expect([act, tasks]).toMatchObject([act, [end]])
    }
    // An answer that was cut off was kept, since what was done after it went well.
    await expect(get(`${url}/cut`)).rejects.toThrow(/aborted/)
    await expect
      .poll(async () => (await get(`${await app.adminUrl()}/metrics`)).text, { timeout: 20_000, interval: 150 })
      .toMatch(/afterspan_requests_effective_total\{[^}]*outcome="failed"\} 1\n/)
    await app.stop()
    slow.close()
    await sink.close()
  })
})

describe.each(nodesUnderTest())('on Node $major', (node) => {
  test.each([
    { path: '/late-throw', reason: 'threw', name: 'RangeError' },
    { path: '/late-reject', reason: 'rejected', name: 'Error' },
  ])(
    'code that ends the process after the answer of $path is a failed task of that request',
    async ({ path, reason, name }) => {
      const sink = await startOtlpSink()
      const env = { OTEL_SERVICE_NAME: 'web', AFTERSPAN_EXIT_HOLD_MS: '5000' }
      const child = startPreloaded({ app: appFile('express.cjs'), node: node.path, sink, env })
      const traceId = traceIdOf(await get(`${await listening(child)}${path}`))
      expect((await child.exit).code).toBe(1)
      const next = startPreloaded({ app: appFile('express.cjs'), node: node.path, sink, ledgerDir: child.ledgerDir })
      await listening(next)
      await expectReceipt(await next.adminUrl(), traceId, {
        verdict: 'broken',
        request: { route: path, status: 200 },
        tasks: [{ state: 'failed', reason, name }],
      })
      expect(await toldTrace(sink, traceId, 'failed')).toContain('crash.role=culprit')
      await next.stop()
      await sink.close()
    },
  )
})

test('a receipt that is asked for before anybody patrols is answered, not refused', async () => {
  const app = startPreloaded({ app: appFile('express.cjs'), node: nodesUnderTest()[0]!.path })
  await listening(app)
  const answer = await get(`${await app.adminUrl()}/receipt/${'a'.repeat(32)}`)
  expect(answer).toMatchObject({ status: 200 })
  expect(JSON.parse(answer.text)).toMatchObject({ verdict: 'unknown', tasks: [] })
  await app.stop()
})
