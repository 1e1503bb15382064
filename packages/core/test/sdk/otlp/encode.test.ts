import { afterEach, expect, test } from 'vitest'
import { encodeSpan, encodeTraceRequest } from '../../../src/sdk/otlp/encode.ts'
import { otlpJson } from '../../../src/sdk/otlp/otlp-json.ts'

const OF_ALL = Object.prototype as Record<string, unknown>
afterEach(() => {
  delete OF_ALL['extend']
})

test('what a library has put on Object.prototype was an attribute of every span', () => {
  OF_ALL['extend'] = 'anything'
  const span = encodeSpan({
    traceId: 'ab'.repeat(16),
    spanId: 'cd'.repeat(8),
    name: 'a',
    kind: 1,
    startMs: 1,
    endMs: 2,
    attributes: { own: 'yes' },
  })
  const text = otlpJson(encodeTraceRequest({ 'service.name': 'shop' }, [{ scope: { name: 's' }, spans: [span] }]))
  expect(text).toContain('"own"')
  expect(text).not.toContain('extend')
})
