import {
  defaultTextMapGetter,
  defaultTextMapSetter,
  propagation,
  ROOT_CONTEXT,
  trace,
  type SpanContext,
} from '@opentelemetry/api'
import { W3CBaggagePropagator } from '@opentelemetry/core'
import { expect, test } from 'vitest'
import { withLegalBaggage } from '../../src/sdk/legal-baggage.ts'
import { createJaegerPropagator, createXRayPropagator } from '../../src/sdk/other-propagators.ts'

const SPAN = { traceId: 'ab'.repeat(16), spanId: 'cd'.repeat(8), traceFlags: 1 }
const jaeger = createJaegerPropagator()
const xray = createXRayPropagator()

function parentIn(from: typeof jaeger, carrier: Record<string, string>): SpanContext | undefined {
  return trace.getSpanContext(from.extract(ROOT_CONTEXT, carrier, defaultTextMapGetter))
}

test.each([
  ['jaeger', jaeger, { 'uber-trace-id': `${SPAN.traceId}:${SPAN.spanId}:0:01` }],
  ['xray', xray, { 'x-amzn-trace-id': `Root=1-abababab-${'ab'.repeat(12)};Parent=${SPAN.spanId};Sampled=1` }],
])('%s writes what it reads', (_name, propagator, expected) => {
  const carrier: Record<string, string> = {}
  propagator.inject(trace.setSpanContext(ROOT_CONTEXT, SPAN), carrier, defaultTextMapSetter)
  expect(carrier).toEqual(expected)
  expect(parentIn(propagator, carrier)).toEqual({ ...SPAN, isRemote: true })
})

test.each([
  ['1:2:0:1', { traceId: '1'.padStart(32, '0'), spanId: '2'.padStart(16, '0'), traceFlags: 1 }],
  ['abc%3Adef%3A0%3A0', { traceId: 'abc'.padStart(32, '0'), spanId: 'def'.padStart(16, '0'), traceFlags: 0 }],
  ['abc:def:0:3', { traceFlags: 1 }], // debug
])('jaeger reads %s', (header, expected) => {
  expect(parentIn(jaeger, { 'uber-trace-id': header })).toMatchObject(expected)
})

test.each([
  '',
  ':::',
  '0:0:0:1',
  'x:y:0:1',
  '%',
  '%zz:1:0:1',
  `${'a'.repeat(33)}:1:0:1`,
  '1:2:0',
  '1:2:0:zz',
  'a'.repeat(100_000),
])('jaeger takes nothing from %j', (header) => {
  expect(parentIn(jaeger, { 'uber-trace-id': header })).toBeUndefined()
})

test.each([
  '',
  'Root',
  'Root=1-abababab-abababababababababababab',
  `Root=1-abababab-${'ab'.repeat(12)};Parent=${SPAN.spanId};Sampled=?`,
  `Root=1-00000000-${'00'.repeat(12)};Parent=${SPAN.spanId};Sampled=1`,
  `Root=2-abababab-${'ab'.repeat(12)};Parent=${SPAN.spanId};Sampled=1`,
  ';'.repeat(100_000),
])('xray takes nothing from %j', (header) => {
  expect(parentIn(xray, { 'x-amzn-trace-id': header })).toBeUndefined()
})

test('jaeger carries baggage in headers of its own, bounded, and no escape of an outsider throws', () => {
  const many = Object.fromEntries(Array.from({ length: 200 }, (_, n) => [`uberctx-k${n}`, '%']))
  const context = jaeger.extract(ROOT_CONTEXT, { 'uberctx-tenant': 'a%20b', ...many }, defaultTextMapGetter)
  const baggage = propagation.getBaggage(context)!
  expect(baggage.getEntry('tenant')?.value).toBe('a b')
  expect(baggage.getAllEntries()).toHaveLength(64)
  const carrier: Record<string, string> = {}
  jaeger.inject(context, carrier, defaultTextMapSetter)
  expect(carrier['uberctx-tenant']).toBe('a%20b')
})

test("a caller's baggage with the end of a line in a key was headers of its own in what is sent on", () => {
  const inbound = { baggage: 'tenant=acme,x%0D%0AX-Evil:%201=2,%20=3' }
  const from = new W3CBaggagePropagator().extract(ROOT_CONTEXT, inbound, defaultTextMapGetter)
  const carrier: Record<string, string> = {}
  withLegalBaggage(jaeger).inject(from, carrier, defaultTextMapSetter)
  expect(carrier).toEqual({ 'uberctx-tenant': 'acme' })
})
