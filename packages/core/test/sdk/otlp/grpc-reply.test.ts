import { expect, test } from 'vitest'
import { grpcReply } from '../../../src/sdk/otlp/grpc.ts'

const OUT_OF_RANGE = '11'
const RESOURCE_EXHAUSTED = '8'
const NONE = Buffer.alloc(0)

/** As servers in Go, Node, C++, Java, .NET and Rust say it. */
test.each([
  [RESOURCE_EXHAUSTED, 'grpc: received message larger than max (5000000 vs. 4194304)'],
  [RESOURCE_EXHAUSTED, 'grpc: received message after decompression larger than max 4194304'],
  [RESOURCE_EXHAUSTED, 'Received%20message%20larger%20than%20max%20(5000000 vs 4194304)'],
  [RESOURCE_EXHAUSTED, 'CLIENT: Received message larger than max (5000000 vs. 4194304)'],
  [RESOURCE_EXHAUSTED, 'gRPC message exceeds maximum size 4194304: 5000000'],
  [RESOURCE_EXHAUSTED, 'Received message exceeds the maximum configured message size.'],
  [OUT_OF_RANGE, 'Error, decoded message length too large: found 5000000 bytes, the limit is: 4194304 bytes'],
])('a message that is too large is known by what the server says of it: %s %s', (code, message) => {
  const reply = grpcReply({ 'grpc-status': code, 'grpc-message': message }, NONE)
  expect(reply).toEqual({ ok: false, retryable: false, reason: 'grpc_too_large' })
})

test('other trouble by the same codes stays what it was', () => {
  const full = grpcReply({ 'grpc-status': RESOURCE_EXHAUSTED, 'grpc-message': 'quota exceeded' }, NONE)
  expect(full).toEqual({ ok: false, retryable: false, reason: 'grpc_resource_exhausted' })
  expect(grpcReply({ 'grpc-status': OUT_OF_RANGE }, NONE).retryable).toBe(true)
})
