import { SpanStatusCode, TraceFlags } from '@opentelemetry/api'
import { expect, test } from 'vitest'
import { RequestSpan } from '../../src/sdk/request-span.ts'
import type { SpanData } from '../../src/sdk/span-data.ts'

const NO_LIMITS = {
  attributes: 128,
  valueLength: Number.POSITIVE_INFINITY,
  events: 128,
  eventAttributes: 128,
  links: 128,
  linkAttributes: 128,
}

function spanThat(work: (span: RequestSpan) => void): SpanData {
  let told: SpanData | undefined
  const span = new RequestSpan({
    context: {
      traceId: '0af7651916cd43dd8448eb211c80319c',
      spanId: 'b7ad6b7169203331',
      traceFlags: TraceFlags.SAMPLED,
    },
    name: 'GET',
    startMs: 1_000,
    attributes: {},
    limits: NO_LIMITS,
    onEnd: (data) => (told = data),
  })
  work(span)
  span.end(1_001)
  return told!
}

test('an error on the span of a request is not taken back by a status that says nothing', () => {
  const { status } = spanThat((span) =>
    span.setStatus({ code: SpanStatusCode.ERROR, message: 'no stock' }).setStatus({ code: SpanStatusCode.UNSET }),
  )
  expect(status).toEqual({ code: 2, message: 'no stock' })
})

test('after Ok the status of a request stays, and an error may become Ok', () => {
  expect(
    spanThat((span) => span.setStatus({ code: SpanStatusCode.OK }).setStatus({ code: SpanStatusCode.ERROR })).status
      ?.code,
  ).toBe(1)
  expect(
    spanThat((span) => span.setStatus({ code: SpanStatusCode.ERROR }).setStatus({ code: SpanStatusCode.OK })).status
      ?.code,
  ).toBe(1)
})
