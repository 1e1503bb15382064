import { defaultTextMapGetter, defaultTextMapSetter, ROOT_CONTEXT, trace, type SpanContext } from '@opentelemetry/api'
import { describe, expect, test } from 'vitest'
import { createB3Propagator } from '../../src/sdk/b3-propagator.ts'

const ID = '463ac35c9f6413ad48485a3953bb6124'
const SPAN = '0020000000000001'
const single = createB3Propagator('single')
const multi = createB3Propagator('multi')

function extracted(headers: Record<string, string>): SpanContext | undefined {
  return trace.getSpanContext(single.extract(ROOT_CONTEXT, headers, defaultTextMapGetter))
}

describe('what is read', () => {
  test.for<[string, Record<string, string>, string, number]>([
    ['one header', { b3: `${ID}-${SPAN}-1` }, ID, 1],
    ['with the parent', { b3: `${ID}-${SPAN}-1-05e3ac9a4f6e3b90` }, ID, 1],
    ['not sampled', { b3: `${ID}-${SPAN}-0` }, ID, 0],
    ['debug', { b3: `${ID}-${SPAN}-d` }, ID, 1],
    ['nothing said of sampling', { b3: `${ID}-${SPAN}` }, ID, 1],
    ['upper case and blanks', { b3: ` ${ID.toUpperCase()}-${SPAN}-1 ` }, ID, 1],
    ['64 bits', { b3: `48485a3953bb6124-${SPAN}-1` }, `${'0'.repeat(16)}48485a3953bb6124`, 1],
    ['several headers', { 'x-b3-traceid': ID, 'x-b3-spanid': SPAN, 'x-b3-sampled': '0' }, ID, 0],
    ['the old word for not', { 'x-b3-traceid': ID, 'x-b3-spanid': SPAN, 'x-b3-sampled': 'false' }, ID, 0],
    ['debug by a flag', { 'x-b3-traceid': ID, 'x-b3-spanid': SPAN, 'x-b3-sampled': '0', 'x-b3-flags': '1' }, ID, 1],
  ])('%s', ([, headers, traceId, traceFlags]) => {
    expect(extracted(headers)).toEqual({ traceId, spanId: SPAN, traceFlags, isRemote: true })
  })
  test.for<Record<string, string>>([
    {},
    { b3: '0' },
    { b3: `${ID}-${SPAN}-1-` },
    { b3: `${ID}-${'0'.repeat(16)}-1` },
    { b3: `${'0'.repeat(32)}-${SPAN}-1` },
    { b3: `${ID}x-${SPAN}-1` },
    { 'x-b3-traceid': ID },
    { 'x-b3-traceid': ID, 'x-b3-spanid': 'no' },
  ])('nothing of %j', (headers) => {
    expect(extracted(headers)).toBeUndefined()
  })
})

test('what is written', () => {
  const context = trace.setSpanContext(ROOT_CONTEXT, { traceId: ID, spanId: SPAN, traceFlags: 1 })
  const carriers: Record<string, string>[] = [{}, {}, {}]
  single.inject(context, carriers[0], defaultTextMapSetter)
  multi.inject(context, carriers[1], defaultTextMapSetter)
  multi.inject(ROOT_CONTEXT, carriers[2], defaultTextMapSetter)
  expect(carriers).toEqual([
    { b3: `${ID}-${SPAN}-1` },
    { 'x-b3-traceid': ID, 'x-b3-spanid': SPAN, 'x-b3-sampled': '1' },
    {},
  ])
  expect([Object.keys(carriers[0]!), Object.keys(carriers[1]!)]).toEqual([single.fields(), multi.fields()])
})
