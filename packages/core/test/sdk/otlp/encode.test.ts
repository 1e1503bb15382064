import { afterEach, expect, test } from 'vitest'
import { encodeFields, encodeSpan, encodeSpanField, encodeTraceRequest } from '../../../src/sdk/otlp/encode.ts'
import { otlpJson } from '../../../src/sdk/otlp/otlp-json.ts'
import type { SpanData } from '../../../src/sdk/span-data.ts'

const span = (more: Partial<SpanData> = {}): SpanData => ({
  traceId: 'ab'.repeat(16),
  spanId: 'cd'.repeat(8),
  name: 'a',
  kind: 1,
  startMs: 1,
  endMs: 2,
  attributes: {},
  ...more,
})

const OF_ALL = Object.prototype as Record<string, unknown>
afterEach(() => {
  delete OF_ALL['extend']
})

test('what a library has put on Object.prototype was an attribute of every span', () => {
  OF_ALL['extend'] = 'anything'
  const spans = [encodeSpan(span({ attributes: { own: 'yes' } }))]
  const text = otlpJson(encodeTraceRequest({ 'service.name': 'shop' }, [{ scope: { name: 's' }, spans }]))
  expect(text).toContain('"own"')
  expect(text).not.toContain('extend')
})

interface Told {
  readonly traceId: string
  readonly spanId: string
  readonly parentSpanId: string
  readonly name: string
  readonly startTimeUnixNano: string
  readonly endTimeUnixNano: string
}
/** As a collector reads them. */
function told(...spans: SpanData[]): Told[] {
  const bytes = Buffer.concat(
    encodeFields(
      { 'service.name': 'shop' },
      spans.map((span) => ({ scope: { name: 's' }, fields: [Buffer.from(encodeSpanField(span))] })),
    ),
  )
  const { resourceSpans } = JSON.parse(otlpJson(bytes)) as {
    resourceSpans: { scopeSpans: { spans: Told[] }[] }[]
  }
  return resourceSpans.flatMap(({ scopeSpans }) => scopeSpans.flatMap((scope) => scope.spans))
}
test('a span is whole however many bytes its length takes', () => {
  for (const characters of [
    0, 60, 61, 62, 63, 64, 65, 66, 70, 16_300, 16_318, 16_319, 16_320, 16_330, 2_097_100, 2_097_200,
  ]) {
    const name = 'n'.repeat(characters)
    expect(told(span({ name, attributes: { 'url.path': '/é' } }), span()).map((each) => each.name.length)).toEqual([
      characters,
      1,
    ])
  }
})

test('the ids of spans that follow each other are their own', () => {
  const [a, b, none] = ['ab'.repeat(8), '12'.repeat(8), 'zz'.repeat(8)]
  const ids = [
    [a + a, a],
    [a + a, b],
    [a + b, b],
    [a + a, undefined],
    [none + none, none],
    [none + none, none],
    ['short', a],
    [a + a, a],
  ] as const
  const expected = ids.map(([traceId, parent]) => [
    traceId.startsWith('zz') ? '0'.repeat(32) : traceId === 'short' ? '' : traceId,
    parent === none ? '0'.repeat(16) : (parent ?? ''),
  ])
  const spans = ids.map(([traceId, parentSpanId]) => span({ traceId, parentSpanId }))
  expect(told(...spans).map((each) => [each.traceId, each.parentSpanId ?? ''])).toEqual(expected)
})

test('times are exact to the microsecond, also where the second, the carry or the century changes', () => {
  const times = [
    0, 1, 999.999, 1_000, 4_294.967_295, 4_294.967_3, 1_764_220_000_000, 1_764_220_000_999.5, 4_102_444_800_123,
  ]
  for (const [i, startMs] of times.entries()) {
    const endMs = times[(i + 3) % times.length]!
    const [one] = told(span({ startMs, endMs }))
    const micros = [one!.startTimeUnixNano, one!.endTimeUnixNano].map((nanos) => Number((BigInt(nanos) + 500n) / 1000n))
    expect(micros).toEqual([Math.round(startMs * 1000), Math.round(endMs * 1000)])
  }
})
