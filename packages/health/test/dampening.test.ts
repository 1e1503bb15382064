import type { EpochMs, ProbeStatus } from '@afterspan/core/internal'
import { expect, test } from 'vitest'
import { DEFAULT_RULES, dampen, type Dampened, type DampeningRules } from '../src/dampening.ts'

const AT_ONCE: DampeningRules = { ...DEFAULT_RULES, dwellMs: 0 }

/** One result a second; the status after each. */
function statuses(results: readonly ProbeStatus[], rules: DampeningRules = AT_ONCE): ProbeStatus[] {
  let state: Dampened | undefined
  return results.map((result, i) => {
    state = dampen(state, result, (i * 1000) as EpochMs, rules)
    return state.status
  })
}

test.for(['pass', 'warn', 'fail'] as const)('the first result counts at once: %s', (first) => {
  expect(statuses([first])).toEqual([first])
})

test('one fail is enough to fall, two passes in a row are needed to rise', () => {
  expect(statuses(['pass', 'fail', 'pass', 'fail', 'pass', 'pass'])).toEqual([
    'pass',
    'fail',
    'fail',
    'fail',
    'fail',
    'pass',
  ])
})

test('a warning is soft evidence: it takes two in a row', () => {
  expect(statuses(['pass', 'warn', 'pass', 'warn', 'warn'])).toEqual(['pass', 'pass', 'pass', 'pass', 'warn'])
})

test('with fall 3 two fails only warn, and a pass in between starts the count again', () => {
  const rules = { ...AT_ONCE, fall: 3 }
  expect(statuses(['pass', 'fail', 'fail', 'fail'], rules)).toEqual(['pass', 'pass', 'warn', 'fail'])
  expect(statuses(['pass', 'fail', 'pass', 'fail', 'fail'], rules).at(-1)).toBe('warn')
})

test('a fail that turns into warnings becomes a warning, not a pass', () => {
  expect(statuses(['fail', 'warn', 'warn', 'warn'])).toEqual(['fail', 'fail', 'warn', 'warn'])
})

test('passes and warnings mixed lift a fail to warn only', () => {
  expect(statuses(['fail', 'pass', 'warn', 'pass'])).toEqual(['fail', 'fail', 'warn', 'warn'])
})

test('a bad status stays for the dwell time, and bad news does not wait for it', () => {
  const rules = { ...AT_ONCE, dwellMs: 3500 }
  expect(statuses(['pass', 'fail', 'pass', 'pass', 'pass', 'pass'], rules)).toEqual([
    'pass',
    'fail',
    'fail',
    'fail',
    'fail',
    'pass',
  ])
  expect(statuses(['warn', 'fail'], rules)).toEqual(['warn', 'fail'])
})

test('a wall clock that was set back does not freeze a bad status', () => {
  let state = dampen(undefined, 'fail', 1_000_000 as EpochMs, { ...AT_ONCE, dwellMs: 1000 })
  for (const at of [10, 20]) state = dampen(state, 'pass', at as EpochMs, { ...AT_ONCE, dwellMs: 1000 })
  expect(state.status).toBe('pass')
})

test('since is when the status became what it is', () => {
  let state = dampen(undefined, 'pass', 1 as EpochMs)
  state = dampen(state, 'pass', 2 as EpochMs)
  expect(state.since).toBe(1)
  state = dampen(state, 'fail', 3 as EpochMs)
  state = dampen(state, 'fail', 4 as EpochMs)
  expect(state.since).toBe(3)
})
