import type { EpochMs } from '@afterspan/core/internal'
import { describe, expect, test } from 'vitest'
import { preferredFormat, renderJson, renderText } from '../src/render.ts'
import { judge } from '../src/verdict.ts'
import { checkState, snapshotOf, unanswered } from './check-state.ts'

const AT = Date.UTC(2026, 0, 1) as EpochMs
const checks = [
  checkState({
    name: 'postgresql',
    component: 'postgresql',
    status: 'fail',
    code: 'pool_exhausted',
    cause: 'self_recoverable',
    reason: '10 of 10 are busy',
    observed: { waiting: { value: 7, unit: 'count' } },
    durationMs: 1500.04,
    at: AT,
    since: AT,
    madeAt: 'src/db.ts:12',
    abandoned: 2,
  }),
  checkState({ name: 'search', required: false, status: 'fail', code: 'timeout', reason: 'no answer' }),
  checkState({ name: 'memory', component: 'system', required: false, observed: { utilization: { value: 0.4 } } }),
]
const verdict = judge('readyz', snapshotOf(checks))

describe('application/health+json', () => {
  test('the public form has names, statuses and codes, nothing else', () => {
    expect(JSON.parse(renderJson(verdict, { trusted: false, serviceName: 'shop' }))).toEqual({
      status: 'fail',
      checks: {
        'postgresql:responseTime': [{ status: 'fail', code: 'pool_exhausted' }],
        'search:responseTime': [{ status: 'warn', code: 'timeout' }],
        'memory:utilization': [{ status: 'pass' }],
      },
    })
  })

  test('the trusted form says why, since when, how much and who made the client', () => {
    expect(JSON.parse(renderJson(verdict, { trusted: true, serviceName: 'shop' }))).toEqual({
      status: 'fail',
      serviceId: 'shop',
      checks: {
        'postgresql:responseTime': [
          {
            componentType: 'datastore',
            componentId: 'postgresql',
            status: 'fail',
            code: 'pool_exhausted',
            observedValue: 1500,
            observedUnit: 'ms',
            time: '2026-01-01T00:00:00.000Z',
            output: '10 of 10 are busy',
            criticality: 'required',
            cause: 'self_recoverable',
            since: '2026-01-01T00:00:00.000Z',
            madeAt: 'src/db.ts:12',
            abandoned: 2,
          },
        ],
        'postgresql:waiting': [{ observedValue: 7, observedUnit: 'count', status: 'fail' }],
        'search:responseTime': [
          {
            componentType: 'component',
            componentId: 'component',
            status: 'warn',
            code: 'timeout',
            output: 'no answer',
            criticality: 'optional',
          },
        ],
        'memory:utilization': [
          {
            componentType: 'system',
            componentId: 'system',
            status: 'pass',
            observedValue: 0.4,
            criticality: 'optional',
          },
        ],
      },
    })
  })

  test('a check without a result is pending, and the whole is starting', () => {
    const starting = judge('health', snapshotOf([unanswered({ name: 'db' })], false))
    expect(JSON.parse(renderJson(starting, { trusted: false, serviceName: 'shop' }))).toEqual({
      status: 'fail',
      code: 'starting',
      checks: { 'db:responseTime': [{ status: 'warn', code: 'pending' }] },
    })
  })
})

describe('text', () => {
  test('ok is all that a passing endpoint says', () => {
    expect(renderText('readyz', judge('readyz', snapshotOf([])), { verbose: false, trusted: false })).toBe('ok')
  })

  test('a failing one lists the checks as Kubernetes does, the reason withheld', () => {
    expect(renderText('readyz', verdict, { verbose: false, trusted: false })).toBe(
      [
        '[-]postgresql failed: reason withheld',
        '[+]search warn: reason withheld',
        '[+]memory ok',
        'readyz check failed',
        '',
      ].join('\n'),
    )
  })

  test('who is trusted reads the reason', () => {
    expect(renderText('readyz', verdict, { verbose: false, trusted: true })).toContain(
      '[-]postgresql failed: pool_exhausted: 10 of 10 are busy\n',
    )
  })

  test('verbose lists what passes and what was excluded', () => {
    const without = judge('readyz', snapshotOf(checks), { exclude: new Set(['postgresql']) })
    expect(renderText('readyz', without, { verbose: true, trusted: false, unmatched: true })).toBe(
      [
        '[+]postgresql excluded: ok',
        '[+]search warn: reason withheld',
        '[+]memory ok',
        'warn: some health checks cannot be excluded: no such check',
        'readyz check passed',
        '',
      ].join('\n'),
    )
  })

  test('why it fails although no check does', () => {
    const stale = judge('readyz', snapshotOf([checkState({ name: 'db' })]), { stale: true })
    expect(renderText('readyz', stale, { verbose: false, trusted: false })).toMatch(
      /^\[-\]stale failed: .+\n\[\+\]db ok\n/,
    )
  })
})

test.for([
  [undefined, 'text', 'text'],
  ['*/*', 'text', 'text'],
  ['*/*', 'health+json', 'health+json'],
  ['application/json', 'text', 'json'],
  ['application/health+json', 'text', 'health+json'],
  ['application/*', 'text', 'health+json'],
  ['text/plain', 'health+json', 'text'],
  ['application/json;q=0.5, text/plain;q=0.9', 'health+json', 'text'],
  ['application/health+json;q=0, */*', 'health+json', 'json'],
  ['text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8', 'health+json', 'health+json'],
  ['image/png', 'health+json', 'health+json'],
  ['APPLICATION/JSON', 'text', 'json'],
  [';;q=,,', 'text', 'text'],
] as const)('Accept %s on an endpoint of %s is answered in %s', ([accept, own, expected]) => {
  expect(preferredFormat(accept, own)).toBe(expected)
})
