import { describe, expect, test } from 'vitest'
import { allAnswered, judge } from '../src/verdict.ts'
import { checkState, snapshotOf, unanswered } from './check-state.ts'

const broken = checkState({ name: 'db', status: 'fail', code: 'timeout' })
const fine = checkState({ name: 'cache' })

describe.for(['readyz', 'health'] as const)('%s', (endpoint) => {
  test('is well when all pass, and when there is nothing to ask', () => {
    expect(judge(endpoint, snapshotOf([fine]))).toMatchObject({ ok: true, status: 'pass' })
    expect(judge(endpoint, snapshotOf([]))).toMatchObject({ ok: true, status: 'pass' })
  })
  test('fails with one required check', () => {
    expect(judge(endpoint, snapshotOf([fine, broken]))).toMatchObject({ ok: false, status: 'fail' })
  })
  test('only warns with an optional one, also when it hangs', () => {
    const hangs = checkState({ name: 'search', required: false, status: 'fail', code: 'timeout' })
    expect(judge(endpoint, snapshotOf([fine, hangs]))).toMatchObject({ ok: true, status: 'warn' })
  })
  test('a warning is no failure', () => {
    expect(judge(endpoint, snapshotOf([checkState({ name: 'db', status: 'warn' })]))).toMatchObject({
      ok: true,
      status: 'warn',
    })
  })
  test('leaves out what is excluded', () => {
    const verdict = judge(endpoint, snapshotOf([fine, broken]), { exclude: new Set(['db']) })
    expect(verdict).toMatchObject({ ok: true, status: 'pass' })
    expect(verdict.checks.map(({ excluded }) => excluded)).toEqual([false, true])
  })
  test('a stale snapshot vouches for nothing', () => {
    expect(judge(endpoint, snapshotOf([fine]), { stale: true })).toMatchObject({ ok: false, code: 'stale' })
  })
  test('before the gate has been passed, and before the first snapshot, it is starting', () => {
    expect(judge(endpoint, snapshotOf([fine], false))).toMatchObject({ ok: false, code: 'starting' })
    expect(judge(endpoint, undefined)).toMatchObject({ ok: false, code: 'starting', checks: [] })
  })
  test('a check that comes later and has no result yet changes nothing', () => {
    expect(judge(endpoint, snapshotOf([fine, unanswered({ name: 'db' })]))).toMatchObject({ ok: true, status: 'pass' })
  })
})

describe('startupz', () => {
  test('waits for answers, not for good ones', () => {
    expect(judge('startupz', snapshotOf([broken]))).toMatchObject({ ok: true })
    const waiting = judge('startupz', snapshotOf([fine, unanswered({ name: 'db' })], false))
    expect(waiting).toMatchObject({ ok: false, code: 'starting' })
    expect(waiting.checks.map(({ state }) => state.name)).toEqual(['db'])
  })
  test('is not turned by a stale snapshot', () => {
    expect(judge('startupz', snapshotOf([fine]), { stale: true })).toMatchObject({ ok: true })
  })
})

test('the gate waits for required checks alone', () => {
  expect(allAnswered([fine, unanswered({ name: 'memory', required: false })])).toBe(true)
  expect(allAnswered([fine, unanswered({ name: 'db' })])).toBe(false)
})
