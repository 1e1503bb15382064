import { expect, test } from 'vitest'
import type { EpochMs } from '../../src/contracts/task.ts'
import type { HistogramSample, MetricFamily } from '../../src/contracts/service.ts'
import { renderMetrics } from '../../src/metrics/exposition.ts'
import { readOpenMetrics } from './strict-open-metrics.ts'

type Labels = Record<string, string>
const counter = (name: string, value: number, labels: Labels = {}, unit = ''): MetricFamily => ({
  name,
  type: 'counter',
  help: 'H',
  ...(unit ? { unit } : {}),
  samples: [{ labels, value }],
})
const gauge = (name: string, value: number, labels: Labels = {}): MetricFamily => ({
  name,
  type: 'gauge',
  help: 'H',
  samples: [{ labels, value }],
})
const histogram = (name: string, sample: Partial<HistogramSample>): MetricFamily => ({
  name,
  type: 'histogram',
  help: 'H',
  samples: [{ labels: {}, bounds: [1, 5], counts: [1, 1, 1], sum: 10, count: 3, ...sample }],
})
/** Samples alone, as text. */
const lines = (families: readonly MetricFamily[], openMetrics = false): string[] =>
  renderMetrics(families, openMetrics)
    .split('\n')
    .filter((line) => line !== '' && !line.startsWith('#'))

test('names that become one are one family, and equal series are added', () => {
  expect(lines([counter('a.b', 1), counter('a_b', 2), counter('a/b.total', 4, { x: '1' })])).toEqual([
    'a_b_total 3',
    'a_b_total{x="1"} 4',
  ])
})

test('labels that become one are joined by ; in the order of their own names', () => {
  expect(lines([gauge('g', 1, { x_y: '2', 'x.y': '1', 'x-y': '0' })])).toEqual(['g{x_y="0;1;2"} 1'])
})

test('an empty label is no label: two series that differ by it are one', () => {
  expect(lines([counter('c', 1, { a: '' }), counter('c', 2)])).toEqual(['c_total 3'])
})

test('two lone surrogates are the same text on the wire, and one series', () => {
  expect(lines([counter('c', 1, { a: '\ud800' }), counter('c', 2, { a: '\ud801' })])).toEqual(['c_total{a="\ufffd"} 3'])
})

test('names of which nothing is left stay apart', () => {
  expect(lines([counter('метр', 1), counter('узел', 2)])).toEqual([
    'u43c_435_442_440_total 1',
    'u443_437_435_43b_total 2',
  ])
})

test('a label named le does not merge the series of a histogram', () => {
  const text = lines([histogram('h', { labels: { le: 'a' } }), histogram('h', { labels: { le: 'b' } })])
  expect(text.filter((line) => line.startsWith('h_count'))).toEqual([
    'h_count{exported_le="a"} 3',
    'h_count{exported_le="b"} 3',
  ])
})

test('what cannot stand beside another family is left out and counted', () => {
  const families = [
    histogram('h', {}),
    gauge('h_count', 1),
    gauge('c', 1),
    counter('c', 1),
    counter('n', NaN),
    histogram('h', { bounds: [1, 6] }),
  ]
  expect(lines(families).filter((line) => line.startsWith('afterspan'))).toEqual([
    'afterspan_metrics_left_out{reason="name_conflict"} 1',
    'afterspan_metrics_left_out{reason="type_conflict"} 1',
    'afterspan_metrics_left_out{reason="not_a_number"} 1',
    'afterspan_metrics_left_out{reason="bounds_conflict"} 1',
  ])
  readOpenMetrics(renderMetrics(families, true))
})

test('the unit is the suffix, before _total, and is not repeated', () => {
  expect(lines([counter('io', 1, {}, 'bytes'), counter('cpu.seconds', 2, {}, 'seconds')])).toEqual([
    'io_bytes_total 1',
    'cpu_seconds_total 2',
  ])
})

