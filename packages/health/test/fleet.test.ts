import { describe, expect, test } from 'vitest'
import { policyOf, sharedPolicies } from '../src/fleet.ts'
import { judge } from '../src/verdict.ts'
import { checkState, snapshotOf } from './check-state.ts'

const { parse } = sharedPolicies('AFTERSPAN_HEALTH_SHARED', '')

test.each([
  ['open', { others: 'open', named: {} }],
  ['redis=open', { others: 'closed', named: { redis: 'open' } }],
  [' redis = open , closed, ', { others: 'closed', named: { redis: 'open' } }],
  ['quorum,redis=open', { others: 'quorum', named: { redis: 'open' } }],
  ['open,orders-db=closed', { others: 'open', named: { 'orders-db': 'closed' } }],
])('%s', (raw, expected) => {
  expect(parse(raw)).toEqual(expected)
})

test.each(['opened', 'open,closed', 'redis=', '=open', 'redis=open=no', 'redis'])('%s is not understood', (raw) => {
  expect(() => parse(raw)).toThrow('closed, open or quorum')
})

test('the name of a check comes before the kind of its server, and that before the rest', () => {
  const policies = parse('closed,postgresql=open,postgresql-2=closed,__proto__=open')
  expect(policyOf(policies, 'postgresql', 'postgresql')).toBe('open')
  expect(policyOf(policies, 'postgresql-2', 'postgresql')).toBe('closed')
  expect(policyOf(policies, 'postgresql-3', 'postgresql')).toBe('open')
  expect(policyOf(policies, 'redis', 'redis')).toBe('closed')
  expect(policyOf(parse('redis=open'), 'toString', 'constructor')).toBe('closed')
})

describe('a shared dependency under the policy to stay', () => {
  const failing = { name: 'db', component: 'postgresql', status: 'fail', isOpen: true } as const
  const readyz = (more: Parameters<typeof checkState>[0]) => judge('readyz', snapshotOf([checkState(more)]))

  test('is a warning while it is down, and while it does not say why', () => {
    expect(readyz({ ...failing, cause: 'dependency' })).toMatchObject({ ok: true, status: 'warn' })
    expect(readyz(failing)).toMatchObject({ ok: true, status: 'warn' })
  })
  test.each(['self_recoverable', 'self_wedged'] as const)('fails when the trouble is %s', (cause) => {
    expect(readyz({ ...failing, cause })).toMatchObject({ ok: false, status: 'fail' })
  })
  test('the process itself is shared with nobody', () => {
    expect(readyz({ ...failing, component: 'system' })).toMatchObject({ ok: false })
  })
})
