import { ROOT_CONTEXT, trace, TraceFlags, type Context, type Meter } from '@opentelemetry/api'
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest'
import type { Exemplar } from '../../src/contracts/service.ts'
import { guardedMeter } from '../../src/metrics/guarded-meter.ts'
import { createLastMeasured } from '../../src/metrics/last-measured.ts'
import { createOtelMetrics } from '../../src/metrics/otel-bridge.ts'

type Otel = ReturnType<typeof createOtelMetrics>
let otel: Otel
let meter: Meter
afterEach(() => {
  vi.restoreAllMocks()
})
beforeEach(() => {
  ;({ otel, meter } = meters())
})

function meters(push?: { readonly temporality: 'cumulative' | 'delta'; readonly isExponential: boolean }): {
  readonly otel: Otel
  readonly meter: Meter
} {
  const lastMeasured = createLastMeasured()
  const otel = createOtelMetrics({}, { push, lastMeasured })
  const watch = lastMeasured.watch.bind(undefined, { name: 'shop', version: '1' })
  return { otel, meter: guardedMeter(() => otel.provider.getMeter('shop', '1'), { onTrouble() {}, watch }) }
}

/** A trace that is all of one digit. */
function within(digit: string, traceFlags = TraceFlags.SAMPLED): Context {
  return trace.setSpanContext(ROOT_CONTEXT, { traceId: digit.repeat(32), spanId: digit.repeat(16), traceFlags })
}
const of = (digit: string, value: number): object => ({
  labels: { trace_id: digit.repeat(32), span_id: digit.repeat(16) },
  value,
})

describe('the exemplar', () => {
  test('of a bucket is the newest of a sampled trace', async () => {
    const price = meter.createHistogram('price', { advice: { explicitBucketBoundaries: [10, 100] } })
    price.record(5, {}, within('1'))
    price.record(5, {}, within('2'))
    price.record(5, {}, within('3', TraceFlags.NONE))
    price.record(5)
    price.record(1_000, {}, within('4'))
    expect(await exemplars()).toMatchObject([[of('2', 5), undefined, of('4', 1_000)]])
  })

  test('of a counter is of its own series, also where others are busier', async () => {
    const orders = meter.createCounter('orders')
    orders.add(1, { kind: 'book', size: 2 }, within('1'))
    for (let i = 0; i < 20; i++) orders.add(1, { kind: 'pen' }, within('2'))
    orders.add(1, { kind: 'map' })
    expect(await exemplars()).toMatchObject([of('1', 1), of('2', 1), undefined])
  })

  test('of a few slow values outlives many fast ones', async () => {
    const time = meter.createHistogram('time', { advice: { explicitBucketBoundaries: [0.01, 1] } })
    time.record(20, {}, within('1'))
    for (let i = 0; i < 10_000; i++) time.record(0.001 + (i % 9) / 1_000, {}, within('2'))
    expect(await exemplars()).toMatchObject([[of('2', expect.any(Number) as never), undefined, of('1', 20)]])
  })

  test('is none of a value that is refused, nor of attributes that nobody can read', async () => {
    const orders = meter.createCounter('orders')
    orders.add(1)
    orders.add(-1, {}, within('1'))
    orders.add(Number.NaN, {}, within('1'))
    orders.add(1, { big: 1n } as never, within('1'))
    orders.add(1, {}, 'no context' as never)
    expect(await exemplars()).toEqual([undefined])
  })
})

describe.each([
  ['cumulative', false],
  ['cumulative', true],
  ['delta', false],
  ['delta', true],
] as const)('pushed, %s, exponential: %s', (temporality, isExponential) => {
  test('the exemplar goes along, with deltas once', async () => {
    // The SDK's clock, which a step of the wall clock does not move.
    vi.spyOn(Date, 'now').mockImplementation(() => performance.timeOrigin + performance.now())
    const { otel, meter } = meters({ temporality, isExponential })
    meter.createHistogram('price').record(5, {}, within('1'))
    const told = { traceId: '1'.repeat(32), spanId: '1'.repeat(16), value: 5 }
    expect(points(await otel.pushed!.collect())).toMatchObject([{ exemplars: [told] }])
    const then = Date.now()
    await vi.waitUntil(() => Date.now() > then + 1)
    meter.createHistogram('price').record(5, {})
    const later = points(otel.pushed!.collectNow()) as { exemplars: object[] }[]
    expect(later[0]!.exemplars).toMatchObject(temporality === 'delta' ? [] : [told])
  })
})

function points(scopes: Awaited<ReturnType<NonNullable<Otel['pushed']>['collect']>>): readonly unknown[] {
  return scopes.flatMap(({ metrics }) => metrics.flatMap(({ dataPoints }) => dataPoints as readonly unknown[]))
}

/** Of a counter's series one each, of a histogram's by bucket. */
async function exemplars(): Promise<unknown[]> {
  const families = await otel.collect()
  const samples = families.flatMap(
    (family) => family.samples as readonly { exemplar?: Exemplar; exemplars?: readonly (Exemplar | undefined)[] }[],
  )
  return samples.map(({ exemplar, exemplars }) => exemplars ?? exemplar)
}
