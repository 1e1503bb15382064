// An export that its collector finds too large: what arrives of it, and how often it is asked.
import { expect, test } from 'vitest'
import { encodeTraceRequest, encodeSpan } from '../../../src/sdk/otlp/encode.ts'
import { encodeLogs } from '../../../src/logs/export/encode-logs.ts'
import { postInParts } from '../../../src/sdk/otlp/in-parts.ts'
import type { OtlpReply } from '../../../src/sdk/otlp/reply.ts'
import { OTLP_KIND } from '../../../src/sdk/span-data.ts'
import { readProtobufRequest } from '../../../../afterspan/src/sink/otlp-protobuf.ts'

const OK: OtlpReply = { ok: true, retryable: false, reason: 'ok' }
const TOO_LARGE: OtlpReply = { ok: false, retryable: false, reason: 'http_413' }
const SETTINGS = { url: 'http://collector/v1/traces', headers: {}, timeoutMs: 1, compression: 'none' } as const

/** Spans 1 to `count`, those of `large` with so many bytes in an attribute, in two scopes. */
function request(count: number, large: Readonly<Record<number, number>> = {}): Buffer {
  const spans = Array.from({ length: count }, (_, i) =>
    encodeSpan({
      traceId: '1'.padStart(32, '0'),
      spanId: String(i + 1).padStart(16, '0'),
      name: String(i + 1),
      kind: OTLP_KIND.client,
      startMs: 1,
      endMs: 2,
      attributes: { text: 'x'.repeat(large[i + 1] ?? 1) },
    }),
  )
  const half = count >> 1
  return encodeTraceRequest({ 'service.name': 'shop' }, [
    { scope: { name: 'a' }, spans: spans.slice(0, half) },
    { scope: { name: 'b', version: '2' }, spans: spans.slice(half) },
  ])
}
async function send(body: Uint8Array, answer: (bytes: Buffer) => OtlpReply) {
  const arrived: string[] = []
  let asked = 0
  const reply = await postInParts(
    async (_, part) => {
      asked++
      const got = answer(Buffer.from(part))
      if (got.ok) for (const span of readProtobufRequest(Buffer.from(part))) arrived.push(told(span))
      return got
    },
    SETTINGS,
    body,
  )
  return { reply, arrived, asked }
}
function told({ name, scope, resource }: ReturnType<typeof readProtobufRequest>[number]): string {
  return `${JSON.stringify(resource)} ${JSON.stringify(scope)} ${name}`
}

test('each span arrives once, with its resource and its scope', async () => {
  const body = request(50)
  const all = readProtobufRequest(body).map(told)
  const { reply, arrived, asked } = await send(body, ({ length }) => (length > 500 ? TOO_LARGE : OK))
  expect(arrived).toEqual(all)
  expect(reply).toEqual(OK)
  expect(asked).toBeLessThan(2 * Math.ceil(body.length / 250))
})

test('a span that is too large alone is rejected, and no other', async () => {
  const { reply, arrived } = await send(request(20, { 7: 5_000 }), ({ length }) => (length > 2_000 ? TOO_LARGE : OK))
  expect(arrived.map((text) => text.split(' ').at(-1))).toEqual(
    Array.from({ length: 20 }, (_, i) => String(i + 1)).filter((name) => name !== '7'),
  )
  expect(reply).toEqual({ ...OK, rejected: 1, message: 'http_413' })
})

test('a collector that takes nothing is not asked for each span', async () => {
  const { reply, asked } = await send(request(512), () => TOO_LARGE)
  expect(reply).toEqual(TOO_LARGE)
  expect(asked).toBeLessThan(20)
})

test('one that is away on the way is told as such, and one that finds fault with a part drops that part', async () => {
  const DOWN: OtlpReply = { ok: false, retryable: true, reason: 'http_503' }
  const away = await send(request(8), ({ length }) => (length > 500 ? TOO_LARGE : DOWN))
  expect(away.reply).toEqual(DOWN)
  const bad: OtlpReply = { ok: false, retryable: false, reason: 'http_400' }
  const faulty = await send(request(8), (bytes) =>
    bytes.length > 500 ? TOO_LARGE : readProtobufRequest(bytes).some(({ name }) => name === '8') ? bad : OK,
  )
  expect(faulty.reply).toMatchObject({ ok: true, rejected: 8 - faulty.arrived.length })
  expect(faulty.arrived.length).toBeGreaterThan(3)
})

test('one that was away on the way got all of it again: what is left is told', async () => {
  const DOWN: OtlpReply = { ok: false, retryable: true, reason: 'http_503' }
  let taken = 0
  const { reply, arrived } = await send(request(20), ({ length }) => {
    if (length > 500) return TOO_LARGE
    return taken++ < 2 ? OK : DOWN
  })
  expect(reply).toMatchObject({ ...DOWN, rejected: 0, rest: { items: 20 - arrived.length } })
  const rest = readProtobufRequest(Buffer.from(reply.rest!.request))
  expect([...arrived, ...rest.map(told)]).toEqual(readProtobufRequest(request(20)).map(told))
})

test('log records go in halves too', async () => {
  const logs = ['one', 'two', 'three'].map((bytes) => ({ scope: { name: 'pino' }, bytes: Buffer.from(bytes) }))
  const whole = encodeLogs({}, logs)
  const parts: string[] = []
  await postInParts(
    async (_, part) => {
      if (part.length >= whole.length) return TOO_LARGE
      parts.push(['one', 'two', 'three'].filter((text) => Buffer.from(part).includes(text)).join(' '))
      return OK
    },
    { ...SETTINGS, signal: 'logs' },
    whole,
  )
  expect(parts).toEqual(['one', 'two three'])
})

test('what is no export request is refused as it was', async () => {
  for (const bytes of [[], [1, 2, 3], [0x0a, 200, 1], [0x0a, 0]]) {
    const reply = await postInParts(async () => TOO_LARGE, SETTINGS, Buffer.from(bytes))
    expect(reply).toEqual(TOO_LARGE)
  }
})
