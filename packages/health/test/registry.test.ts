import {
  createMetricRegistry,
  type HealthChange,
  type HealthProbe,
  type MetricFamily,
  type ProbeResult,
} from '@afterspan/core/internal'
import { beforeEach, describe, expect, test } from 'vitest'
import type { SharedPolicies } from '../src/fleet.ts'
import { group } from '../src/group.ts'
import { createHealthMetrics } from '../src/metrics.ts'
import type { Refusal } from '../src/refusals.ts'
import { Registry, type FoundProbe } from '../src/registry.ts'
import { Scheduler } from '../src/scheduler.ts'
import type { CheckState, HealthSnapshot } from '../src/snapshot.ts'
import { judge } from '../src/verdict.ts'
import { fakeTime, onError, type FakeTime } from './fake-time.ts'

const PASS: ProbeResult = { status: 'pass' }
const FAIL: ProbeResult = { status: 'fail', code: 'timeout', reason: 'no answer' }

let time: FakeTime
let published: HealthSnapshot[]
let rejected: string[]
let changes: HealthChange[]
let firsts: number
let isSeenWell: boolean
let refusal: Refusal | undefined
let shown: Partial<HealthChange>
let metrics: ReturnType<typeof createMetricRegistry>

beforeEach(() => {
  time = fakeTime()
  published = []
  rejected = []
  changes = []
  firsts = 0
  isSeenWell = false
  refusal = undefined
  shown = {}
  metrics = createMetricRegistry()
})

function registry(
  optional: readonly string[] = [],
  shared: SharedPolicies = { others: 'closed', named: {} },
): Registry {
  return new Registry({
    clock: time.clock,
    timer: time.timer,
    scheduler: new Scheduler({ clock: time.clock, timer: time.timer, onError, isolate: (fn) => fn(), random: () => 1 }),
    metrics: () => createHealthMetrics(metrics),
    settings: { intervalMs: 2000, timeoutMs: 1500, optional, shared },
    publish: (snapshot) => published.push(snapshot),
    onFirst: () => firsts++,
    onChange: (change) => {
      changes.push(change)
      return { ...change, ...shown }
    },
    isSeenWell: () => isSeenWell,
    refusal: () => refusal,
    endpoints: (component) => (component === 'postgresql' ? ['/orders/{id}'] : []),
    onRejected: (why) => rejected.push(why),
  })
}

function probe(check: HealthProbe['check'], more: Partial<HealthProbe> = {}): HealthProbe {
  return { name: 'db', component: 'postgresql', criticality: 'required', check, ...more }
}

function last(name = 'db'): CheckState | undefined {
  return published.at(-1)?.checks.find((check) => check.name === name)
}

async function series(name: string): Promise<unknown> {
  const families: readonly MetricFamily[] = await metrics.collect()
  return families
    .find((family) => family.name === name)
    ?.samples.map((sample) => [sample.labels['name'], 'value' in sample ? sample.value : sample.count])
}

test('while it is not well, the app’s own requests say whom it concerns', async () => {
  let result = PASS
  shown = {
    trace: { traceId: 'a'.repeat(32), spanId: 'b'.repeat(16), sampled: true },
    evidence: [{ trace: { traceId: 'c'.repeat(32), spanId: 'd'.repeat(16), sampled: true }, error: 'ECONNREFUSED' }],
  }
  registry().register(probe(async () => result))
  await time.advance(100)
  expect(last()).not.toHaveProperty('endpoints')
  result = FAIL
  await time.advance(2000)
  expect(last()).toMatchObject({
    endpoints: ['/orders/{id}'],
    trace: 'a'.repeat(32),
    evidence: [{ trace: { traceId: 'c'.repeat(32) }, error: 'ECONNREFUSED' }],
  })
  result = PASS
  await time.advance(5000)
  expect(last()).toMatchObject({ status: 'pass' })
  expect(last()).not.toHaveProperty('endpoints')
  expect(last()).not.toHaveProperty('trace')
})

test('nothing runs and nothing is published before the first probe', async () => {
  const all = registry()
  await time.advance(60_000)
  expect([time.pending, published.length, firsts]).toEqual([0, 0, 0])
  expect(await metrics.collect()).toEqual([])
  expect(all.snapshot()).toMatchObject({ checks: [], started: true })
})

