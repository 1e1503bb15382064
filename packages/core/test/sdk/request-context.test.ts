import { createContextKey, INVALID_SPAN_CONTEXT, ROOT_CONTEXT, trace, type Context } from '@opentelemetry/api'
import { expect, test } from 'vitest'
import type { RequestRecord } from '../../src/http/request-record.ts'
import { RequestContext, withValue } from '../../src/sdk/request-context.ts'

const [A, B, C, D, E, F] = 'ABCDEF'.split('').map(createContextKey) as [symbol, symbol, symbol, symbol, symbol, symbol]
const span = trace.wrapSpanContext(INVALID_SPAN_CONTEXT)
const HOUR = 3_600_000
const OF_REQUEST = new RequestContext(ROOT_CONTEXT.setValue(A, 'root'), span, { promised: 0 } as RequestRecord)

test('a request that goes on from span to span for hours overflowed the stack, and kept every one of them', () => {
  let active: Context = OF_REQUEST
  for (let i = 0; i < 50_000; i++) {
    active = trace.setSpan(active, span)
    if (i % 2 === 0) active = active.setValue(B, i).deleteValue(C)
  }
  expect(active.getValue(B)).toBe(49_998)
  expect(active.getValue(A)).toBe('root')
  expect(trace.getSpan(active)).toBe(span)
})

test('values of a context stand over those below, however many there are, and no context is changed by another', () => {
  const steps: Context[] = [OF_REQUEST]
  for (const [i, key] of [A, B, C, D, E, F, B, A].entries()) steps.push(withValue(steps.at(-1)!, key, i))
  const last = steps.at(-1)!
  expect([A, B, C, D, E, F].map((key) => last.getValue(key))).toEqual([7, 6, 2, 3, 4, 5])
  expect([A, B, C, D, E, F].map((key) => steps[6]!.getValue(key))).toEqual([0, 1, 2, 3, 4, 5])
  expect([A, B, C].map((key) => last.deleteValue(B).getValue(key))).toEqual([7, undefined, 2])
  expect([A, B, C].map((key) => OF_REQUEST.getValue(key))).toEqual(['root', undefined, undefined])
})

test('a loop that a request has started went on in its trace for as long as the process lived', () => {
  let at = 1
  const record = { promised: 0, ended: false } as RequestRecord
  const ofRequest = new RequestContext(ROOT_CONTEXT.setValue(A, 'root'), span, record, () => at)
  const values = (): unknown[] => [trace.getSpan(ofRequest), ofRequest.getValue(A)]
  at += 10 * HOUR
  expect(values()).toEqual([span, 'root']) // it is still in flight
  record.ended = true
  expect(values()).toEqual([span, 'root'])
  at += HOUR
  expect(values()).toEqual([span, 'root'])
  at += 1
  expect(values()).toEqual([undefined, undefined])
})
