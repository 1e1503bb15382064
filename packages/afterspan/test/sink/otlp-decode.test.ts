import { JsonTraceSerializer, ProtobufTraceSerializer } from '@opentelemetry/otlp-transformer'
import { describe, expect, test } from 'vitest'
import { decodeTraces } from '../../src/sink/otlp-decode.ts'
import type { StoredSpan } from '../../src/sink/stored-span.ts'
import { officialSpan, ownRequest, PARENT_ID, SIMPLE, TRACE_ID } from './sample-spans.ts'

const COMPLEX = {
  ...SIMPLE,
  beyondDoubles: 2 ** 60,
  infinite: Number.POSITIVE_INFINITY,
  bytes: new Uint8Array([0, 1, 254, 255]),
  none: null,
  mixed: [1, 'two', [true, null], { three: 3 }],
  map: { a: 'b', n: -5, inner: { deep: [0.5] }, '': false },
}
const source = officialSpan(COMPLEX)
const protobuf = ProtobufTraceSerializer.serializeRequest([source]) ?? new Uint8Array()
const json = JsonTraceSerializer.serializeRequest([source]) ?? new Uint8Array()

const EXPECTED: StoredSpan = {
  traceId: TRACE_ID,
  spanId: source.spanContext().spanId,
  parentSpanId: PARENT_ID,
  traceState: 'vendor=span',
  name: 'POST /orders',
  kind: 'server',
  startMs: 1_800_000_000_123.4568,
  endMs: 1_800_000_002_000,
  attributes: { ...COMPLEX, beyondDoubles: 1152921504606846976n },
  events: [
    { name: 'first', atMs: 1_800_000_000_200, attributes: { n: 1 } },
    { name: 'second', atMs: 1_800_000_001_000, attributes: {} },
  ],
  links: [
    { traceId: '0af7651916cd43dd8448eb211c80319c', spanId: 'b7ad6b7169203331', attributes: { why: 'batch' } },
    { traceId: '0af7651916cd43dd8448eb211c80319c', spanId: PARENT_ID, traceState: 'vendor=link', attributes: {} },
  ],
  status: { code: 'error', message: 'it broke ✗' },
  resource: { 'service.name': 'shop', 'process.pid': 4711, 'process.command_args': ['a', 'b'] },
  scope: { name: 'scope-of-test', version: '1.2.3' },
  flags: 0x301,
  droppedAttributes: 1,
  droppedEvents: 1,
  droppedLinks: 1,
} as StoredSpan

describe('what the official SDK writes', () => {
  test('is read from protobuf, every field', () => {
    expect(only(decodeTraces(protobuf, 'protobuf'))).toStrictEqual(EXPECTED)
  })

  test('is read from JSON, every field but what JSON itself loses', () => {
    // The official serializer writes doubles beyond JSON as null, and integers beyond 2^53 as numbers.
    const attributes = { ...EXPECTED.attributes, beyondDoubles: 2 ** 60, infinite: null }
    expect(only(decodeTraces(json, 'json'))).toStrictEqual({ ...EXPECTED, attributes })
  })

  test('is read where there is nothing optional', () => {
    const bare = officialSpan({})
    const spans = [bare, { ...bare, spanContext: () => bare.spanContext(), parentSpanContext: undefined }] as const
    for (const format of ['protobuf', 'json'] as const) {
      const serializer = format === 'json' ? JsonTraceSerializer : ProtobufTraceSerializer
      const decoded = decodeTraces(serializer.serializeRequest([...spans] as never) ?? new Uint8Array(), format)
      expect(decoded).toMatchObject({ ok: true, spans: [{ parentSpanId: PARENT_ID }, { attributes: {} }] })
      expect(decoded.ok && decoded.spans[1]).not.toHaveProperty('parentSpanId')
    }
  })
})

