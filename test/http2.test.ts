import { connect, constants, type ClientHttp2Session, type IncomingHttpHeaders } from 'node:http2'
import { request } from 'node:https'
import { bothFormats, get, startPreloaded } from '@afterspan/testing'
import { drawTrace, startOtlpSink } from 'afterspan/internal'
import { expect } from 'vitest'
import { appFile } from './app.ts'

interface Answer {
  readonly trace: string
  readonly text: string
}

/** What is asked by http2.connect() had no span, and did not carry the trace. */
const ASKED = `· GET  SERVER shop
│ http.response.status_code=200 network.protocol.version=2
├─ · GET  CLIENT
│  │ url.full=http://127.0.0.1:*/?token=REDACTED http.response.status_code=200 network.protocol.version=2
│  └─ · GET  SERVER
│       http.response.status_code=200 network.protocol.version=2
└─ ✗ GET  CLIENT
   │ ERR_HTTP2_STREAM_ERROR: Stream closed with error code NGHTTP2_INTERNAL_ERROR
   │ url.full=http://127.0.0.1:*/fails error.type=ERR_HTTP2_STREAM_ERROR
   └─ ✗ GET  SERVER
        aborted_by_server: no such thing
        error.type=aborted_by_server network.protocol.version=2`

bothFormats(
  'HTTP/2 and HTTPS have the same SERVER spans as HTTP/1, each request in its own context',
  { cjs: appFile('frameworks/http2.cjs'), mjs: appFile('frameworks/http2.mjs') },
  async ({ app, node }) => {
    const sink = await startOtlpSink()
    const env = { OTEL_SERVICE_NAME: 'shop', OTEL_BSP_SCHEDULE_DELAY: '5' }
    const service = startPreloaded({ app, node: node.path, sink, env })
    const [, line] = await service.waitForLine(/^listening (\{.*\})$/)
    const ports = JSON.parse(line!) as Record<'plain' | 'secure' | 'streams' | 'tls', number>
    const draw = async (trace: string): Promise<string> => {
      await sink.waitFor((spans) => spans.some((span) => span.traceId === trace))
      const attributes = ['url.scheme', 'network.protocol.version', 'http.response.status_code', 'error.type']
      return drawTrace(sink.trace(trace), { stable: true, attributes })
    }

    const plain = connect(`http://127.0.0.1:${ports.plain}`)
    const all = await Promise.all(Array.from({ length: 8 }, (_, n) => ask(plain, `/?ms=${8 * (8 - n)}`)))
    expect(new Set(all.map(({ trace }) => trace)).size).toBe(8)
    for (const { trace, text } of all) expect(text).toBe(trace)
    expect(await draw(all[0]!.trace)).toBe(
      '· GET  SERVER shop\n  url.scheme=http network.protocol.version=2 http.response.status_code=200',
    )
    const sent = await ask(plain, '/', 'a body')
    expect(sent.text).toBe(`${sent.trace} a body`)

    const hanging = plain.request({ ':path': '/hangs' })
    await service.waitForLine(/^hanging$/)
    hanging.on('error', () => {}).close(constants.NGHTTP2_CANCEL)
    await sink.waitFor((spans) => spans.some((span) => span.attributes['error.type'] === 'aborted_by_client'))

    const streams = connect(`http://127.0.0.1:${ports.streams}`)
    const streamed = await ask(streams, '/')
    expect(streamed.text).toBe(streamed.trace)
    streams.request({ ':path': '/fails' }).on('error', () => {})
    const isFailed = (type: unknown): boolean => type === 'aborted_by_server'
    await sink.waitFor((spans) => spans.some((span) => isFailed(span.attributes['error.type'])))
    const [failed] = sink.spans().filter((span) => isFailed(span.attributes['error.type']))
    expect(drawTrace([failed!], { stable: true })).toBe('✗ GET  SERVER shop\n  aborted_by_server: no such thing')

    const asking = await ask(plain, '/asks')
    expect(asking.text).toContain('1111')
    await sink.waitFor(() => sink.trace(asking.trace).length === 5)
    const attributes = ['url.full', 'http.response.status_code', 'error.type', 'network.protocol.version']
    expect(drawTrace(sink.trace(asking.trace), { stable: true, attributes })).toBe(ASKED)

    const secure = connect(`https://127.0.0.1:${ports.secure}`, { rejectUnauthorized: false })
    const answered = await ask(secure, '/fails')
    expect(await draw(answered.trace)).toBe(
      '✗ GET  SERVER shop\n  503\n  url.scheme=https network.protocol.version=2 http.response.status_code=503 error.type=503',
    )
    for (const port of [ports.secure, ports.tls]) {
      const { trace, text } = await askHttps(port)
      expect(text).toBe(trace)
      expect(await draw(trace)).toContain('url.scheme=https network.protocol.version=1.1')
    }

    const { text } = await get(`${await service.adminUrl()}/metrics`)
    const [counted] = text.match(/^http_server_request_duration_seconds_count\{.*GET.*"200".*version="2".*$/m) ?? []
    expect(counted).toMatch(/ 10$/)
    expect(text).toMatch(/^http_client_request_duration_seconds_count\{.*version="2".*\} 1$/m)
    for (const [, active] of text.matchAll(/^http_server_active_requests\{.*\} (\S+)/gm)) expect(active).toBe('0')
    expect(service.stderr).toBe('')

    for (const session of [plain, streams, secure]) session.destroy()
    await service.stop()
    await sink.close()
  },
)

function ask(session: ClientHttp2Session, path: string, body?: string): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const stream = session.request({ ':path': path, ':method': body === undefined ? 'GET' : 'POST' })
    let trace = ''
    let text = ''
    stream.setEncoding('utf8')
    stream.on('response', (headers) => {
      trace = traceOf(headers)
    })
    stream.on('data', (chunk: string) => {
      text += chunk
    })
    stream.on('error', reject)
    stream.on('end', () => resolve({ trace, text }))
    stream.end(body)
  })
}

function askHttps(port: number): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const sent = request({ host: '127.0.0.1', port, agent: false, rejectUnauthorized: false }, (response) => {
      let text = ''
      response.setEncoding('utf8')
      response.on('data', (chunk: string) => {
        text += chunk
      })
      response.on('end', () => resolve({ trace: traceOf(response.headers), text }))
    })
    sent.on('error', reject)
    sent.end()
  })
}

function traceOf(headers: IncomingHttpHeaders): string {
  return /^00-([0-9a-f]{32})-/.exec(String(headers['traceresponse']))?.[1] ?? `no trace: ${JSON.stringify(headers)}`
}