test('values and help escape what would end a line', () => {
  const text = renderMetrics([{ ...gauge('g', 1, { a: 'x"y\\z\n' }), help: 'one\ntwo \\ "three"' }], false)
  expect(text).toBe('# HELP g one\\ntwo \\\\ "three"\n# TYPE g gauge\ng{a="x\\"y\\\\z\\n"} 1\n')
})

test('an info is a gauge to Prometheus text, and an info to OpenMetrics', () => {
  const info: MetricFamily = { name: 'target', type: 'info', help: 'H', samples: [{ labels: { a: '1' }, value: 1 }] }
  expect(renderMetrics([info], false)).toBe('# HELP target_info H\n# TYPE target_info gauge\ntarget_info{a="1"} 1\n')
  expect(renderMetrics([info], true)).toBe('# HELP target H\n# TYPE target info\ntarget_info{a="1"} 1\n# EOF\n')
})

test('OpenMetrics carries exemplars on buckets and counters, Prometheus text none', () => {
  const exemplar = { labels: { trace_id: 'abc' }, value: 0.5, at: 1_500 as EpochMs }
  const families: MetricFamily[] = [
    histogram('h', { exemplars: [exemplar, undefined, undefined] }),
    { name: 'c', type: 'counter', help: 'H', samples: [{ labels: {}, value: 1, exemplar }] },
  ]
  expect(lines(families, true).filter((line) => line.includes(' # '))).toEqual([
    'h_bucket{le="1.0"} 1 # {trace_id="abc"} 0.5 1.500',
    'c_total 1 # {trace_id="abc"} 0.5 1.500',
  ])
  expect(renderMetrics(families, false)).not.toContain('abc')
})

test('a histogram that may hold what is below zero has no sum in OpenMetrics', () => {
  expect(lines([histogram('h', { bounds: [-1, 5] })], true).filter((line) => !line.includes('bucket'))).toEqual([])
})

/** A generator with a seed: the same families in each run. */
function random(seed: number): (below: number) => number {
  let state = seed
  return (below) => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0
    return Math.floor((state / 2 ** 32) * below)
  }
}

test('whatever names, labels and values there are, a strict reader takes every answer', () => {
  const pieces = [
    'a',
    'b',
    '_',
    '__',
    '.',
    '-',
    '/',
    '1',
    'total',
    '_count',
    '_bucket',
    'info',
    'é',
    ':',
    'le',
    ' ',
    '"',
  ]
  const values = [0, 1, -1, 0.1, 1e21, 1e-9, NaN, Infinity, -Infinity, 2 ** 53]
  for (let seed = 1; seed <= 300; seed++) {
    const pick = random(seed)
    const word = (): string => Array.from({ length: pick(4) }, () => pieces[pick(pieces.length)]).join('')
    const labels = (): Labels =>
      Object.fromEntries(Array.from({ length: pick(4) }, () => [word(), `${word()}${['\n', '\\', ''][pick(3)]}`]))
    const family = (): MetricFamily => {
      const head = { name: word(), help: word(), ...(pick(3) ? {} : { unit: ['seconds', 'bytes'][pick(2)]! }) }
      if (pick(3) === 0) {
        const bounds = [...new Set([values[pick(6)]!, 2, 7])].sort((a, b) => a - b)
        const counts = [...bounds, 0].map(() => pick(5))
        const count = counts.reduce((a, b) => a + b, 0)
        return {
          ...head,
          type: 'histogram',
          samples: [{ labels: labels(), bounds, counts, sum: values[pick(10)]!, count }],
        }
      }
      const type = (['counter', 'gauge', 'info'] as const)[pick(3)]!
      const samples = [labels(), labels()].map((set) => ({
        labels: set,
        value: type === 'info' ? 1 : values[pick(10)]!,
      }))
      return { ...head, type, samples }
    }
    const families = Array.from({ length: 12 }, family)
    expect(() => readOpenMetrics(renderMetrics(families, true)), `seed ${seed}`).not.toThrow()
  }
})
