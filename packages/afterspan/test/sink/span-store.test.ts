import { describe, expect, test } from 'vitest'
import { createSpanStore } from '../../src/sink/span-store.ts'
import type { StoredSpan } from '../../src/sink/stored-span.ts'
import { stored } from './sample-spans.ts'

const trace = (n: number): string => `${n}`.padStart(32, '0')
const inTrace = (n: number, id: string, over: Partial<StoredSpan> = {}): StoredSpan =>
  stored(id, { traceId: trace(n), ...over })

describe('a span store', () => {
  test('gives spans by trace, in order of arrival', () => {
    const store = createSpanStore()
    for (const span of [inTrace(1, 'a'), inTrace(2, 'b'), inTrace(1, 'c', { startMs: 0 })]) store.add(span)
    expect(store.trace(trace(1)).map((s) => s.name)).toStrictEqual(['a', 'c'])
    expect(store.trace(trace(3))).toStrictEqual([])
    expect(store.spans().map((s) => s.name)).toStrictEqual(['a', 'c', 'b'])
    const newest = (most: number) => store.newestTraces(most).map((spans) => spans.map((s) => s.name))
    expect(newest(1)).toStrictEqual([['b']])
    expect(newest(5)).toStrictEqual([['b'], ['a', 'c']])
  })

  test('merges a resend, also when its attributes come in another order', () => {
    const store = createSpanStore()
    const attributes = { n: 5n, list: [1, Number.NaN], bytes: new Uint8Array([1]), map: { x: 1, y: null } }
    const again = { map: { y: null, x: 1 }, bytes: new Uint8Array([1]), list: [1, Number.NaN], n: 5n }
    expect(store.add(inTrace(1, 'a', { attributes }))).toMatchObject({ name: 'a' })
    expect(store.add(inTrace(1, 'a', { attributes: again }))).toBeUndefined()
    expect(store.add(inTrace(1, 'a', { attributes }))).toBeUndefined()
    expect(store.spans()).toHaveLength(1)
    expect(store.counts()).toStrictEqual({ spans: 1, traces: 1, merged: 2, evicted: 0, refused: 0 })
  })

  test.each([
    ['its end', { endMs: 2000 }],
    ['its name', { name: 'other' }],
    ['the type of a value', { attributes: { a: '1' } }],
    ['the resource', { service: 'worker' }],
    ['its scope', { scope: { name: 'other' } }],
    ['an event', { events: [{ name: 'e', atMs: 1, attributes: {} }] }],
  ])('keeps a span with a known id that differs in %s, and marks it', (_what, over) => {
    const store = createSpanStore()
    const first = stored('a', { attributes: { a: 1 } })
    const other = stored('a', { attributes: { a: 1 }, ...over })
    store.add(first)
    expect(store.add(other)).toStrictEqual({ ...other, duplicateId: true })
    expect(store.add(other)).toBeUndefined()
    expect(store.add(first)).toBeUndefined()
    expect(store.spans()).toStrictEqual([first, { ...other, duplicateId: true }])
  })

  test('tells big integers apart that are one double', () => {
    const store = createSpanStore()
    for (const big of [2n ** 60n, 2n ** 60n + 1n, 2n ** 60n]) store.add(stored('a', { attributes: { big } }))
    expect(store.counts()).toMatchObject({ spans: 2, merged: 1 })
  })

  test('the same span id in another trace is another span', () => {
    const store = createSpanStore()
    store.add(inTrace(1, 'a'))
    expect(store.add(inTrace(2, 'a'))).toStrictEqual(inTrace(2, 'a'))
  })

  test('lets the oldest trace go first, whole, and counts its spans', () => {
    const store = createSpanStore({ maxSpans: 4 })
    for (const [n, id] of [
      [1, 'a'],
      [1, 'b'],
      [2, 'c'],
      [3, 'd'],
    ] as const)
      store.add(inTrace(n, id))
    store.add(inTrace(2, 'e'))
    expect(store.spans().map((s) => s.name)).toStrictEqual(['c', 'e', 'd'])
    expect(store.counts()).toStrictEqual({ spans: 3, traces: 2, merged: 0, evicted: 2, refused: 0 })
  })

  test('does not let a trace push itself out: its further spans are refused and counted', () => {
    const store = createSpanStore({ maxSpans: 2 })
    for (const id of ['a', 'b', 'c', 'd']) store.add(inTrace(1, id))
    expect(store.spans().map((s) => s.name)).toStrictEqual(['a', 'b'])
    expect(store.counts()).toMatchObject({ refused: 2, evicted: 0 })
    expect(store.add(inTrace(2, 'e'))).toBeDefined()
    expect(store.counts()).toMatchObject({ spans: 1, evicted: 2 })
  })

  test('is bounded by bytes too, wherever in the span they are', () => {
    const big = 'x'.repeat(10_000)
    for (const over of [
      { name: big },
      { attributes: { big } },
      { attributes: { big: { deep: [new Uint8Array(10_000)] } } },
      { events: [{ name: big, atMs: 1, attributes: {} }] },
      { links: [{ traceId: '', spanId: '', attributes: { big } }] },
    ]) {
      const store = createSpanStore({ maxBytes: 25_000 })
      for (const n of [1, 2, 3]) store.add(inTrace(n, 'a', over))
      expect(store.counts()).toMatchObject({ spans: 2, evicted: 1 })
    }
  })

  test('forgets on clear, also how full it was', () => {
    const store = createSpanStore({ maxSpans: 1 })
    store.add(inTrace(1, 'a'))
    store.clear()
    expect(store.spans()).toStrictEqual([])
    expect(store.add(inTrace(1, 'a'))).toStrictEqual(inTrace(1, 'a'))
    expect(store.counts()).toMatchObject({ merged: 0, evicted: 0, refused: 0 })
  })

  test('what it gives can be changed without changing the store', () => {
    const store = createSpanStore()
    store.add(inTrace(1, 'a'))
    for (const list of [store.spans(), store.trace(trace(1)), store.newestTraces(1)[0]]) (list as StoredSpan[]).pop()
    expect(store.spans()).toHaveLength(1)
  })
})
