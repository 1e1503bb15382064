// The independent check of core's encoder of metrics: the same points, written by it and by the official serializer, read by one reader.
import { ProtobufMetricsSerializer } from '@opentelemetry/otlp-transformer'
import { resourceFromAttributes } from '@opentelemetry/resources'
import { ValueType } from '@opentelemetry/api'
import { describe, expect, test } from 'vitest'
import { createOtelMetrics } from '../../../core/src/metrics/otel-bridge.ts'
import { encodeMetrics } from '../../../core/src/metrics/push/encode-metrics.ts'
import type { PushScope, Temporality } from '../../../core/src/metrics/push/metric-data.ts'
import { otlpJson } from '../../../core/src/sdk/otlp/otlp-json.ts'

const RESOURCE = { 'service.name': 'shop', 'process.pid': 7 }

function measured(temporality: Temporality, isExponential: boolean): ReturnType<typeof createOtelMetrics> {
  const otel = createOtelMetrics(RESOURCE, { push: { temporality, isExponential } })
  const meter = otel.provider.getMeter('app', '1.2', { schemaUrl: 'https://example.org/1' })
  meter.createCounter('orders', { unit: '{order}', description: 'Orders.', valueType: ValueType.INT }).add(3, {
    kind: 'book',
    vip: true,
    size: 2.5,
    tags: ['x', 'y'],
  })
  meter.createUpDownCounter('carts').add(-2.5)
  const price = meter.createHistogram('price', { unit: 'EUR' })
  for (const value of [0, 0.001, 12.5, 1e9, 7]) price.record(value, { 'naïve key': 'ключ' })
  meter.createGauge('level').record(-1)
  meter.createObservableCounter('seen').addCallback((result) => result.observe(41))
  const both = meter.createObservableUpDownCounter('both')
  meter.addBatchObservableCallback((result) => result.observe(both, 5, { of: 'a batch' }), [both])
  otel.provider.getMeter('empty')
  return otel
}

const KINDS = [
  ['cumulative', false],
  ['cumulative', true],
  ['delta', false],
  ['delta', true],
  ['lowmemory', false],
] as const

describe.each(KINDS)('%s, exponential: %s', (temporality, isExponential) => {
  test('our encoder and the official one say the same', async () => {
    const scopes = await measured(temporality, isExponential).pushed!.collect()
    const official = ProtobufMetricsSerializer.serializeRequest({
      resource: resourceFromAttributes(RESOURCE),
      scopeMetrics: scopes as never,
    })
    const own = read(encodeMetrics(RESOURCE, scopes))
    expect(own).toStrictEqual(read(official!))
    expect(JSON.stringify(own)).toContain(isExponential ? '"exponentialHistogram"' : '"explicitBounds"')
  })

  test('what is collected at once is what is collected', async () => {
    const waited = await measured(temporality, isExponential).pushed!.collect()
    const atOnce = measured(temporality, isExponential).pushed!.collectNow()
    expect(withoutTimes(atOnce)).toStrictEqual(withoutTimes(waited))
    expect(withoutTimes(atOnce)).toHaveLength(1)
  })
})

test('a callback that throws, or hangs, costs only its own series at the end', () => {
  const { provider, pushed } = createOtelMetrics({}, { push: { temporality: 'cumulative', isExponential: false } })
  const meter = provider.getMeter('app')
  meter.createObservableGauge('throws').addCallback(() => {
    throw new Error('no')
  })
  meter.createObservableGauge('hangs').addCallback(() => new Promise(() => {}))
  meter.createObservableGauge('tells').addCallback((result) => result.observe(1))
  const names = pushed!.collectNow().flatMap(({ metrics }) => metrics.map(({ descriptor }) => descriptor.name))
  expect(names).toEqual(['tells'])
})

function read(body: Uint8Array): unknown {
  const json = otlpJson(Buffer.from(body), 'metrics')
  // A count of none is said by the official serializer, and left out by ours: to protobuf both are the same.
  return JSON.parse(json, (key, value: unknown) => (key === 'droppedAttributesCount' ? undefined : value))
}

function withoutTimes(scopes: readonly PushScope[]): unknown {
  const some = scopes.filter(({ metrics }) => metrics.length > 0)
  return JSON.parse(JSON.stringify(some, (key, value: unknown) => (/^(?:start|end)Time$/.test(key) ? 0 : value)))
}
