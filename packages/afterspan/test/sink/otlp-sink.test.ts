import { request as httpRequest, type IncomingHttpHeaders } from 'node:http'
import { connect } from 'node:net'
import { gzipSync } from 'node:zlib'
import { JsonTraceSerializer, ProtobufTraceSerializer } from '@opentelemetry/otlp-transformer'
import { afterEach, describe, expect, test, vi } from 'vitest'
import { postOtlp } from '../../../core/src/sdk/otlp/transport.ts'
import { startOtlpSink, type OtlpSink, type OtlpSinkOptions, type TraceRequest } from '../../src/sink/otlp-sink.ts'
import type { StoredSpan } from '../../src/sink/stored-span.ts'
import { officialSpan, ownRequest, TRACE_ID } from './sample-spans.ts'

const PROTOBUF = 'application/x-protobuf'
const JSON_TYPE = 'application/json'
const open: OtlpSink[] = []

afterEach(async () => {
  for (const sink of open.splice(0)) await sink.close()
})

async function start(options: OtlpSinkOptions = {}): Promise<OtlpSink> {
  const sink = await startOtlpSink(options)
  open.push(sink)
  return sink
}

interface Reply {
  readonly status: number
  readonly headers: IncomingHttpHeaders
  readonly text: string
}

function send(
  sink: OtlpSink,
  path: string,
  options: { method?: string; headers?: Record<string, string>; body?: Uint8Array | string } = {},
): Promise<Reply> {
  return new Promise((resolve, reject) => {
    const { method = 'GET', headers = {}, body } = options
    const request = httpRequest(`${sink.url}${path}`, { method, headers, agent: false }, (response) => {
      const parts: Buffer[] = []
      response.on('data', (part: Buffer) => parts.push(part))
      response.on('error', reject)
      response.on('end', () => {
        resolve({ status: response.statusCode ?? 0, headers: response.headers, text: Buffer.concat(parts).toString() })
      })
    })
    request.on('error', reject)
    request.end(body)
  })
}

function post(
  sink: OtlpSink,
  body: Uint8Array | string = oneSpan(),
  headers: Record<string, string> = {},
): Promise<Reply> {
  return send(sink, '/v1/traces', { method: 'POST', headers: { 'content-type': PROTOBUF, ...headers }, body })
}

/** A request with one span; each has a span id of its own. */
function oneSpan(): Uint8Array {
  return ProtobufTraceSerializer.serializeRequest([officialSpan({ a: 1 })]) ?? new Uint8Array()
}

describe('the sink takes', () => {
  test.each([
    ['protobuf', {}, (body: Uint8Array) => body],
    ['gzipped protobuf', { 'content-encoding': 'gzip' }, (body: Uint8Array) => gzipSync(body)],
    ['protobuf with a parameter', { 'content-type': `${PROTOBUF}; v=1` }, (body: Uint8Array) => body],
  ])('%s', async (_what, headers, pack) => {
    const seen: StoredSpan[] = []
    const sink = await start({ onSpan: (span) => seen.push(span) })
    const body = oneSpan()
    expect(await post(sink, pack(body), headers)).toMatchObject({
      status: 200,
      text: '',
      headers: { 'content-type': PROTOBUF },
    })
    expect(sink.spans()).toMatchObject([{ name: 'POST /orders', traceId: TRACE_ID, attributes: { a: 1 } }])
    expect(sink.trace(TRACE_ID)).toStrictEqual(sink.spans())
    expect(seen).toStrictEqual(sink.spans())
    await post(sink, pack(body), headers)
    expect(sink.spans()).toHaveLength(1)
    expect(seen).toHaveLength(1)
    expect(sink.requests()).toBe(2)
  })

  test('JSON, gzipped or not', async () => {
    const sink = await start()
    for (const pack of [(body: Uint8Array) => body, gzipSync]) {
      const body = pack(JsonTraceSerializer.serializeRequest([officialSpan({})]) ?? new Uint8Array())
      const headers = { 'content-type': JSON_TYPE, ...(pack === gzipSync ? { 'content-encoding': 'gzip' } : {}) }
      expect(await post(sink, body, headers)).toMatchObject({
        status: 200,
        text: '{}',
        headers: { 'content-type': JSON_TYPE },
      })
    }
    expect(sink.spans()).toHaveLength(2)
  })
})

