import type { EpochMs, HealthChange, Incident, SpanData } from '@afterspan/core/internal'
import { beforeEach, expect, test } from 'vitest'
import { createTelling } from '../src/telling.ts'
import { fakeTime, type FakeTime } from './fake-time.ts'

let time: FakeTime
let spans: SpanData[]
let lines: string[]
let reports: Incident[]
let kept: HealthChange[]
let tell: (change: HealthChange) => void

beforeEach(() => {
  time = fakeTime()
  spans = []
  lines = []
  reports = []
  kept = []
  const core = {
    clock: time.clock,
    keepHealth: (change: HealthChange) => void kept.push(change),
    report: (incident: Incident) => void reports.push(incident),
    tell: (span: SpanData) => void spans.push(span),
  }
  const trace = { traceId: 'a'.repeat(32), spanId: 'b'.repeat(16), sampled: true }
  const telling = createTelling({
    core,
    evidence: ({ isGood }) => (isGood ? [] : [{ trace, route: '/orders', error: 'ECONNREFUSED' }]),
    say: (text) => lines.push(text),
    listeners: () => {},
  })
  tell = (change) => telling(change, { durationMs: 30 })
})

function change(more: Partial<HealthChange> = {}): HealthChange {
  return {
    name: 'db',
    component: 'postgresql',
    required: true,
    from: 'pass',
    to: 'fail',
    code: 'timeout',
    reason: 'no answer',
    at: 50_000 as EpochMs,
    since: 20_000 as EpochMs,
    observed: { waiting: { value: 3, unit: 'count' }, oldestWaiter: { value: 12, unit: 'ms' } },
    ...more,
  }
}
const { code: _code, reason: _reason, ...bare } = change()
const BACK: HealthChange = { ...bare, from: 'fail', to: 'pass', previousCode: 'timeout' }

test('each way tells of the same change', () => {
  tell(change())
  expect(spans).toMatchObject([
    {
      name: 'health db fail',
      startMs: 49_970,
      endMs: 50_000,
      links: [{ traceId: 'a'.repeat(32) }],
      attributes: { 'afterspan.health.observed': 'waiting=3, oldestWaiter=12 ms', 'error.type': 'timeout' },
    },
  ])
  expect(lines).toEqual([
    `db turned from pass to fail: timeout: no answer. 1 of the app's own calls showed it, the first in trace ${'a'.repeat(32)}. trace ${spans[0]!.traceId}`,
  ])
  expect(reports).toMatchObject([{ kind: 'health_changed', route: '/orders', health: { name: 'db', to: 'fail' } }])
  expect(kept).toMatchObject([{ name: 'db', evidence: [{ route: '/orders' }], trace: { traceId: spans[0]!.traceId } }])
})

test('the span of an end lasts as long as the trouble, and is no error', () => {
  tell(BACK)
  expect(spans).toMatchObject([{ startMs: 20_000, endMs: 50_000, status: { code: 0 }, links: [] }])
  expect(lines[0]).toMatch(/^db is well again after 30 s; it was fail \(timeout\)\. trace /)
  expect(reports[0]).not.toHaveProperty('failure')
})

test('a loop that is only busy makes no line', () => {
  tell(change({ to: 'warn', code: 'event_loop_delay' }))
  tell({ ...BACK, from: 'warn', previousCode: 'event_loop_delay' })
  expect([lines.length, spans.length, reports.length]).toEqual([0, 2, 2])
})

test('a check that flaps for long does not fill the log', async () => {
  for (let i = 0; i < 100; i++) tell(change())
  expect([lines.length, spans.length]).toEqual([20, 100])
  await time.advance(10_000)
  tell(change())
  tell(change())
  expect(lines).toHaveLength(21)
  expect(lines[20]).toMatch(/ \(80 changes before it were not printed\)$/)
})
