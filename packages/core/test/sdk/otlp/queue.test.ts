// Spans on their way out, while the collector is well, away, or refuses. The post is the test's, and so is the disk.
import { afterEach, beforeEach, expect, test, vi } from 'vitest'
import type { SpanSpool } from '../../../src/contracts/span-spool.ts'
import { createMetricRegistry } from '../../../src/metrics/registry.ts'
import { encodeSpanField } from '../../../src/sdk/otlp/encode.ts'
import { SpanQueue, type QueueLimits } from '../../../src/sdk/otlp/queue.ts'
import type { OtlpReply } from '../../../src/sdk/otlp/transport.ts'
import { OTLP_KIND } from '../../../src/sdk/span-data.ts'
import { readProtobufRequest } from '../../../../afterspan/src/sink/otlp-protobuf.ts'

const OK: OtlpReply = { ok: true, retryable: false, reason: 'ok' }
const DOWN: OtlpReply = { ok: false, retryable: true, reason: 'ECONNREFUSED' }
const TOO_LARGE: OtlpReply = { ok: false, retryable: false, reason: 'http_413' }
const LIMITS: QueueLimits = { maxSpans: 4, maxBytes: 1e6, batchSpans: 2, delayMs: 100 }
const SCOPE = { name: 'test' }

beforeEach(() => void vi.useFakeTimers())
afterEach(() => void vi.useRealTimers())

function field(n: number): Uint8Array {
  return encodeSpanField({
    traceId: n.toString(16).padStart(32, '0'),
    spanId: n.toString(16).padStart(16, '0'),
    name: String(n),
    kind: OTLP_KIND.server,
    startMs: 1,
    endMs: 2,
    attributes: {},
  })
}
function namesIn(body: Uint8Array): string[] {
  return readProtobufRequest(Buffer.from(body)).map(({ name }) => name)
}

/** A queue, what its collector got, and its disk: what each file holds, and what became of it. */
function setUp(limits: Partial<QueueLimits> = {}, hasDisk = true) {
  const metrics = createMetricRegistry()
  const got: string[][] = []
  const files: { isErrors: boolean; names: string[]; state: 'live' | 'kept' | 'gone' }[] = []
  const world = { reply: OK, isDiskFull: false, mostSpans: Infinity }
  const queue = new SpanQueue({
    settings: { url: 'http://user:secret@collector/v1/traces', headers: {}, timeoutMs: 1, compression: 'none' },
    resource: { 'service.name': 'shop' },
    limits: { ...LIMITS, ...limits },
    metrics,
    post: async (_, body) => {
      const names = namesIn(Buffer.concat(body as Uint8Array[]))
      got.push(names)
      return names.length > world.mostSpans ? TOO_LARGE : world.reply
    },
  })
  const spool: SpanSpool = {
    begin(isErrors) {
      const file = { isErrors, names: [] as string[], state: 'live' as 'live' | 'kept' | 'gone' }
      return {
        append(request) {
          if (world.isDiskFull) return false
          if (file.names.length === 0) files.push(file)
          file.names.push(...namesIn(request))
          return true
        },
        keep() {
          file.state = 'kept'
          return true
        },
        discard() {
          file.state = 'gone'
        },
      }
    },
  }
  if (hasDisk) queue.keepIn(spool)
  const dropped = async (): Promise<Record<string, number>> => {
    const family = (await metrics.collect()).find(({ name }) => name === 'afterspan_spans_dropped')
    const samples = family!.samples as { labels: Record<string, string>; value: number }[]
    return Object.fromEntries(samples.filter(({ value }) => value > 0).map((s) => [s.labels['reason'], s.value]))
  }
  const kept = (): string[] => files.filter(({ state }) => state === 'kept').flatMap(({ names }) => names)
  return { queue, got, files, world, dropped, kept }
}

test('what was added is on disk when it was written, and goes from there when the collector has it', async () => {
  const { queue, got, files } = setUp({ batchSpans: 10, maxSpans: 10 })
  queue.add(SCOPE, field(1))
  queue.add(SCOPE, field(2), true)
  expect(files).toEqual([])
  expect(queue.write()).toBe(true)
  queue.add(SCOPE, field(3))
  expect(queue.write()).toBe(true)
  expect(files).toEqual([
    { isErrors: false, names: ['1', '3'], state: 'live' },
    { isErrors: true, names: ['2'], state: 'live' },
  ])
  await vi.advanceTimersByTimeAsync(100)
  expect(got).toEqual([['2', '1', '3']])
  expect(files.map(({ state }) => state)).toEqual(['gone', 'gone'])
})

