import { expect, test } from 'vitest'
import { decodeRequest, decodeResponse, encodeList, encodeRequest, encodeResponse, SERVING } from '../src/grpc-wire.ts'

test('requests and responses are those of grpc.health.v1', () => {
  expect(encodeRequest('').toString('hex')).toBe('')
  expect(encodeRequest('a.B').toString('hex')).toBe('0a03612e42')
  const long = 'a'.repeat(200)
  expect(encodeRequest(long).subarray(0, 3).toString('hex')).toBe('0ac801')
  for (const name of ['', 'a.B', 'ünï', long]) expect(decodeRequest(encodeRequest(name))).toBe(name)
  expect(encodeResponse(SERVING.notServing).toString('hex')).toBe('0802')
  for (const status of Object.values(SERVING)) expect(decodeResponse(encodeResponse(status))).toBe(status)
  expect(encodeList(new Map([['a', SERVING.serving]])).toString('hex')).toBe('0a070a016112020801')
})

test('fields that are not known are passed over, and nonsense is no name and no status', () => {
  expect(decodeResponse(Buffer.from('12020a000801', 'hex'))).toBe(SERVING.serving)
  expect(decodeResponse(Buffer.from('0809', 'hex'))).toBe(SERVING.unknown)
  for (const bytes of ['0a', '0aff', 'ffffffffffffffffff', '0d01020304', '08'])
    expect([decodeRequest(Buffer.from(bytes, 'hex')), decodeResponse(Buffer.from(bytes, 'hex'))]).toEqual(['', 0])
})
