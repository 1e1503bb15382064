import { ProtobufTraceSerializer } from '@opentelemetry/otlp-transformer'
import type { Attributes } from '@opentelemetry/api'
import { describe, expect, test } from 'vitest'
import { encodeSpan, encodeTraceRequest } from '../../../core/src/sdk/otlp/encode.ts'
import { otlpJson } from '../../../core/src/sdk/otlp/otlp-json.ts'
import type { SpanData } from '../../../core/src/sdk/span-data.ts'
import { decodeTraces } from '../../src/sink/otlp-decode.ts'
import type { StoredSpan } from '../../src/sink/stored-span.ts'
import { officialSpan, ownRequest, PARENT_ID, SIMPLE, TRACE_ID } from './sample-spans.ts'

// The independent check of core's encoder: the same span, written by it and by the official serializer, read by one decoder.
describe('our encoder and the official one', () => {
  test('say the same of a span that has everything', () => {
    const { own, official } = both(SIMPLE)
    expect(own).toStrictEqual(official)
    expect(Object.keys(own.attributes)).toHaveLength(Object.keys(SIMPLE).length)
  })

  test.each([
    [{}],
    [{ one: 'x'.repeat(41) }],
    [{ one: 'ž'.repeat(42) }],
    [{ one: '🐎'.repeat(41) }],
    [{ one: '\ud800' }],
  ])('say the same of attributes %j', (attributes) => {
    const { own, official } = both(attributes)
    expect(own).toStrictEqual(official)
  })

  test('say the same of messages whose length takes one, two, three and four bytes', () => {
    for (const length of [
      100, 115, 116, 117, 118, 119, 120, 121, 127, 128, 16_370, 16_383, 16_384, 2_097_140, 2_097_152,
    ]) {
      const { own, official } = both({ text: 'x'.repeat(length), list: ['y'.repeat(length), 1] })
      expect(own, `${length}`).toStrictEqual(official)
    }
  })

  test('say the same as the JSON that is made of them', () => {
    const source = officialSpan({
      ...SIMPLE,
      big: 2 ** 53 - 1,
      small: -1,
      none: Number.NaN,
      deep: { a: [1, { b: 'c' }] } as never,
    })
    const json = decodeTraces(Buffer.from(otlpJson(ownRequest(source))), 'json')
    expect(json).toStrictEqual(decodeTraces(ownRequest(source), 'protobuf'))
  })

  test('write integers as integers and doubles as doubles', () => {
    const bytes = Buffer.from(encodeSpan(span({ i: 1, j: -1, d: 1.5 })))
    expect(bytes.includes(Buffer.from('0a01691202' + '1801', 'hex'))).toBe(true)
    expect(bytes.includes(Buffer.from('0a016a120b' + '18ffffffffffffffffff01', 'hex'))).toBe(true)
    expect(bytes.includes(Buffer.from('0a01641209' + '21000000000000f83f', 'hex'))).toBe(true)
  })

  test.each([
    0, 1, 0.000_001, 999.999_999, 1_800_000_000_000, 1_800_000_000_999.999_8, 4_102_444_800_000, 9_000_000_000_000.5,
  ])('time %d comes back', (ms) => {
    const [found] = decodeOwn([{ ...span({}), startMs: ms, endMs: ms + 1 }])
    expect(found).toMatchObject({ startMs: ms, endMs: ms + 1 })
  })

  test('an id is read in capital digits too, and one that is not of digits is all zero', () => {
    const [found] = decodeOwn([{ ...span({}), traceId: TRACE_ID.toUpperCase() }])
    expect(found).toMatchObject({ traceId: TRACE_ID })
    const bytes = Buffer.from(encodeSpan({ ...span({}), spanId: `${PARENT_ID.slice(1)}ž` }))
    expect(bytes.subarray(18, 28).toString('hex')).toBe(`1208${'0'.repeat(16)}`)
  })

  test('many spans and scopes in one request come back in order', () => {
    const spans = Array.from({ length: 1_000 }, (_, n) => ({ ...span({ n }), name: `span ${n}` }))
    expect(decodeOwn(spans).map(({ name, attributes }) => [name, attributes])).toStrictEqual(
      spans.map(({ name, attributes }) => [name, attributes]),
    )
    const one = encodeSpan(span({}))
    const request = encodeTraceRequest({ a: 1 }, [
      { scope: { name: 'first' }, spans: [one] },
      { scope: { name: 'second', version: '2' }, spans: [one, one] },
    ])
    const decoded = decodeTraces(request, 'protobuf')
    expect(decoded.ok && decoded.spans.map((s) => s.scope)).toStrictEqual([
      { name: 'first' },
      { name: 'second', version: '2' },
      { name: 'second', version: '2' },
    ])
  })
})

// Each was once a fault of the encoder.
describe('our encoder does what it once failed to do:', () => {
  test.each([
    ['maps', { a: { b: 1, c: ['d'] } }],
    ['bytes', { a: new Uint8Array([1, 2, 3]) }],
    ['maps in lists', { a: [{ b: 1 }] }],
    ['null', { a: null }],
  ])('carry attributes that are %s', (_what, attributes) => {
    const { own, official } = both(attributes)
    expect(own.attributes).toStrictEqual(official.attributes)
  })

  test('carry the trace state of links', () => {
    const [own] = decoded(ownRequest(officialSpan({})))
    expect(own?.links[1]).toMatchObject({ traceState: 'vendor=link' })
  })

  test('keep old bytes of its buffer out of ids that are not valid', () => {
    encodeSpan({ ...span({}), name: 'secret'.repeat(50) })
    const [found] = decodeOwn([{ ...span({}), links: [{ traceId: '', spanId: '' }] }])
    expect(Buffer.from(found?.links[0]?.traceId ?? '', 'hex').toString()).not.toContain('secret')
  })

  test.each([
    ['before 1970', { startMs: -1 }],
    ['after 2554', { endMs: 1e15 }],
  ])('take a time %s', (_when, times) => {
    expect(() => encodeSpan({ ...span({}), ...times })).not.toThrow()
  })

  test('take a span without a name', () => {
    expect(() => encodeSpan({ ...span({}), name: undefined as never })).not.toThrow()
  })
})

function both(attributes: Attributes): { own: StoredSpan; official: StoredSpan } {
  const source = officialSpan(attributes)
  const [own] = decoded(ownRequest(source))
  const [official] = decoded(ProtobufTraceSerializer.serializeRequest([source]) ?? new Uint8Array())
  if (!own || !official) throw new Error('no span was decoded')
  return { own: comparable(own), official: comparable(official) }
}

/** Without the two bits that say whether the parent was remote, which ours leaves out; the trace state of links has its own test. */
function comparable(span: StoredSpan): StoredSpan {
  const links = span.links.map(({ traceId, spanId, attributes }) => ({ traceId, spanId, attributes }))
  return { ...span, links, flags: span.flags & 0xff }
}

function decodeOwn(spans: readonly SpanData[]): readonly StoredSpan[] {
  return decoded(encodeTraceRequest({}, [{ scope: { name: 'test' }, spans: spans.map(encodeSpan) }]))
}

function decoded(body: Uint8Array): readonly StoredSpan[] {
  const result = decodeTraces(body, 'protobuf')
  if (!result.ok) throw new Error(result.error)
  return result.spans
}

function span(attributes: Attributes): SpanData {
  return { traceId: TRACE_ID, spanId: PARENT_ID, name: 'test', kind: 1, startMs: 1, endMs: 2, attributes }
}
