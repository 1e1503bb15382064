import { expect, test } from 'vitest'
import { Refusals, withRefusal } from '../src/refusals.ts'

const WELL = { status: 'pass' } as const

function told(codes: readonly string[], isAlone = true): unknown {
  const refusals = new Refusals()
  for (const code of codes) refusals.failed(code, 'INSERT', 0)
  const { status, code } = withRefusal(WELL, refusals.lately(1), isAlone)
  return [status, code]
}

test.for<[readonly string[], readonly (string | undefined)[]]>([
  [['disk_full'], ['warn', 'disk_full']],
  [
    ['disk_full', 'disk_full'],
    ['fail', 'disk_full'],
  ],
  [['no_permission'], ['warn', 'no_permission']],
  // Another transaction that was in the way once is nothing; one that does not end is.
  [['lock_timeout'], ['pass', undefined]],
  [
    ['lock_timeout', 'lock_timeout'],
    ['warn', 'lock_timeout'],
  ],
  [
    ['55P03', '55P03'],
    ['warn', '55P03'],
  ],
  [
    ['23505', '23505'],
    ['pass', undefined],
  ],
])('refusals %j of a server that answers are %j', ([codes, result]) => {
  expect(told(codes)).toEqual(result)
})

test('with several clients nobody knows whose server it was: a warning', () => {
  expect(told(['disk_full', 'disk_full'], false)).toEqual(['warn', 'disk_full'])
})
