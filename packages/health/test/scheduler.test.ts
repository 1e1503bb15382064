import type { ProbeResult } from '@afterspan/core/internal'
import { beforeEach, describe, expect, test } from 'vitest'
import { Scheduler, type ProbeTask, type Round } from '../src/scheduler.ts'
import { fakeTime, onError, settled, type FakeTime } from './fake-time.ts'

const PASS: ProbeResult = { status: 'pass' }

let time: FakeTime
let rounds: (Round & { readonly at: number })[]
let calls: { readonly at: number; readonly signal: AbortSignal }[]

beforeEach(() => {
  time = fakeTime()
  rounds = []
  calls = []
})

function scheduler(isolate: <R>(fn: () => R) => R = (fn) => fn()): Scheduler {
  return new Scheduler({ clock: time.clock, timer: time.timer, onError, isolate, random: () => 1 })
}

function task(check: (signal: AbortSignal) => Promise<ProbeResult>, more: Partial<ProbeTask> = {}): ProbeTask {
  return {
    component: 'postgresql',
    intervalMs: 2000,
    timeoutMs: 1500,
    check(signal) {
      calls.push({ at: time.clock.monotonicMs(), signal })
      return check(signal)
    },
    isGone: () => false,
    onGone: () => {},
    onRound(round) {
      rounds.push({ ...round, at: time.clock.monotonicMs() })
      return round.result.status === 'fail' ? 'suspicious' : 'calm'
    },
    ...more,
  }
}

const hang = (): Promise<ProbeResult> => new Promise(() => {})

test('a probe is asked at once and then in each interval, from start to start', async () => {
  scheduler().add(task(async () => PASS))
  await time.advance(6200)
  expect(calls.map(({ at }) => at)).toEqual([100, 2100, 4100, 6100])
  expect(rounds.every(({ kind }) => kind === 'answered')).toBe(true)
})

test('jitter never makes a round later than the interval', async () => {
  let random = 0
  const jittered = new Scheduler({
    clock: time.clock,
    timer: time.timer,
    onError,
    isolate: (fn) => fn(),
    random: () => (random = (random + 0.37) % 1),
  })
  jittered.add(task(async () => PASS))
  await time.advance(60_000)
  const gaps = calls.slice(1).map(({ at }, i) => at - calls[i]!.at)
  expect(Math.max(...gaps)).toBeLessThanOrEqual(2000)
  expect(Math.min(...gaps)).toBeGreaterThanOrEqual(1700)
  expect(new Set(gaps).size).toBeGreaterThan(3)
})

describe('a check that hangs', () => {
  test('is a timeout at its deadline, is told so by the signal, and blocks further checks of its probe', async () => {
    scheduler().add(task(hang))
    await time.advance(100 + 1500)
    expect(calls[0]!.signal.aborted).toBe(true)
    await time.advance(50)
    expect(rounds).toMatchObject([{ kind: 'abandoned', result: { status: 'fail', code: 'timeout' }, at: 1650 }])
    await time.advance(60_000)
    expect(calls).toHaveLength(1)
    expect(rounds.length).toBeGreaterThan(20)
    expect(rounds.slice(1).every(({ kind, result }) => kind === 'hanging' && result.code === 'timeout')).toBe(true)
  })

  test('is followed by a new one soon after it has settled', async () => {
    const { promise, resolve } = Promise.withResolvers<ProbeResult>()
    scheduler().add(task(() => (calls.length === 1 ? promise : Promise.resolve(PASS))))
    await time.advance(30_000)
    resolve(PASS)
    await settled()
    // What it said so late counts for nothing.
    expect(rounds.some(({ result }) => result.status === 'pass')).toBe(false)
    await time.advance(100)
    expect(calls).toHaveLength(2)
    expect(rounds.at(-1)).toMatchObject({ kind: 'answered', result: PASS, at: 30_100 })
  })

  test('holds up no other probe', async () => {
    const all = scheduler()
    const seen: number[] = []
    all.add(task(hang))
    all.add(task(async () => PASS, { onRound: () => (seen.push(time.clock.monotonicMs()), 'calm') }))
    await time.advance(10_100)
    expect(seen).toEqual([100, 2100, 4100, 6100, 8100, 10_100])
  })

  test('may say in its own words what it was waiting for', async () => {
    const aborted = (signal: AbortSignal) =>
      new Promise<ProbeResult>((resolve) => {
        signal.addEventListener('abort', () => resolve({ status: 'fail', code: 'pool_exhausted' }))
      })
    scheduler().add(task(aborted))
    await time.advance(1600)
    expect(rounds).toMatchObject([{ kind: 'answered', result: { code: 'pool_exhausted' }, at: 1600 }])
  })

  test('does not pass by answering the abort, and an AbortError is a timeout', async () => {
    const pass = (signal: AbortSignal) =>
      new Promise<ProbeResult>((resolve) => signal.addEventListener('abort', () => resolve(PASS)))
    const reject = (signal: AbortSignal) =>
      new Promise<ProbeResult>((_, no) => signal.addEventListener('abort', () => no(signal.reason as Error)))
    const all = scheduler()
    all.add(task(pass))
    all.add(task(reject))
    await time.advance(1600)
    expect(rounds.map(({ result }) => result.code)).toEqual(['timeout', 'timeout'])
  })
})

test('an answer that waits in a socket while the loop is blocked is no timeout', async () => {
  scheduler().add(
    task(
      () =>
        new Promise((resolve) => {
          // It is there after 10 ms; the loop reads sockets after it has run timers.
          time.timer.after(1510, () => resolve(PASS))
        }),
    ),
  )
  await time.advance(100)
  await time.block(4000)
  await time.advance(0)
  expect(rounds).toMatchObject([{ kind: 'answered', result: PASS }])
})