test("core's own transport and the sink understand each other", async () => {
  const sink = await start({
    answer: ({ number }) => (number === 1 ? { status: 503, headers: { 'retry-after': '2' } } : undefined),
  })
  const settings = { url: `${sink.url}/v1/traces`, headers: {}, timeoutMs: 5_000, compression: 'gzip' } as const
  const body = ownRequest(officialSpan({ a: 1 }))
  expect(await postOtlp(settings, body)).toMatchObject({
    ok: false,
    retryable: true,
    reason: 'http_503',
    retryAfterMs: 2_000,
  })
  expect(await postOtlp(settings, body.subarray(1))).toMatchObject({
    ok: false,
    retryable: false,
    reason: 'http_400',
  })
  expect(await postOtlp({ ...settings, compression: 'none' }, body)).toMatchObject({ ok: true })
  expect(sink.spans()).toMatchObject([{ name: 'POST /orders', attributes: { a: 1 } }])
})

describe('the sink refuses, keeps nothing, and goes on', () => {
  test.each([
    ['no content type', '', {}, 415, /content-type/],
    ['another content type', 'text/plain', {}, 415, /content-type text\/plain/],
    ['another encoding', PROTOBUF, { 'content-encoding': 'br' }, 415, /br is not supported/],
    ['what is not gzip', PROTOBUF, { 'content-encoding': 'gzip' }, 400, /not gzip/],
    ['protobuf that is called JSON', JSON_TYPE, {}, 400, /"message":/],
  ])('%s', async (_what, type, headers, status, text) => {
    const sink = await start()
    const reply = await post(sink, oneSpan(), { 'content-type': type, ...headers })
    expect(reply.status).toBe(status)
    expect(reply.text).toMatch(text)
    expect(sink.spans()).toHaveLength(0)
    expect(await post(sink)).toMatchObject({ status: 200 })
  })

  test('garbage, with a google.rpc.Status that says why', async () => {
    const sink = await start()
    const reply = await post(sink, oneSpan().subarray(0, 40))
    expect(reply.status).toBe(400)
    expect(reply.text).toMatch(/^\u0012.ends inside a value at byte \d+$/s)
  })

  test('a body that is too large, announced or not, or only when unzipped', async () => {
    const sink = await start({ maxBodyBytes: 10_000 })
    const large = Buffer.alloc(10_001)
    expect(await post(sink, large)).toMatchObject({ status: 413 })
    expect(await post(sink, Buffer.alloc(20_000_000))).toMatchObject({ status: 413 })
    expect(await post(sink, large, { 'transfer-encoding': 'chunked' })).toMatchObject({ status: 413 })
    expect(await post(sink, gzipSync(large), { 'content-encoding': 'gzip' })).toMatchObject({ status: 413 })
    expect(await post(sink)).toMatchObject({ status: 200 })
    expect(sink.requests()).toBe(5)
  })

  test('64 MiB and no more, by default', async () => {
    const sink = await start()
    const zeros = (length: number): Buffer => gzipSync(Buffer.alloc(length))
    expect(await post(sink, zeros(64 * 1024 * 1024 + 1), { 'content-encoding': 'gzip' })).toMatchObject({ status: 413 })
    expect(await post(sink, zeros(64 * 1024 * 1024), { 'content-encoding': 'gzip' })).toMatchObject({ status: 400 })
  })

  test('a request that is cut off', async () => {
    const sink = await start()
    const socket = connect(sink.port, '127.0.0.1')
    const goOn = new Promise((resolve) => socket.once('data', resolve))
    socket.write(
      `POST /v1/traces HTTP/1.1\r\nhost: localhost\r\ncontent-type: ${PROTOBUF}\r\nexpect: 100-continue\r\ncontent-length: 500\r\n\r\nabc`,
    )
    expect(String(await goOn)).toContain('100 Continue')
    expect(sink.requests()).toBe(1)
    socket.destroy()
    expect(await post(sink)).toMatchObject({ status: 200 })
    expect(sink.spans()).toHaveLength(1)
  })
})