describe('protobuf', () => {
  test('a request without spans is none', () => {
    expect(decodeTraces(new Uint8Array(), 'protobuf')).toStrictEqual({ ok: true, spans: [] })
  })

  test('the order of fields is free, unknown fields are skipped', () => {
    const ids = [...field(1, hex(TRACE_ID)), ...field(2, hex(PARENT_ID))]
    const unknown = [
      0xf8,
      0x07,
      0x05,
      ...field(200, [1, 2]),
      0xc1,
      0x3e,
      1,
      2,
      3,
      4,
      5,
      6,
      7,
      8,
      0xbd,
      0x3e,
      1,
      2,
      3,
      4,
    ]
    const scopeSpans = [...field(2, [...unknown, ...ids]), ...field(1, field(1, text('late scope')))]
    const request = field(1, [...field(2, scopeSpans), ...field(1, field(1, keyValue('late', [0x10, 1])))])
    expect(only(decodeTraces(Uint8Array.from(request), 'protobuf'))).toMatchObject({
      traceId: TRACE_ID,
      resource: { late: true },
      scope: { name: 'late scope' },
    })
  })

  test('int64 keeps every bit, at both ends', () => {
    const most = [0x18, ...Array(8).fill(0xff), 0x7f]
    const least = [0x18, ...Array(9).fill(0x80), 0x01]
    expect(attributesOf([keyValue('most', most), keyValue('least', least)])).toStrictEqual({
      most: 9223372036854775807n,
      least: -9223372036854775808n,
    })
  })

  test('a key called __proto__ is a key', () => {
    const found = attributesOf([keyValue('__proto__', [0x10, 1])])
    expect(Object.entries(found)).toStrictEqual([['__proto__', true]])
    expect(Object.getPrototypeOf(found)).toBe(Object.prototype)
  })

  test('bytes do not keep the request in memory', () => {
    const { bytes } = attributesOf([keyValue('bytes', field(7, [1, 2, 3]))])
    expect(bytes).toStrictEqual(new Uint8Array([1, 2, 3]))
    expect((bytes as Uint8Array).buffer.byteLength).toBe(3)
  })

  test('a value ends with the message it is in', () => {
    const ids = [...field(1, hex(TRACE_ID)), ...field(2, hex(PARENT_ID))]
    for (const [reachingOut, what] of [
      [[0x2a, 5, 0x61], 'a string'],
      [[0x30, 0x82], 'a varint'],
      [[0x39, 1, 2, 3], 'a time'],
      [[0x7a, 4, 0x18, 2], 'a message'],
    ] as const) {
      const spans = [...field(2, [...ids, ...reachingOut]), ...field(2, [...ids, ...field(5, text('next'))])]
      const request = Uint8Array.from(field(1, field(2, spans)))
      expect(decodeTraces(request, 'protobuf'), `reaching out by ${what}`).toMatchObject({
        ok: false,
        error: expect.stringMatching(/^ends inside a value/) as string,
      })
    }
  })

  test('a parent of zeros is none, one of another length is an error', () => {
    const ids = [...field(1, hex(TRACE_ID)), ...field(2, hex(PARENT_ID))]
    for (const none of ['', '00'.repeat(8)]) {
      const span = only(decodeTraces(spanRequest([...ids, ...field(4, hex(none))]), 'protobuf'))
      expect(span).not.toHaveProperty('parentSpanId')
      expect(only(decodeTraces(Buffer.from(jsonSpan(`"parentSpanId":"${none}"`)), 'json'))).not.toHaveProperty(
        'parentSpanId',
      )
    }
    expect(decodeTraces(spanRequest([...ids, ...field(4, [1])]), 'protobuf')).toMatchObject({ ok: false })
  })

  test('invalid ids are refused, with the id', () => {
    for (const [trace, span, error] of [
      ['00'.repeat(16), PARENT_ID, `invalid trace id "${'00'.repeat(16)}"`],
      ['abcd', PARENT_ID, 'invalid trace id "abcd"'],
      [TRACE_ID, '', 'invalid span id ""'],
      [TRACE_ID, '00'.repeat(8), `invalid span id "${'00'.repeat(8)}"`],
    ] as const) {
      const request = spanRequest([...field(1, hex(trace)), ...field(2, hex(span))])
      expect(decodeTraces(request, 'protobuf')).toStrictEqual({ ok: false, error })
    }
  })
})