test('a loop that is blocked again and again does not put the deadline off for ever', async () => {
  scheduler().add(task(hang))
  await time.advance(100)
  for (let i = 0; i < 5; i++) await time.block(4000)
  await time.advance(50)
  expect(rounds[0]).toMatchObject({ result: { code: 'timeout' } })
})

describe('a check that fails', () => {
  test('is looked at four times as often, for a while', async () => {
    scheduler().add(task(async () => ({ status: 'fail' })))
    await time.advance(60_000)
    const gaps = calls.slice(1).map(({ at }, i) => at - calls[i]!.at)
    expect(gaps.slice(0, 20)).toEqual(Array.from({ length: 20 }, () => 500))
    expect(gaps.slice(20).every((gap) => gap === 2000)).toBe(true)
  })

  test('a throw is a fail with scrubbed words, also a synchronous one', async () => {
    const all = scheduler()
    all.add(
      task(async () => {
        throw Object.assign(new Error('connect ECONNREFUSED 10.1.2.3:5432'), { code: 'ECONNREFUSED' })
      }),
    )
    all.add(
      task(() => {
        throw new TypeError('no')
      }),
    )
    await time.advance(100)
    expect(rounds.map(({ result }) => result)).toEqual([
      { status: 'fail', code: 'ECONNREFUSED', reason: 'connect ECONNREFUSED …' },
      { status: 'fail', code: 'error', reason: 'no' },
    ])
  })
})

test('what is gone is not asked again', async () => {
  let isGone = false
  let told = 0
  scheduler().add(task(async () => PASS, { isGone: () => isGone, onGone: () => told++ }))
  await time.advance(100)
  isGone = true
  await time.advance(10_000)
  expect([calls.length, told, time.pending]).toEqual([1, 1, 0])
})

test('a probe that goes while it is being asked has no result', async () => {
  let isGone = false
  const { promise, resolve } = Promise.withResolvers<ProbeResult>()
  scheduler().add(task(() => promise, { isGone: () => isGone }))
  await time.advance(100)
  isGone = true
  resolve({ status: 'fail' })
  await settled()
  expect([rounds.length, time.pending]).toEqual([0, 0])
})

test('to end a probe aborts its check and leaves no timer, twice is harmless', async () => {
  const stop = scheduler().add(task(hang))
  await time.advance(100)
  stop()
  stop()
  expect(calls[0]!.signal.aborted).toBe(true)
  await time.advance(10_000)
  expect([rounds.length, time.pending]).toEqual([0, 0])
})

test('each check runs in isolation', async () => {
  let isIsolated = false
  const seen: boolean[] = []
  const isolate = <R>(fn: () => R): R => {
    isIsolated = true
    try {
      return fn()
    } finally {
      isIsolated = false
    }
  }
  scheduler(isolate).add(
    task(async () => {
      seen.push(isIsolated)
      return PASS
    }),
  )
  await time.advance(2100)
  expect(seen).toEqual([true, true])
})

test('an error of the engine itself is told, and is no unhandled rejection of the app', async () => {
  const told: unknown[] = []
  const error = new Error('of the engine')
  new Scheduler({
    clock: time.clock,
    timer: time.timer,
    isolate: (fn) => fn(),
    onError: (e) => told.push(e),
    random: () => 1,
  }).add(
    task(async () => PASS, {
      onRound: () => {
        throw error
      },
    }),
  )
  await time.advance(100)
  expect(told).toEqual([error])
})

describe('what the app’s own traffic says', () => {
  test('answers four rounds in place of the check, and then the check is asked again', async () => {
    scheduler().add(task(async () => PASS, { seen: () => ({ status: 'pass' }) }))
    await time.advance(22_000)
    expect(rounds.map(({ kind }) => kind).slice(0, 7)).toEqual([
      'seen',
      'seen',
      'seen',
      'seen',
      'answered',
      'seen',
      'seen',
    ])
    expect(calls.map(({ at }) => at)).toEqual([8100, 18_100])
  })

  test('brings the next round forward, and no more than the pace allows', async () => {
    const engine = scheduler()
    const asked = task(async () => PASS, { intervalMs: 60_000 })
    engine.add(asked)
    await time.advance(1000)
    for (let i = 0; i < 1000; i++) engine.hasten(asked)
    await time.advance(500)
    expect(calls.map(({ at }) => at)).toEqual([100, 1100])
    engine.hasten(asked)
    await time.advance(599)
    expect(calls).toHaveLength(2)
    await time.advance(1)
    expect(calls.map(({ at }) => at)).toEqual([100, 1100, 2100])
  })

  test('starts no second check beside one that runs, none of a probe that is gone, none that nobody knows', async () => {
    const engine = scheduler()
    const hanging = task(hang)
    const stop = engine.add(hanging)
    await time.advance(200)
    engine.hasten(hanging)
    engine.hasten(task(async () => PASS))
    await time.advance(200)
    expect(calls).toHaveLength(1)
    stop()
    engine.hasten(hanging)
    await time.advance(60_000)
    expect(calls).toHaveLength(1)
  })
})

test('however many probes ask one kind of server, ten checks begin in a second, and each has its turn', async () => {
  const engine = scheduler()
  const askedBy = new Map<number, number>()
  for (let i = 0; i < 40; i++)
    engine.add(
      task(
        async () => {
          askedBy.set(i, (askedBy.get(i) ?? 0) + 1)
          return PASS
        },
        { intervalMs: 1000 },
      ),
    )
  await time.advance(20_100)
  expect(calls.length).toBeGreaterThan(180)
  expect(calls.length).toBeLessThanOrEqual(211)
  expect(askedBy.size).toBe(40)
  expect(Math.min(...askedBy.values())).toBeGreaterThanOrEqual(2)
})