describe('waiting', () => {
  test('ends when the spans arrive, at once where they are there', async () => {
    const sink = await start()
    const two = sink.waitFor((spans) => spans.length === 2)
    await post(sink)
    const one = sink.waitFor((spans) => spans.length === 1)
    await one
    await post(sink)
    await two
    expect(sink.spans()).toHaveLength(2)
  })

  test('asks at arrivals only', async () => {
    const sink = await start()
    const ask = vi.fn<(spans: readonly StoredSpan[]) => boolean>((spans) => spans.length === 3)
    const done = sink.waitFor(ask)
    for (let n = 0; n < 3; n++) await post(sink)
    await done
    await post(sink)
    expect(ask).toHaveBeenCalledTimes(4)
  })

  test('ends with a drawing of what is there after the time, and when the sink closes', async () => {
    const sink = await start()
    await expect(sink.waitFor(() => false, 1)).rejects.toThrow('not within 1 ms. No span has arrived.')
    await post(sink)
    await expect(sink.waitFor(() => false, 1)).rejects.toThrow(/arrived:\n\(parent 00f067aa… not received\)\n└─ ✗ POST/)
    const waiting = sink.waitFor(() => false)
    await Promise.all([expect(waiting).rejects.toThrow('the sink was closed.'), sink.close()])
  })

  test('ends with the error of the predicate', async () => {
    const sink = await start()
    await expect(sink.waitFor((spans) => spans[0]!.name === 'x')).rejects.toThrow(TypeError)
  })
})

describe('a collector that is unwell', () => {
  test('answers 503 and keeps nothing, until it is well', async () => {
    const asked: TraceRequest[] = []
    const sink = await start({
      answer: (request) => {
        asked.push(request)
        return request.number === 1 ? { status: 503, headers: { 'retry-after': '1' }, body: 'busy' } : undefined
      },
    })
    const body = oneSpan()
    expect(await post(sink, body)).toMatchObject({ status: 503, text: 'busy', headers: { 'retry-after': '1' } })
    expect(sink.spans()).toHaveLength(0)
    expect(await post(sink, body)).toMatchObject({ status: 200 })
    expect(sink.spans()).toHaveLength(1)
    expect(asked).toMatchObject([
      { number: 1, spans: [{ name: 'POST /orders' }], headers: { 'content-type': PROTOBUF } },
      { number: 2 },
    ])
  })

  test('is slow: spans are kept when it answers', async () => {
    const asked = Promise.withResolvers<void>()
    const sink = await start({
      answer: () => {
        asked.resolve()
        return { status: 202, delayMs: 30 }
      },
    })
    let isAnswered = false
    const answered = post(sink).then((reply) => {
      isAnswered = true
      return reply
    })
    await asked.promise
    expect(sink.spans()).toHaveLength(0)
    await sink.waitFor((spans) => spans.length === 1)
    expect(isAnswered).toBe(false)
    expect(await answered).toMatchObject({ status: 202 })
  })

  test('hangs: no answer, nothing kept, and closing ends the connection', async () => {
    const asked = Promise.withResolvers<void>()
    const sink = await start({
      answer: () => {
        asked.resolve()
        return { status: 200, delayMs: Number.POSITIVE_INFINITY }
      },
    })
    const hung = post(sink)
    await asked.promise
    expect(await send(sink, '/')).toMatchObject({ status: 200 })
    expect(sink.spans()).toHaveLength(0)
    await Promise.all([expect(hung).rejects.toThrow(/socket hang up|ECONNRESET/), sink.close()])
  })

  test('throws or says what HTTP does not allow: the sender sees an error, the sink lives', async () => {
    const sink = await start({
      answer: ({ number }) => {
        if (number === 1) throw new Error('wrong test')
        return number === 2 ? { status: 200, headers: { 'bad header': 'x' } } : undefined
      },
    })
    expect(await post(sink)).toMatchObject({ status: 500, text: 'wrong test\n' })
    await expect(post(sink)).rejects.toThrow(/socket hang up|ECONNRESET/)
    expect(await post(sink)).toMatchObject({ status: 200 })
  })
})