test('a change is published at once, with what was behind it', async () => {
  let result = PASS
  const all = registry()
  all.register(
    probe(async () => result),
    'src/db.ts:3',
  )
  await time.advance(100)
  expect(last()).toMatchObject({ status: 'pass', madeAt: 'src/db.ts:3', required: true })
  result = { ...FAIL, observed: { waiting: { value: 3 } } }
  await time.advance(2000)
  expect(last()).toMatchObject({
    status: 'fail',
    code: 'timeout',
    reason: 'no answer',
    observed: { waiting: { value: 3 } },
  })
})

test('while a status improves it goes on saying what was wrong, then no more', async () => {
  let result = FAIL
  registry().register(probe(async () => result))
  await time.advance(100)
  result = PASS
  await time.advance(500)
  expect(last()).toMatchObject({ status: 'fail', code: 'timeout' })
  await time.advance(500)
  expect(last()).toMatchObject({ status: 'pass' })
  expect(last()).not.toHaveProperty('code')
})

test('a warning that is held back is not shown as the reason of a pass', async () => {
  let result = PASS
  registry().register(probe(async () => result))
  await time.advance(100)
  result = { status: 'warn', code: 'event_loop_delay' }
  await time.advance(2000)
  expect(last()).toMatchObject({ status: 'pass' })
  expect(last()).not.toHaveProperty('code')
  await time.advance(500)
  expect(last()).toMatchObject({ status: 'warn', code: 'event_loop_delay' })
})

test('recovers within two seconds of the dependency', async () => {
  let isUp = false
  registry().register(
    probe((signal) =>
      isUp ? Promise.resolve(PASS) : new Promise((resolve) => signal.addEventListener('abort', () => resolve(FAIL))),
    ),
  )
  await time.advance(20_000)
  expect(judge('readyz', published.at(-1)).ok).toBe(false)
  isUp = true
  await time.advance(1500 + 2000)
  expect(judge('readyz', published.at(-1)).ok).toBe(true)
})

test('a probe that hangs for ever keeps being published, as failed', async () => {
  registry().register(probe(() => new Promise(() => {})))
  await time.advance(60_000)
  expect(last()).toMatchObject({ status: 'fail', code: 'timeout', abandoned: 1 })
  const at = published.map((snapshot) => snapshot.at)
  expect(Math.max(...at.slice(1).map((t, i) => t - at[i]!))).toBeLessThanOrEqual(2000)
})

test('a slow probe does not make the snapshots stale', async () => {
  registry().register(probe(async () => PASS, { intervalMs: 600_000 }))
  await time.advance(60_000)
  expect(published.length).toBeGreaterThan(20)
})

describe('the gate', () => {
  test('opens with the first results of all required probes, and stays open', async () => {
    const all = registry()
    all.register(probe(async () => PASS))
    all.register(probe(() => new Promise(() => {}), { name: 'slow' }))
    await time.advance(1000)
    expect(published.at(-1)!.started).toBe(false)
    await time.advance(1000)
    expect(published.at(-1)!.started).toBe(true)
    all.register(probe(() => new Promise(() => {}), { name: 'late' }))
    await time.advance(10)
    expect(published.at(-1)!.started).toBe(true)
  })

  test('is open where nothing is required', async () => {
    const all = registry(['db'])
    all.register(probe(() => new Promise(() => {})))
    expect(all.snapshot().started).toBe(true)
  })

  test('closes for a client that is made early, not for one that is made late', async () => {
    const early = registry()
    early.snapshot()
    early.register(probe(() => new Promise(() => {})))
    expect(early.snapshot().started).toBe(false)
    const late = registry()
    await time.advance(10_001)
    late.snapshot()
    late.register(probe(() => new Promise(() => {})))
    expect(late.snapshot().started).toBe(true)
  })
})

test('a probe that does not say how critical it is, is required', async () => {
  registry().register({ name: 'db', component: 'postgresql', check: async () => FAIL })
  await time.advance(100)
  expect(last()).toMatchObject({ required: true, status: 'fail' })
  expect(judge('readyz', published.at(-1))).toMatchObject({ ok: false })
})

