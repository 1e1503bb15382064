import { expect, test } from 'vitest'
import type { EpochMs } from '../../../src/contracts/task.ts'
import type { MetricFamily } from '../../../src/contracts/service.ts'
import { renderMetrics } from '../../../src/metrics/exposition.ts'
import { addTotals, joinFamilies, overlay, totalsOf } from '../../../src/metrics/group/join.ts'

const counter = (value: number, labels = {}, more = {}): MetricFamily => ({
  name: 'c',
  type: 'counter',
  help: 'H',
  samples: [{ labels, value }],
  ...more,
})
const gauge = (value: number, more = {}): MetricFamily => ({
  name: 'g',
  type: 'gauge',
  help: 'H',
  samples: [{ labels: {}, value }],
  ...more,
})
const histogram = (counts: number[], more = {}): MetricFamily => ({
  name: 'h',
  type: 'histogram',
  help: 'H',
  samples: [{ labels: {}, bounds: [1], counts, sum: 1, count: counts[0]! + counts[1]! }],
  ...more,
})
const member = (pid: number, ...families: MetricFamily[]): Parameters<typeof joinFamilies>[0][number] => ({
  pid,
  threadId: 0,
  families,
})
const lines = (families: readonly MetricFamily[]): string[] =>
  renderMetrics(families, false)
    .split('\n')
    .filter((line) => line !== '' && !line.startsWith('#'))

test('counters and histograms are added', () => {
  const joined = joinFamilies([member(1, counter(2), histogram([1, 0])), member(2, counter(3), histogram([0, 4]))], [])
  expect(lines(joined)).toEqual(['c_total 5', 'h_bucket{le="1"} 1', 'h_bucket{le="+Inf"} 5', 'h_sum 2', 'h_count 5'])
})

test('a gauge stands for each member with its pid, a worker thread with its own number', () => {
  const thread = { pid: 1, threadId: 3, families: [gauge(7)] }
  expect(lines(joinFamilies([member(1, gauge(5)), thread, member(2, gauge(6))], []))).toEqual([
    'g{process_pid="1"} 5',
    'g{process_pid="1",thread_id="3"} 7',
    'g{process_pid="2"} 6',
  ])
})

test('a gauge that is to be added is, and one that all read from the same place stands once', () => {
  expect(
    lines(joinFamilies([member(1, gauge(5, { across: 'sum' })), member(2, gauge(6, { across: 'sum' }))], [])),
  ).toEqual(['g 11'])
  expect(
    lines(joinFamilies([member(1, gauge(5, { across: 'one' })), member(2, gauge(6, { across: 'one' }))], [])),
  ).toEqual(['g 6'])
})

test('a counter of the ledger is not added to what its last reader has seen, but to what the processes count themselves', () => {
  const ledger = (value: number): MetricFamily => counter(value, {}, { across: 'one' })
  const gone = totalsOf([ledger(9), counter(1)])
  expect(lines(joinFamilies([member(2, ledger(10), counter(4))], [gone]))).toEqual(['c_total 15'])
})

test('of an info only what all members say stands', () => {
  const info = (labels: Record<string, string>): MetricFamily => ({
    name: 'target',
    type: 'info',
    help: 'H',
    samples: [{ labels, value: 1 }],
  })
  const all = [info({ service: 'shop', pid: '1' }), info({ service: 'shop', pid: '2' })]
  expect(lines(joinFamilies([member(1, all[0]!), member(2, all[1]!)], []))).toEqual(['target_info{service="shop"} 1'])
})

test('the newest exemplar stands', () => {
  const traced = (trace: string, at: number): MetricFamily =>
    ({
      ...counter(1),
      samples: [{ labels: {}, value: 1, exemplar: { labels: { trace_id: trace }, value: 1, at: at as EpochMs } }],
    }) as MetricFamily
  const text = renderMetrics(joinFamilies([member(1, traced('new', 2_000)), member(2, traced('old', 1_000))], []), true)
  expect(text).toContain('c_total 2 # {trace_id="new"} 1 2.000')
})

test('totals are counters and histograms without exemplars, and are added', () => {
  const one = totalsOf([counter(1), gauge(5), histogram([1, 1])])
  expect(one.map(({ name }) => name)).toEqual(['c', 'h'])
  expect(lines(addTotals([one, one]))).toContain('c_total 2')
})

test('the newer totals stand, and what only the older know stays', () => {
  expect(lines(overlay(totalsOf([counter(1), histogram([1, 0])]), totalsOf([counter(4)])))).toEqual([
    'c_total 4',
    'h_bucket{le="1"} 1',
    'h_bucket{le="+Inf"} 1',
    'h_sum 1',
    'h_count 1',
  ])
})