describe('pages', () => {
  test('list, draw and give traces', async () => {
    const sink = await start()
    expect((await send(sink, '/')).text).toBe('0 spans in 0 traces; 0 merged\n')
    await post(sink)
    const list = await send(sink, '/?x=1')
    expect(list.text).toBe(
      `1 span in 1 trace; 0 merged\nnewest first; GET /traces/<id> draws one\n\n✗ ${TRACE_ID}  1 span  1 error  POST /orders  shop\n`,
    )
    expect(list.headers).toMatchObject({
      'content-type': 'text/plain; charset=utf-8',
      'x-content-type-options': 'nosniff',
    })
    expect((await send(sink, `/traces/${TRACE_ID.toUpperCase()}`)).text).toContain(
      '\n└─ ✗ POST /orders  SERVER shop  +0.00 ms  1877 ms\n',
    )
    const json = await send(sink, `/traces/${TRACE_ID}.json`)
    expect(json.headers['content-type']).toBe(JSON_TYPE)
    expect(JSON.parse(json.text)).toStrictEqual({ traceId: TRACE_ID, spans: JSON.parse(JSON.stringify(sink.spans())) })
    sink.clear()
    expect((await send(sink, `/traces/${TRACE_ID}`)).status).toBe(404)
  })

  test('are nowhere else', async () => {
    const sink = await start()
    for (const path of ['/v1/traces', '/traces', '/traces/../etc', `/traces/${TRACE_ID}/x`, '/favicon.ico'])
      expect(await send(sink, path)).toMatchObject({ status: 404 })
    expect(await send(sink, '/v1/profiles', { method: 'POST', body: 'x' })).toMatchObject({ status: 404 })
    expect(await send(sink, '/', { method: 'DELETE' })).toMatchObject({ status: 404 })
    expect(await send(sink, '/', { method: 'HEAD' })).toMatchObject({ status: 200, text: '' })
    expect(sink.requests()).toBe(0)
  })

  test('are not for a web page whose name was made to point here', async () => {
    const sink = await start()
    for (const host of ['evil.example', 'evil.example:4318', 'localhost.evil.example'])
      expect(await send(sink, '/', { headers: { host } })).toMatchObject({ status: 421 })
    for (const host of ['localhost:1', '127.0.0.1', '[::1]:4318', 'LOCALHOST'])
      expect(await send(sink, '/', { headers: { host } })).toMatchObject({ status: 200 })
  })
})

describe('the life of a sink', () => {
  test('a port that is taken rejects', async () => {
    const first = await start()
    expect(first.url).toBe(`http://127.0.0.1:${first.port}`)
    await expect(startOtlpSink({ port: first.port })).rejects.toMatchObject({ code: 'EADDRINUSE' })
  })

  test('closing twice is harmless, what was kept can be read', async () => {
    const sink = await start()
    await post(sink)
    await Promise.all([sink.close(), sink.close()])
    await sink.close()
    expect(sink.spans()).toHaveLength(1)
    await expect(post(sink)).rejects.toThrow('ECONNREFUSED')
  })

  test('a connection that says nothing is ended', async () => {
    const sink = await start({ headersTimeoutMs: 50 })
    const socket = connect(sink.port, '127.0.0.1')
    socket.write('POST /v1/traces HTTP/1.1\r\n')
    await new Promise((resolve) => socket.on('close', resolve).resume())
    expect(sink.requests()).toBe(0)
  })
})