test('spans that no request ends are on disk soon', async () => {
  const { queue, files } = setUp()
  queue.add(SCOPE, field(1))
  await vi.advanceTimersByTimeAsync(50)
  expect(files).toMatchObject([{ names: ['1'] }])
})

test('while the collector is away, what memory has no room for waits on disk alone, and nothing is lost', async () => {
  const { queue, got, world, kept, dropped } = setUp()
  world.reply = DOWN
  for (let n = 1; n <= 11; n++) {
    expect(queue.add(SCOPE, field(n), n % 3 === 0)).toBe(true)
    await vi.advanceTimersByTimeAsync(10)
  }
  expect(kept().length).toBeGreaterThanOrEqual(7)
  got.length = 0
  world.reply = OK
  await vi.advanceTimersByTimeAsync(60_000)
  expect([...kept(), ...got.flat()].map(Number).sort((a, b) => a - b)).toEqual([1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11])
  expect(await dropped()).toEqual({})
})

test('without a disk the newest are dropped and counted, and there is some room left for errors', async () => {
  const { queue, world, dropped } = setUp({}, false)
  world.reply = DOWN
  const taken = [1, 2, 3, 4, 5].map((n) => queue.add(SCOPE, field(n)))
  expect(taken).toEqual([true, true, true, true, false])
  expect([queue.add(SCOPE, field(6), true), queue.add(SCOPE, field(7), true)]).toEqual([true, false])
  expect(await dropped()).toEqual({ queue_full: 2 })
  expect(queue.write()).toBe(false)
})

test('a full disk costs what memory has no room for, and it is counted', async () => {
  const { queue, world, dropped } = setUp()
  world.reply = DOWN
  world.isDiskFull = true
  for (let n = 1; n <= 6; n++) queue.add(SCOPE, field(n))
  expect(Object.keys(await dropped())).toEqual(['spool_full'])
})

test.each([
  ['http_404', ['2'], { rejected: 2 }],
  ['http_500', ['2'], { rejected: 2 }],
  ['http_400', [], { rejected: 3 }],
])(
  'of what is refused for good (%s) errors are left to the patrol, if they may be taken yet',
  async (reason, left, lost) => {
    const { queue, world, kept, dropped } = setUp({ batchSpans: 10, maxSpans: 10 })
    world.reply = { ok: false, retryable: false, reason }
    queue.add(SCOPE, field(1))
    queue.add(SCOPE, field(2), true)
    queue.add(SCOPE, field(3))
    await vi.advanceTimersByTimeAsync(200)
    expect(kept()).toEqual(left)
    expect(await dropped()).toEqual(lost)
  },
)

test('a collector that says when to come again is not asked before', async () => {
  const { queue, got, world } = setUp()
  world.reply = { ok: false, retryable: true, reason: 'http_429', retryAfterMs: 60_000 }
  queue.add(SCOPE, field(1))
  await vi.advanceTimersByTimeAsync(44_000)
  expect(got).toHaveLength(1)
  world.reply = OK
  await vi.advanceTimersByTimeAsync(32_000)
  expect(got).toEqual([['1'], ['1']])
})

test('what a collector takes but in part is counted', async () => {
  const { queue, world, dropped } = setUp({ batchSpans: 10, maxSpans: 10 })
  world.reply = { ...OK, rejected: 2, message: 'too old' }
  for (const n of [1, 2, 3]) queue.add(SCOPE, field(n))
  await vi.advanceTimersByTimeAsync(100)
  expect(await dropped()).toEqual({ partial_success: 2 })
})

test('at the end everything is taken, also what is under way, and is left on disk or not', async () => {
  const { queue, got, files, world } = setUp()
  world.reply = DOWN
  for (const n of [1, 2, 3]) queue.add(SCOPE, field(n))
  expect(got).toEqual([['1', '2']])
  const taken = queue.takeAll()!
  expect(namesIn(taken.body)).toEqual(['1', '2', '3'])
  taken.keep()
  expect(files.map(({ names, state }) => [names, state])).toEqual([
    [['1', '2'], 'kept'],
    [['3'], 'kept'],
  ])
  expect(queue.takeAll()).toBeUndefined()
})

