import { MeterProvider } from '@opentelemetry/sdk-metrics'
import { expect, test } from 'vitest'
import { guardedMeter } from '../../src/metrics/guarded-meter.ts'

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