describe('optional', () => {
  test('by the variable, whatever the probe says', async () => {
    registry(['db']).register(probe(async () => FAIL))
    await time.advance(100)
    expect(last()).toMatchObject({ required: false, status: 'fail' })
    expect(judge('readyz', published.at(-1))).toMatchObject({ ok: true, status: 'warn' })
    expect(await series('afterspan_health_check_status')).toEqual([['db', 0.5]])
  })

  test('at most warn, also when it hangs', async () => {
    registry().register(probe(() => new Promise(() => {}), { criticality: 'optional' }))
    await time.advance(30_000)
    expect(judge('readyz', published.at(-1))).toMatchObject({ ok: true, status: 'warn' })
  })
})

test('names are made fit for paths and labels, and kept apart', async () => {
  const all = registry()
  for (const name of ['orders db/1', 'orders db/1', '', undefined, 'x'.repeat(200)])
    all.register(probe(async () => PASS, { name: name as string }))
  expect(all.snapshot().checks.map((check) => check.name)).toEqual([
    'orders-db-1',
    'orders-db-1-2',
    'probe',
    'probe-2',
    'x'.repeat(60),
  ])
})

test('a probe is taken back by what register returned, twice is harmless, and the same probe is registered once', async () => {
  const all = registry()
  const one = probe(async () => PASS)
  const remove = all.register(one)
  expect(all.register(one)).toBe(remove)
  await time.advance(100)
  expect(await series('afterspan_health_check_status')).toEqual([['db', 1]])
  remove()
  remove()
  await time.advance(1)
  expect(published.at(-1)!.checks).toEqual([])
  expect(await series('afterspan_health_check_status')).toEqual([])
  const again = all.register(one)
  remove()
  expect(all.snapshot().checks).toHaveLength(1)
  again()
  expect(all.snapshot().checks).toHaveLength(0)
})

test('what is gone leaves by itself', async () => {
  let isGone = false
  const found = { ...probe(async () => PASS), isGone: () => isGone }
  registry().register(found)
  await time.advance(100)
  isGone = true
  await time.advance(2001)
  expect(published.at(-1)!.checks).toEqual([])
})

test('what is no probe, and what is too many, is left out and said', () => {
  const all = registry()
  for (const junk of [undefined, null, {}, { check: 1 }, 'probe']) all.register(junk as never)()
  expect(rejected).toEqual(Array.from({ length: 5 }, () => 'it has no check function'))
  for (let i = 0; i < 101; i++) all.register(probe(async () => PASS))
  expect(rejected.at(-1)).toBe('there are 100 already')
  expect(all.snapshot().checks).toHaveLength(100)
})

test.for([undefined, null, 'pass', {}, { status: 'ok' }, { status: 'UP' }])('%j is no result', async (result) => {
  registry().register(probe(async () => result as never))
  await time.advance(100)
  expect(last()).toMatchObject({ status: 'fail', code: 'invalid_result' })
})

test('nonsense in the numbers of a probe becomes the default', async () => {
  let calls = 0
  const counted = probe(async () => (calls++, PASS), { intervalMs: Number.NaN, timeoutMs: -1, rise: 0, fall: Infinity })
  registry().register(counted)
  await time.advance(4100)
  expect(calls).toBe(3)
})

test('durations and abandoned checks are counted, rounds of a hanging one are not', async () => {
  const all = registry()
  all.register(probe(async () => PASS))
  all.register(probe(() => new Promise(() => {}), { name: 'slow' }))
  await time.advance(4100)
  expect(await series('afterspan_health_check_duration_seconds')).toEqual([
    ['db', 3],
    ['slow', 1],
  ])
  expect(await series('afterspan_health_checks_abandoned')).toEqual([['slow', 1]])
})