test('a process that ended naturally just after an export had left sent it again: its answer is waited for, for a moment', async () => {
  vi.useRealTimers()
  const holding = (): number => process.getActiveResourcesInfo().filter((kind) => kind === 'Timeout').length
  const before = holding()
  let answer: (reply: OtlpReply) => void = () => {}
  const queue = new SpanQueue({
    settings: { url: 'http://collector/v1/traces', headers: {}, timeoutMs: 1, compression: 'none' },
    resource: {},
    limits: { ...LIMITS, batchSpans: 1 },
    metrics: createMetricRegistry(),
    post: () => new Promise((resolve) => (answer = resolve)),
  })
  queue.add(SCOPE, field(1))
  expect(holding()).toBe(before + 1)
  answer(OK)
  await Promise.resolve()
  expect(holding()).toBe(before)
})

test('an export of large spans was larger than nginx takes before a collector', async () => {
  const sizes: number[] = []
  const queue = new SpanQueue({
    settings: { url: 'http://collector/v1/traces', headers: {}, timeoutMs: 1, compression: 'none' },
    resource: {},
    limits: { ...LIMITS, batchSpans: 512, maxSpans: 512, maxBytes: 32 * 1024 * 1024 },
    metrics: createMetricRegistry(),
    post: async (_, body) => {
      sizes.push((body as Uint8Array[]).reduce((sum, { length }) => sum + length, 0))
      return OK
    },
  })
  const attributes = { query: 'x'.repeat(100_000) }
  for (let n = 1; n <= 40; n++) {
    const traceId = '1'.padStart(32, '0')
    const spanId = String(n).padStart(16, '0')
    const span = { traceId, spanId, name: 'q', kind: OTLP_KIND.client, startMs: 1, endMs: 2, attributes }
    queue.add(SCOPE, encodeSpanField(span))
  }
  await vi.advanceTimersByTimeAsync(60_000)
  expect(sizes.reduce((sum, size) => sum + size, 0)).toBeGreaterThan(4_000_000)
  expect(Math.max(...sizes)).toBeLessThan(1024 * 1024)
})

test('a collector that found an export too large got none of it: it gets it in halves, each span once', async () => {
  const { queue, got, files, world, dropped } = setUp({ batchSpans: 20, maxSpans: 100 })
  world.mostSpans = 3
  for (let n = 1; n <= 20; n++) queue.add(SCOPE, field(n), n === 5)
  await vi.advanceTimersByTimeAsync(1_000)
  const taken = got.filter(({ length }) => length <= 3)
  expect(taken.flat().sort()).toEqual(Array.from({ length: 20 }, (_, i) => String(i + 1)).sort())
  expect(await dropped()).toEqual({})
  expect(files.every(({ state }) => state === 'gone')).toBe(true)
  expect(queue.takeAll()).toBeUndefined()
  // It is known by now how much it takes.
  const asked = got.length
  for (let n = 21; n <= 40; n++) queue.add(SCOPE, field(n))
  await vi.advanceTimersByTimeAsync(1_000)
  expect(got.slice(asked).every(({ length }) => length <= 3)).toBe(true)
  expect(got.slice(asked).flat()).toEqual(Array.from({ length: 20 }, (_, i) => String(i + 21)))
})

test('a collector that takes no span at all is asked a few times, and each is counted', async () => {
  const { queue, got, files, world, dropped } = setUp({ batchSpans: 100, maxSpans: 1_000 })
  world.mostSpans = 0
  for (let n = 101; n <= 300; n++) queue.add(SCOPE, field(n))
  await vi.advanceTimersByTimeAsync(1_000)
  expect(got.length).toBeLessThan(20)
  expect(await dropped()).toEqual({ too_large: 200 })
  expect(files.every(({ state }) => state === 'gone')).toBe(true)
  expect(queue.takeAll()).toBeUndefined()
})

test('halves that wait are on disk, and are all there is', async () => {
  const { queue, got, files, world } = setUp({ batchSpans: 4, maxSpans: 100 })
  world.mostSpans = 2
  for (const n of [1, 2, 3, 4]) queue.add(SCOPE, field(n))
  world.reply = DOWN
  await vi.advanceTimersByTimeAsync(10)
  expect(got).toEqual([
    ['1', '2', '3', '4'],
    ['1', '2'],
  ])
  const live = files.filter(({ state }) => state === 'live').map(({ names }) => names)
  expect(live).toEqual([
    ['1', '2'],
    ['3', '4'],
  ])
  expect(namesIn(queue.takeAll()!.body)).toEqual(['1', '2', '3', '4'])
})
