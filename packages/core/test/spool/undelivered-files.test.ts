import { chmodSync, mkdirSync, readdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterEach, expect, test, vi } from 'vitest'
import { encodeSpan, encodeTraceRequest } from '../../src/sdk/otlp/encode.ts'
import { forwardLeft } from '../../src/sdk/otlp/left-exports.ts'
import { OTLP_KIND } from '../../src/sdk/span-data.ts'
import { createUndelivered, type UndeliveredSettings } from '../../src/spool/undelivered-files.ts'
import { tempDir } from '../../../testing/src/temp-dir.ts'

afterEach(() => vi.useRealTimers())

function setUp(more: Partial<UndeliveredSettings> = {}) {
  const dropped: number[] = []
  const settings = {
    dir: tempDir('undelivered'),
    collector: 'one',
    maxBytes: 1_000,
    onDropped: (spans: number) => dropped.push(spans),
    onNoRoom() {},
    ...more,
  }
  return { settings, dropped, one: createUndelivered(settings), other: createUndelivered(settings) }
}
const OTHERS = { spans: 2, isErrors: false }
const ERRORS = { spans: 1, isErrors: true }
function texts(taken: readonly { readonly request: Uint8Array }[]): string[] {
  return taken.map(({ request }) => Buffer.from(request).toString())
}

test('what one process leaves another one takes, errors first, and it is nobody else’s meanwhile', () => {
  const { one, other } = setUp()
  expect([one.keep(Buffer.from('ok'), OTHERS), one.keep(Buffer.from('bad'), ERRORS)]).toEqual([true, true])
  const taken = other.take(1_000)
  expect([texts(taken), taken.map(({ spans }) => spans)]).toEqual([
    ['bad', 'ok'],
    [1, 2],
  ])
  expect(one.take(1_000)).toEqual([])
  taken[0]!.remove()
  taken[1]!.giveBack()
  expect(texts(one.take(1_000))).toEqual(['ok'])
})

test('no more is taken than is wanted', () => {
  const { one, other } = setUp()
  one.keep(Buffer.alloc(600), OTHERS)
  one.keep(Buffer.alloc(300), ERRORS)
  expect(other.take(500).map(({ request }) => request.length)).toEqual([300])
})

test('whoever dies with what it has taken, or before it has written all, costs only time', () => {
  const { one, other, settings } = setUp()
  one.keep(Buffer.from('ok'), OTHERS)
  expect(texts(one.take(1_000))).toEqual(['ok'])
  writeFileSync(join(settings.dir, 'undelivered/one', 'k.1.2.others.otlp.new'), 'o')
  vi.useFakeTimers({ toFake: ['Date'] })
  vi.setSystemTime(Date.now() + 59_000)
  expect(other.take(1_000)).toEqual([])
  vi.setSystemTime(Date.now() + 2_000)
  const taken = other.take(1_000)
  expect(texts(taken)).toEqual(['ok'])
  taken[0]!.remove()
  expect(readdirSync(join(settings.dir, 'undelivered/one'))).toEqual([])
})

test('what is meant for one collector is no other’s', () => {
  const { one, settings } = setUp()
  one.keep(Buffer.from('ok'), OTHERS)
  expect(createUndelivered({ ...settings, collector: 'two' }).take(1_000)).toEqual([])
})

test('of too much, what is no error goes first, and it is counted', () => {
  const { one, other, dropped } = setUp()
  one.keep(Buffer.alloc(400, 'e'), ERRORS)
  one.keep(Buffer.alloc(500, 'o'), OTHERS)
  expect(one.keep(Buffer.alloc(400, 'f'), ERRORS)).toBe(true)
  expect(one.keep(Buffer.alloc(400, 'p'), OTHERS)).toBe(false)
  expect(dropped).toEqual([2])
  expect(
    texts(other.take(1_000))
      .map((text) => text[0])
      .sort(),
  ).toEqual(['e', 'f'])
})

test('a folder into which others may write is neither written nor read', () => {
  const { one, other, settings } = setUp()
  one.keep(Buffer.from('ok'), OTHERS)
  chmodSync(settings.dir, 0o777)
  expect([one.keep(Buffer.from('more'), OTHERS), other.take(1_000)]).toEqual([false, []])
})

test('where a file stands in the way of the folder, nothing is thrown', () => {
  const { one, settings } = setUp()
  mkdirSync(settings.dir, { recursive: true })
  writeFileSync(join(settings.dir, 'undelivered'), '')
  expect([one.keep(Buffer.from('ok'), OTHERS), one.take(1_000)]).toEqual([false, []])
})

test('of what is sent in parts, since it is too large, all was sent again where the collector went away on the way', async () => {
  const { one, other } = setUp({ maxBytes: 10_000 })
  const spans = Array.from({ length: 8 }, (_, n) => {
    const ids = { traceId: '1'.padStart(32, '0'), spanId: String(n).padStart(16, '0') }
    return encodeSpan({ ...ids, name: 'x', kind: OTLP_KIND.client, startMs: 1, endMs: 2, attributes: {} })
  })
  one.keep(encodeTraceRequest({}, [{ scope: { name: 'a' }, spans }]), { spans: 8, isErrors: true })
  const sent: number[] = []
  let asked = 0
  const forwarding = forwardLeft({
    undelivered: other,
    settings: { url: 'http://collector', headers: {}, timeoutMs: 1, compression: 'none' },
    onSent: (count) => sent.push(count),
    onRefused() {},
    // Halves are taken: the first one.
    post: async () => {
      const reason = ['http_413', 'ok', 'http_503'][asked++]!
      return { ok: reason === 'ok', retryable: reason === 'http_503', reason }
    },
  })
  forwarding.isDelivering()
  await vi.waitUntil(() => asked === 3)
  expect(sent).toEqual([4])
  expect(other.take(10_000).map(({ spans, isErrors }) => [spans, isErrors])).toEqual([[4, true]])
})
