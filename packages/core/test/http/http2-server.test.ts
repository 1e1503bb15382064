import { expect, test } from 'vitest'
import { canSeeHttp2 } from '../../src/http/http2-server.ts'
import { streamOutcome } from '../../src/http/outcome.ts'

test.each([
  ['22.15.0', false],
  ['22.16.0', false],
  ['22.17.0', true],
  ['23.11.1', false],
  ['24.1.0', false],
  ['24.2.0', true],
  ['26.10.0', true],
])('Node %s tells of its HTTP/2 streams: %s', (version, can) => {
  expect(canSeeHttp2(version)).toBe(can)
})

test.each([
  [0, true, 'sent', undefined],
  [0, false, 'aborted_by_server', undefined],
  [8, true, 'aborted_by_client', undefined],
  [8, false, 'aborted_by_client', undefined],
  [2, true, 'aborted_by_server', undefined],
  [8, false, 'aborted_by_server', 'app'],
  [8, false, 'timed_out', 'timeout'],
  [2, false, 'aborted_by_client', 'peer'],
  [0, true, 'sent', 'app'],
] as const)('a stream with reset code %i, ended by the app %s, was %s', (code, isEnded, outcome, by) => {
  expect(streamOutcome(code, isEnded, by)).toBe(outcome)
})
