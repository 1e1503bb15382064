import type { EpochMs } from '@afterspan/core/internal'
import { describe, expect, test } from 'vitest'
import { renderSpring, renderTerminus } from '../src/familiar.ts'
import { wantedFormat } from '../src/render.ts'
import { judge } from '../src/verdict.ts'
import { checkState, snapshotOf, unanswered } from './check-state.ts'

const SINCE = Date.UTC(2026, 0, 1) as EpochMs
const broken = checkState({
  name: 'db',
  component: 'postgresql',
  status: 'fail',
  code: 'timeout',
  reason: 'no answer',
  since: SINCE,
  endpoints: ['/orders/{id}'],
  trace: 'a'.repeat(32),
  observed: { waiting: { value: 3, unit: 'count' } },
})
const search = checkState({ name: 'search', required: false, status: 'fail', code: 'timeout' })
const snapshot = snapshotOf([broken, search, checkState({ name: 'cache' })])
const verdict = judge('health', snapshot)

describe('Spring Boot Actuator', () => {
  test('everybody sees names and statuses', () => {
    expect(JSON.parse(renderSpring(verdict, false))).toEqual({
      status: 'DOWN',
      components: { db: { status: 'DOWN' }, search: { status: 'UP' }, cache: { status: 'UP' } },
    })
  })
  test('the trusted see details', () => {
    expect(JSON.parse(renderSpring(verdict, true))).toMatchObject({
      components: {
        db: {
          details: {
            code: 'timeout',
            reason: 'no answer',
            since: '2026-01-01T00:00:00.000Z',
            affectedEndpoints: ['/orders/{id}'],
            trace: 'a'.repeat(32),
            waiting: 3,
          },
        },
        search: { details: { warning: 'timeout' } },
      },
    })
  })
  test('who was asked to leave, or has not begun, is out of service', () => {
    const starting = judge('health', snapshotOf([unanswered({ name: 'db' })], false))
    expect(JSON.parse(renderSpring(starting, false))).toEqual({
      status: 'OUT_OF_SERVICE',
      components: { db: { status: 'UNKNOWN' } },
    })
    const leaving = judge('health', { ...snapshotOf([]), draining: true })
    expect(JSON.parse(renderSpring(leaving, false))).toMatchObject({ status: 'OUT_OF_SERVICE' })
  })
})

describe('terminus', () => {
  test('info has what is well, error what is not, details both', () => {
    expect(JSON.parse(renderTerminus(verdict, false))).toEqual({
      status: 'error',
      info: { search: { status: 'up' }, cache: { status: 'up' } },
      error: { db: { status: 'down', message: 'timeout' } },
      details: {
        search: { status: 'up' },
        cache: { status: 'up' },
        db: { status: 'down', message: 'timeout' },
      },
    })
    expect(JSON.parse(renderTerminus(verdict, true))).toMatchObject({ error: { db: { reason: 'no answer' } } })
  })
  test('well, excluded, and leaving', () => {
    const well = judge('health', snapshot, { exclude: new Set(['db']) })
    expect(JSON.parse(renderTerminus(well, false))).toMatchObject({ status: 'ok', error: {} })
    const leaving = judge('health', { ...snapshotOf([]), draining: true })
    expect(JSON.parse(renderTerminus(leaving, false))).toMatchObject({ status: 'shutting_down' })
  })
})

test.each([
  ['?format=spring', undefined, 'spring'],
  ['?format=terminus', 'text/plain', 'terminus'],
  ['?format=health', 'text/plain', 'health+json'],
  ['?format=nothing', 'application/json', 'json'],
  ['', 'application/vnd.spring-boot.actuator.v3+json, application/json;q=0.5', 'spring'],
  ['', '*/*', 'text'],
  ['', 'application/json', 'json'],
] as const)('%s with Accept: %s is answered as %s', (search, accept, format) => {
  expect(wantedFormat({ query: new URLSearchParams(search), headers: { accept } }, 'text')).toBe(format)
})
