import { expect, test } from 'vitest'
import { isAtItsEnd } from '../src/natural-end.ts'

const STREAMS = ['TTYWrap', 'PipeWrap', 'PipeWrap']

test.each([
  ['what is asked, and the standard streams', 1, [...STREAMS, 'TCPSocketWrap'], true],
  ['two questions', 2, [...STREAMS, 'TCPSocketWrap', 'TCPSocketWrap'], true],
  ['one over a Unix socket', 1, [...STREAMS, 'PipeWrap'], true],
  ['a socket of the app beside it', 1, [...STREAMS, 'TCPSocketWrap', 'TCPSocketWrap'], false],
  ['a Unix socket of the app beside it', 1, [...STREAMS, 'PipeWrap', 'TCPSocketWrap', 'PipeWrap'], false],
  ['a timer', 1, [...STREAMS, 'TCPSocketWrap', 'Timeout'], false],
  ['a server', 1, [...STREAMS, 'TCPSocketWrap', 'TCPServerWrap'], false],
  ['a file that is read', 1, ['TCPSocketWrap', 'FSReqCallback'], false],
] as const)('a process that is held by %s', (_by, sockets, resources, isAtEnd) => {
  expect(isAtItsEnd(sockets, resources, false)).toBe(isAtEnd)
})

test('a child that listens to its parent is not at its end', () => {
  expect(isAtItsEnd(1, ['TCPSocketWrap'], true)).toBe(false)
})