describe('what is not OTLP', () => {
  test('every truncation is an error', () => {
    for (const [whole, format] of [
      [protobuf, 'protobuf'],
      [ownRequest(source), 'protobuf'],
      [json, 'json'],
    ] as const)
      for (let length = 1; length < whole.length; length += length < 2_000 ? 1 : 997)
        expect(decodeTraces(whole.subarray(0, length), format).ok, `${format}, ${length} bytes`).toBe(false)
  })

  test('random bytes and flipped bytes never throw', () => {
    const random = randomNumbers(42)
    const small = Buffer.from(ProtobufTraceSerializer.serializeRequest([officialSpan({ a: [1, { b: 'c' }] })]) ?? [])
    const smallJson = Buffer.from(JsonTraceSerializer.serializeRequest([officialSpan({ a: 1 })]) ?? [])
    let errors = 0
    for (let n = 0; n < 20_000; n++) {
      const noise = Uint8Array.from({ length: random(64) }, () => random(256))
      const flipped = Buffer.from(small)
      const flippedJson = Buffer.from(smallJson)
      for (let flips = 1 + random(4); flips > 0; flips--) {
        flipped[random(flipped.length)] = random(256)
        flippedJson[random(flippedJson.length)] = 32 + random(95)
      }
      for (const result of [
        decodeTraces(noise, 'protobuf'),
        decodeTraces(noise, 'json'),
        decodeTraces(flipped, 'protobuf'),
        decodeTraces(flippedJson, 'json'),
      ])
        if (!result.ok) errors++
    }
    expect(errors).toBeGreaterThan(40_000)
  })

  test('nesting ends somewhere', () => {
    let value: number[] = [0x10, 1]
    for (let n = 0; n < 500; n++) value = field(5, field(1, value))
    expect(decodeTraces(spanRequest(field(9, keyValue('deep', value))), 'protobuf')).toStrictEqual({
      ok: false,
      error: 'nested too deeply',
    })
    const inside = '{"arrayValue":{"values":['.repeat(5_000) + ']}}'.repeat(5_000)
    const deep = `{"resourceSpans":[{"resource":{"attributes":[{"key":"deep","value":${inside}}]}}]}`
    expect(decodeTraces(Buffer.from(deep), 'json')).toStrictEqual({ ok: false, error: 'nested too deeply' })
  })

  test('a few bytes cannot become a million objects', () => {
    const events = Buffer.alloc(5_000_000, Uint8Array.from([0x5a, 0]))
    const { ok, ...rest } = decodeTraces(spanRequest(events), 'protobuf')
    expect({ ok, ...rest }).toStrictEqual({ ok: false, error: 'too many messages in one request' })
    const spans = Buffer.alloc(200_000, Uint8Array.from([0x12, 0]))
    expect(
      decodeTraces(
        Uint8Array.from(Buffer.concat([header(1, spans.length + 4), header(2, spans.length), spans])),
        'protobuf',
      ),
    ).toStrictEqual({
      ok: false,
      error: 'too many spans in one request',
    })
  })

  test('JSON of another shape is an error that says what was expected', () => {
    for (const [body, error] of [
      ['[]', 'expected an object, found an array'],
      ['{"resourceSpans":{}}', 'expected an array, found object'],
      ['{"resourceSpans":[1]}', 'expected an object, found number'],
      [jsonSpan('"name":1'), 'expected a string, found number'],
      [jsonSpan('"startTimeUnixNano":"-5"'), 'expected nanoseconds, found string'],
      [jsonSpan('"attributes":[{"key":"a","value":{"intValue":"1.5"}}]'), 'expected an integer, found string'],
    ] as const)
      expect(decodeTraces(Buffer.from(body), 'json')).toStrictEqual({ ok: false, error })
  })

  test('JSON may spell numbers and enums as protobuf does', () => {
    const body = jsonSpan(
      '"kind":"SPAN_KIND_CONSUMER","status":{"code":"STATUS_CODE_OK"},"startTimeUnixNano":"1800000000123456789",' +
        '"attributes":[{"key":"i","value":{"intValue":"-9007199254740993"}},{"key":"d","value":{"doubleValue":"-Infinity"}},{"key":"n","value":{"doubleValue":"NaN"}}]',
    )
    expect(only(decodeTraces(Buffer.from(body), 'json'))).toMatchObject({
      kind: 'consumer',
      status: { code: 'ok' },
      startMs: 1_800_000_000_123.4568,
      attributes: { i: -9007199254740993n, d: Number.NEGATIVE_INFINITY, n: Number.NaN },
    })
  })
})

function only(decoded: ReturnType<typeof decodeTraces>): StoredSpan | undefined {
  expect(decoded).toMatchObject({ ok: true, spans: [{}] })
  return decoded.ok ? decoded.spans[0] : undefined
}

function jsonSpan(fields: string): string {
  return `{"resourceSpans":[{"scopeSpans":[{"spans":[{"traceId":"${TRACE_ID.toUpperCase()}","spanId":"${PARENT_ID}",${fields}}]}]}]}`
}

// ---- protobuf by hand ----
function field(number: number, payload: readonly number[]): number[] {
  return [...header(number, payload.length), ...payload]
}
function header(number: number, length: number): Buffer {
  return Buffer.from([...varint(number * 8 + 2), ...varint(length)])
}
function varint(value: number): number[] {
  return value < 128 ? [value] : [(value % 128) | 128, ...varint(Math.floor(value / 128))]
}
function text(value: string): number[] {
  return [...Buffer.from(value)]
}
function hex(value: string): number[] {
  return [...Buffer.from(value, 'hex')]
}
function keyValue(key: string, value: readonly number[]): number[] {
  return [...field(1, text(key)), ...field(2, value)]
}
function spanRequest(span: Iterable<number>): Uint8Array {
  const bytes = Buffer.from([...span])
  const scope = Buffer.concat([header(2, bytes.length), bytes])
  const resource = Buffer.concat([header(2, scope.length), scope])
  return Buffer.concat([header(1, resource.length), resource])
}
function attributesOf(pairs: readonly number[][]): StoredSpan['attributes'] {
  const ids = [...field(1, hex(TRACE_ID)), ...field(2, hex(PARENT_ID))]
  return (
    only(decodeTraces(spanRequest([...ids, ...pairs.flatMap((pair) => field(9, pair))]), 'protobuf'))?.attributes ?? {}
  )
}

/** mulberry32: the same numbers on every run. */
function randomNumbers(seed: number): (below: number) => number {
  let state = seed
  return (below) => {
    state = (state + 0x6d2b79f5) | 0
    let t = Math.imul(state ^ (state >>> 15), 1 | state)
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t
    return ((t ^ (t >>> 14)) >>> 0) % below
  }
}
