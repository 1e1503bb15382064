import { expect, test } from 'vitest'
import { partialSuccess } from '../../../src/sdk/otlp/partial-success.ts'

const PROTOBUF = 'application/x-protobuf'
/** partial_success: rejected_spans 300, error_message 'old' */
const REJECTED = Buffer.from([0x0a, 8, 0x08, 0xac, 0x02, 0x12, 3, ...Buffer.from('old')])

test('spans that were not taken are read from protobuf and from JSON', () => {
  expect(partialSuccess(PROTOBUF, REJECTED)).toEqual({ rejected: 300, message: 'old' })
  const json = { partialSuccess: { rejectedSpans: '7', errorMessage: 'new' } }
  expect(partialSuccess('application/json', Buffer.from(JSON.stringify(json)))).toEqual({
    rejected: 7,
    message: 'new',
  })
})

test('an answer that says nothing, or nothing that can be read, counts as taken', () => {
  for (const body of [[], [0x0a, 0], [0x0a, 200], [0xff, 0xff], [...Buffer.from('ok')], [0x0a, 2, 0x08, 0]])
    expect(partialSuccess(PROTOBUF, Buffer.from(body))).toEqual({})
  for (const text of ['{}', 'null', '[', '{"partialSuccess":{"rejectedSpans":"many"}}'])
    expect(partialSuccess('application/json', Buffer.from(text))).toEqual({})
})

test('no damage makes it throw', () => {
  for (let at = 0; at < REJECTED.length; at++)
    for (let value = 0; value < 256; value++) {
      const damaged = Buffer.from(REJECTED)
      damaged[at] = value
      expect(() => partialSuccess(PROTOBUF, damaged)).not.toThrow()
    }
})