describe('a change of status is told', () => {
  test('once, and not for a first pass, nor for a result that dampening holds back', async () => {
    let result: ProbeResult = PASS
    registry().register(probe(async () => result, { fall: 2 }))
    await time.advance(5000)
    expect(changes).toEqual([])
    result = FAIL
    await time.advance(30_000)
    expect(changes).toMatchObject([{ name: 'db', required: true, from: 'pass', to: 'fail', code: 'timeout' }])
    result = PASS
    await time.advance(30_000)
    expect(changes).toMatchObject([{ to: 'fail' }, { from: 'fail', to: 'pass' }])
  })

  test('as it counts: an optional check warns at most', async () => {
    registry(['db']).register(probe(async () => FAIL))
    await time.advance(5000)
    expect(changes).toMatchObject([{ name: 'db', required: false, to: 'warn' }])
    expect(changes[0]).not.toHaveProperty('from')
  })
})

test('a check is in the groups that it names and in those that name it', async () => {
  group('orders', ['db'])
  registry().register(probe(async () => PASS, { groups: ['core'] }))
  await time.advance(200)
  expect(last()).toMatchObject({ groups: ['core', 'orders'] })
})

describe('passive', () => {
  let asked: number
  const found = (name: string): FoundProbe => ({
    ...probe(async () => {
      asked++
      return { ...PASS, observed: { waiting: { value: 0 } } }
    }),
    name,
    isGone: () => false,
  })
  beforeEach(() => {
    asked = 0
    isSeenWell = true
  })

  test('a client that the app’s own calls show to be well is asked in each fifth round', async () => {
    registry().register(found('db'))
    await time.advance(20_200)
    expect(asked).toBe(3)
    expect(last()).toMatchObject({ status: 'pass', observed: { waiting: { value: 0 } } })
    expect(await series('afterspan_health_check_duration_seconds')).toEqual([['db', 3]])
  })

  test('with two of its kind each is asked, and what an app registers always is', async () => {
    const all = registry()
    all.register(found('db'))
    all.register(found('db-2'))
    all.register(probe(async () => PASS, { name: 'own', component: 'own' }))
    await time.advance(20_200)
    expect(asked).toBe(22)
    expect(await series('afterspan_health_check_duration_seconds')).toContainEqual(['own', 11])
  })

  test('a client that can say so by itself is asked in each fifth round, however many there are of its kind', async () => {
    const all = registry()
    isSeenWell = false
    for (const name of ['broker', 'broker-2']) all.register({ ...found(name), seesWell: () => name === 'broker' })
    await time.advance(20_200)
    expect(asked).toBe(3 + 11)
  })

  test('a server that answers the check and refuses what the app asks fails by its code, and no call stands for the check meanwhile', async () => {
    registry().register(found('db'))
    await time.advance(5000)
    asked = 0
    refusal = { code: '53100', count: 1 }
    await time.advance(4000)
    expect(last()).toMatchObject({ status: 'warn', code: '53100', cause: 'dependency' })
    expect(asked).toBeGreaterThan(0)
    refusal = { code: '53100', count: 2 }
    await time.advance(2000)
    expect(last()).toMatchObject({ status: 'fail', code: '53100', observed: { refused: { value: 2 } } })
    refusal = undefined
    await time.advance(4000)
    expect(last()).toMatchObject({ status: 'pass' })
  })

  test('with two of its kind a refusal is a warning of each, what an app registers has none', async () => {
    const all = registry()
    all.register(found('db'))
    all.register(found('db-2'))
    all.register(probe(async () => PASS, { name: 'own' }))
    refusal = { code: '53100', count: 9 }
    await time.advance(4000)
    const statuses = published.at(-1)!.checks.map(({ name, status }) => [name, status])
    expect(statuses).toEqual([
      ['db', 'warn'],
      ['db-2', 'warn'],
      ['own', 'pass'],
    ])
  })

  test('trouble that the app’s own calls meet with is looked at long before the next round', async () => {
    const all = registry()
    let result = PASS
    all.register({ ...probe(async () => result, { intervalMs: 60_000 }), isGone: () => false })
    await time.advance(5000)
    result = FAIL
    all.suspect('redis')
    await time.advance(1000)
    expect(last()).toMatchObject({ status: 'pass' })
    all.suspect('postgresql')
    await time.advance(100)
    expect(last()).toMatchObject({ status: 'fail' })
  })
})
