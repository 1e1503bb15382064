import { expect, test } from 'vitest'
import { createPusher, type Pusher } from '../../src/metrics/push/pusher.ts'
import type { Temporality } from '../../src/metrics/push/metric-data.ts'
import { otlpJson } from '../../src/sdk/otlp/otlp-json.ts'
import type { OtlpReply } from '../../src/sdk/otlp/reply.ts'

const OK: OtlpReply = { ok: true, retryable: false, reason: 'ok' }
const AWAY: OtlpReply = { ok: false, retryable: true, reason: 'http_503' }

interface World {
  readonly pusher: Pusher
  readonly counts: Record<string, number>
  /** Of each body that was sent, the values of its counter. */
  readonly sent: number[][]
  reply: OtlpReply
  value: number
}

function world(temporality: Temporality): World {
  const counts: Record<string, number> = {}
  const counter = (name: string) => ({
    add(by: number, reason = '') {
      const key = `${name} ${reason}`.trim()
      counts[key] = (counts[key] ?? 0) + by
    },
  })
  const families = () => [
    { name: 'x', type: 'counter' as const, help: '', samples: [{ labels: {}, value: state.value }] },
  ]
  const state: World = {
    counts,
    sent: [],
    reply: OK,
    value: 0,
    pusher: createPusher({
      otlp: { url: 'http://collector/v1/metrics', headers: {}, timeoutMs: 1, compression: 'none', signal: 'metrics' },
      isPrinted: false,
      temporality,
      resource: {},
      scope: { name: 'afterspan', version: '0' },
      startMs: 0,
      sources: {
        families: () => Promise.resolve(families()),
        familiesNow: families,
        scopes: () => Promise.resolve([]),
        scopesNow: () => [],
      },
      dropped: counter('dropped'),
      exported: counter('exported'),
      failures: counter('failures'),
      post(_settings, body) {
        state.sent.push(valuesIn(body))
        return Promise.resolve(state.reply)
      },
    }),
  }
  return state
}

function valuesIn(body: Uint8Array): number[] {
  const { resourceMetrics } = JSON.parse(otlpJson(body, 'metrics')) as {
    resourceMetrics: { scopeMetrics: { metrics: { sum: { dataPoints: { asInt: string }[] } }[] }[] }[]
  }
  return resourceMetrics.flatMap(({ scopeMetrics }) =>
    scopeMetrics.flatMap(({ metrics }) =>
      metrics.flatMap(({ sum }) => sum.dataPoints.map(({ asInt }) => Number(asInt))),
    ),
  )
}

test('totals that were not taken are said again by the next ones; none is lost and none is kept', async () => {
  const w = world('cumulative')
  w.reply = AWAY
  for (w.value = 1; w.value <= 3; w.value++) await w.pusher.push()
  w.reply = OK
  await w.pusher.push()
  expect(w.sent).toEqual([[1], [2], [3], [4]])
  expect(w.counts).toEqual({ 'failures http_503': 3, exported: 1 })
})

test('deltas that were not taken are sent again, before the new ones', async () => {
  const w = world('delta')
  w.reply = AWAY
  w.value = 2
  await w.pusher.push()
  w.value = 5
  await w.pusher.push() // the collector is asked once; what came meanwhile waits behind
  expect(w.sent).toEqual([[2], [2]])
  w.reply = OK
  w.value = 9
  await w.pusher.push()
  expect(w.sent.slice(2)).toEqual([[2], [3], [4]])
  expect(w.counts).toEqual({ 'failures http_503': 2, exported: 3 })
})

test('at the end all that waits goes in one request', async () => {
  const w = world('delta')
  w.reply = AWAY
  w.value = 2
  await w.pusher.push()
  w.value = 5
  expect(valuesIn(w.pusher.takeLast()!.body)).toEqual([2, 3])
})

test('a collector that is away for long costs bounded memory, and what is dropped is counted', async () => {
  const w = world('delta')
  w.reply = AWAY
  for (w.value = 1; w.value <= 50; w.value++) await w.pusher.push()
  expect(w.counts).toMatchObject({ 'dropped queue_full': 18, 'failures http_503': 50 })
})

test('a collector that says when to come back is left alone until then', async () => {
  const w = world('delta')
  w.reply = { ...AWAY, retryAfterMs: 60_000 }
  for (w.value = 1; w.value <= 3; w.value++) await w.pusher.push()
  expect(w.sent).toEqual([[1]])
})

test('what is refused for good, or in part, is counted as dropped', async () => {
  const w = world('cumulative')
  w.value = 1
  w.reply = { ok: false, retryable: false, reason: 'http_400' }
  await w.pusher.push()
  w.reply = { ...OK, rejected: 1, message: 'too old' }
  await w.pusher.push()
  expect(w.counts).toEqual({
    'dropped partial_success': 1,
    'dropped rejected': 1,
    exported: 0,
    'failures http_400': 1,
  })
})
