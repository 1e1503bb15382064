import { MeterProvider } from '@opentelemetry/sdk-metrics'
import { expect, test } from 'vitest'
import { guardedMeter } from '../../src/metrics/guarded-meter.ts'
import { createOtelMetrics } from '../../src/metrics/otel-bridge.ts'

test('a callback that the app was not given threw where it was added', () => {
  const told: unknown[] = []
  const meter = guardedMeter(() => new MeterProvider().getMeter('shop'), {
    onTrouble: (reason, why) => told.push([reason, why]),
  })
  const gauge = meter.createObservableGauge('stock')
  const none = undefined as never
  gauge.addCallback(none)
  gauge.removeCallback(none)
  meter.addBatchObservableCallback(none, [gauge])
  meter.removeBatchObservableCallback(none, [gauge])
  meter.addBatchObservableCallback(() => {}, none)
  meter.removeBatchObservableCallback(() => {}, none)
  expect(told).toEqual([
    ['refused', 'a callback that is no function'],
    ['refused', 'a callback that is no function'],
  ])
})

test('what an app measures with one object for all attributes was counted as its last', async () => {
  const otel = createOtelMetrics({}, {})
  const meter = guardedMeter(() => otel.provider.getMeter('shop'), { onTrouble() {} })
  const attributes = { kind: '' }
  const counter = meter.createCounter('counted')
  for (attributes.kind of ['book', 'pen', 'pen']) counter.add(1, attributes)
  const [one, several] = ['one', 'several'].map((name) => meter.createObservableGauge(name))
  one!.addCallback((result) => {
    for (attributes.kind of ['book', 'pen']) result.observe(1, attributes)
  })
  meter.addBatchObservableCallback(
    (result) => {
      for (attributes.kind of ['book', 'pen']) result.observe(several!, 2, attributes)
    },
    [several!],
  )
  const families = await otel.collect()
  const told = families.flatMap(({ name, samples }) =>
    samples.map((sample) => [name, sample.labels['kind'], (sample as { value?: number }).value]),
  )
  expect(told).toEqual([
    ['counted', 'book', 1],
    ['counted', 'pen', 2],
    ['one', 'book', 1],
    ['one', 'pen', 1],
    ['several', 'book', 2],
    ['several', 'pen', 2],
  ])
})
