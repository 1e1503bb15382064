import { describe, expect, test } from 'vitest'
import { ownersOf } from '../src/task-owner.ts'
import { deriveState, type DerivedState } from '../src/task-state.ts'
import {
  cancelled,
  confirmed,
  factsOf,
  failed,
  lost,
  neverEnqueued,
  OTHER_WORKER,
  released,
  sent,
  settledCancelled,
  settledFailed,
  settledLost,
  spawned,
  started,
  succeeded,
  tell,
  WEB,
  WORKER,
  type Told,
} from './sample-events.ts'

const IN_QUEUE = tell(WEB, spawned(1), confirmed(2))

function after(...told: readonly (readonly Told[])[]): DerivedState {
  return deriveState(factsOf(told.flat()))
}
describe('from the promise to the queue', () => {
  test('work that was announced is pending', () => {
    expect(after(tell(WEB, spawned(1)))).toEqual({
      state: 'pending',
      recovered: false,
      duplicate: false,
      conflict: false,
    })
  })
  test('the broker took it: enqueued', () => {
    expect(after(tell(WEB, spawned(1)), tell(WEB, confirmed(2)))).toMatchObject({ state: 'enqueued' })
  })
  test('it was sent without asking for an answer: pending, and in nobody’s hands', () => {
    const told = [...tell(WEB, spawned(1)), ...tell(WEB, sent(2))]
    expect(after(told)).toMatchObject({ state: 'pending' })
    expect(ownersOf(factsOf(told), 'pending')).toEqual([])
    expect(after(told, tell(WORKER, started(3, 1)))).toMatchObject({ state: 'running' })
  })
  test('a worker was faster than the confirmation: running', () => {
    const running = tell(WORKER, started(2, 1))
    expect(after(tell(WEB, spawned(1)), running)).toMatchObject({ state: 'running' })
    expect(after(tell(WEB, spawned(1)), running, tell(WEB, confirmed(3))).state).toBe('running')
  })
  test('the broker took no new message: cancelled, deduplicated', () => {
    // As core tells it: under the PRODUCER span, which is no attempt.
    const told = tell(WEB, cancelled(2, 99, { reason: 'deduplicated' }))
    expect(after(tell(WEB, spawned(1)), told)).toMatchObject({ state: 'cancelled', reason: 'deduplicated' })
  })
  test('its transaction was rolled back: cancelled', () => {
    const told = tell(WEB, settledCancelled(2, { reason: 'rolled_back' }))
    expect(after(tell(WEB, spawned(1)), told)).toMatchObject({
      state: 'cancelled',
      reason: 'rolled_back',
      settledAt: 2,
    })
  })
  test('the broker had no place for it: failed, unroutable', () => {
    const told = tell(WEB, settledFailed(2, { reason: 'unroutable' }))
    expect(after(tell(WEB, spawned(1)), told)).toMatchObject({ state: 'failed', reason: 'unroutable' })
  })
  test('its sender died first: lost, never enqueued', () => {
    const expected = { state: 'lost', reason: 'never_enqueued', evidence: 'process_gone', settledAt: 2 } as const
    expect(after(tell(WEB, spawned(1)), tell('patrol', neverEnqueued(2)))).toMatchObject(expected)
  })
  test('the sending failed, by the word of the sender itself: lost, never enqueued', () => {
    const told = tell(WEB, neverEnqueued(2, { evidence: 'own_report' }))
    expect(after(tell(WEB, spawned(1)), told)).toMatchObject({
      state: 'lost',
      reason: 'never_enqueued',
      evidence: 'own_report',
    })
  })
  test.for([
    [settledFailed(3), 'failed', 'dead_lettered'],
    [settledFailed(3, { reason: 'expired' }), 'failed', 'expired'],
    [settledCancelled(3), 'cancelled', 'aborted'],
    [settledLost(3), 'lost', 'vanished_from_broker'],
  ] as const)('what the broker says of a waiting task counts: %j', ([event, state, reason]) => {
    expect(after(IN_QUEUE, tell(WEB, event))).toMatchObject({ state, reason, settledAt: 3 as never })
  })
})

describe('attempts', () => {
  const RUNNING = [...IN_QUEUE, ...tell(WORKER, started(3, 1))]

  test('a worker took it: running', () => {
    expect(after(IN_QUEUE, tell(WORKER, started(3, 1)))).toMatchObject({ state: 'running' })
  })
  test.for([
    [succeeded(4, 1), 'succeeded', undefined],
    [failed(4, 1), 'failed', 'rejected'],
    [failed(4, 1, { reason: 'retries_exhausted' }), 'failed', 'retries_exhausted'],
    [cancelled(4, 1), 'cancelled', 'aborted'],
  ] as const)('it ends for good: %j', ([event, state, reason]) => {
    expect(after(RUNNING, tell(WORKER, event))).toMatchObject({
      state,
      ...(reason ? { reason } : {}),
      settledAt: 4 as never,
    })
  })
  test('it failed and will be tried again: retrying, then running, then failed for good', () => {
    const retrying = [...RUNNING, ...tell(WORKER, failed(4, 1, { willRetry: true }))]
    expect(after(RUNNING, retrying.slice(-1))).toMatchObject({ state: 'retrying', reason: 'rejected' })
    const again = [...retrying, ...tell(OTHER_WORKER, started(5, 2))]
    expect(after(retrying, again.slice(-1))).toMatchObject({ state: 'running' })
    expect(deriveState(factsOf(again))).not.toHaveProperty('settledAt')
    expect(after(again, tell(OTHER_WORKER, failed(6, 2, { reason: 'retries_exhausted' })))).toMatchObject({
      state: 'failed',
      reason: 'retries_exhausted',
      settledAt: 6 as never,
      duplicate: false,
      recovered: false,
    })
  })
  test('it gave the task back: enqueued again, without an end', () => {
    const back = tell(WORKER, released(4, 1))
    expect(after(RUNNING, back)).toMatchObject({ state: 'enqueued' })
    expect(after(RUNNING, back)).not.toHaveProperty('settledAt')
    expect(after([...RUNNING, ...back], tell(WORKER, started(5, 2)))).toMatchObject({
      state: 'running',
      duplicate: false,
    })
  })
  test('while it waits for its next attempt the broker may end it', () => {
    const retrying = [...RUNNING, ...tell(WORKER, failed(4, 1, { willRetry: true }))]
    expect(after(retrying, tell(WEB, settledFailed(5)))).toMatchObject({ state: 'failed', reason: 'dead_lettered' })
    expect(after(retrying, tell(WEB, settledCancelled(5)))).toMatchObject({ state: 'cancelled' })
    expect(after(retrying, tell(WEB, settledLost(5)))).toMatchObject({ state: 'lost', reason: 'vanished_from_broker' })
  })
  test('an end without a name is that of the newest open attempt of its writer', () => {
    const two = [...RUNNING, ...tell(OTHER_WORKER, started(4, 2))]
    const { attempts } = factsOf([...two, ...tell(WORKER, settledFailed(5))])
    expect(attempts.map(({ end }) => end?.state)).toEqual(['failed', undefined])
  })
  test('an end that is all that is left of its attempt settles the task only if it was meant for good', () => {
    expect(after(IN_QUEUE, tell(WORKER, failed(4, 1, { willRetry: true }))).state).toBe('enqueued')
    expect(after(IN_QUEUE, tell(WORKER, failed(4, 1))).state).toBe('failed')
  })
  test('a rejection that was handled late was no failure: cancelled', () => {
    const told = [...RUNNING, ...tell(WORKER, failed(4, 1))]
    const expected = { state: 'cancelled', reason: 'handled', settledAt: 4, conflict: false } as const
    expect(after(told, tell(WORKER, cancelled(9, 1, { reason: 'handled' })))).toMatchObject(expected)
  })
})

describe('lost and found', () => {
  const RUNNING = [...IN_QUEUE, ...tell(WORKER, started(3, 1))]
  const LOST = [...RUNNING, ...tell('patrol', lost(10, 1))]

  test('lost with its first worker, and again with the second, it counted as recovered', () => {
    const again = tell('w2', started(11, 2))
    const taken = [...LOST, ...again]
    expect(after(taken)).toMatchObject({ state: 'running', recovered: true })
    expect(after(taken, tell('patrol', lost(12, 2)))).toMatchObject({ state: 'lost', recovered: false })
  })

  test('the owner of its attempt is dead: lost, with how that is known', () => {
    expect(after(RUNNING, LOST.slice(-1))).toMatchObject({
      state: 'lost',
      reason: 'process_killed',
      evidence: 'process_gone',
      settledAt: 10 as never,
      recovered: false,
    })
  })
  test.for([
    [succeeded(21, 2), 'succeeded'],
    [failed(21, 2), 'failed'],
    [failed(21, 2, { willRetry: true }), 'retrying'],
    [released(21, 2), 'enqueued'],
    [cancelled(21, 2), 'cancelled'],
    [lost(21, 2), 'lost'],
  ] as const)('a redelivery takes it up, recovered, and is the one that counts: %j', ([event, state]) => {
    const again = [...LOST, ...tell(OTHER_WORKER, started(20, 2))]
    expect(after(LOST, again.slice(-1))).toMatchObject({ state: 'running', recovered: true })
    expect(after(again, tell(OTHER_WORKER, event))).toMatchObject({
      state,
      recovered: state !== 'lost',
      duplicate: false,
      conflict: false,
    })
  })
  test.for([
    [succeeded(12, 1), 'succeeded'],
    [failed(12, 1), 'failed'],
    [failed(12, 1, { willRetry: true }), 'retrying'],
    [released(12, 1), 'enqueued'],
    [cancelled(12, 1), 'cancelled'],
  ] as const)('falsely lost: the own report of the attempt counts: %j', ([event, state]) => {
    expect(after(LOST, tell(WORKER, event))).toMatchObject({ state, recovered: true, conflict: false })
  })
  test('a message that left in the last moment: never enqueued, then started, is recovered', () => {
    const never = [...tell(WEB, spawned(1)), ...tell('patrol', neverEnqueued(5))]
    const running = [...never, ...tell(WORKER, started(6, 1))]
    expect(after(never, running.slice(-1))).toMatchObject({ state: 'running', recovered: true })
    expect(after(running, tell(WORKER, succeeded(7, 1)))).toMatchObject({ state: 'succeeded', recovered: true })
  })
  test('never enqueued is refuted also by an attempt that began before the patrol said it', () => {
    const never = [...tell(WEB, spawned(1)), ...tell(WORKER, started(4, 1)), ...tell('patrol', neverEnqueued(5))]
    expect(after(never)).toMatchObject({ state: 'running', recovered: true })
    expect(after(never, tell(WORKER, failed(6, 1, { willRetry: true }))).state).toBe('retrying')
    expect(after(never, tell(WORKER, released(6, 1))).state).toBe('enqueued')
    expect(after(never, tell('patrol', lost(6, 1)))).toMatchObject({ state: 'lost', reason: 'process_killed' })
  })
  test('lost by the broker between two attempts: nothing is recovered until a third begins', () => {
    const waiting = [...RUNNING, ...tell(WORKER, failed(4, 1, { willRetry: true })), ...tell(WEB, settledLost(5))]
    expect(after(waiting)).toMatchObject({ state: 'lost', recovered: false })
    expect(after(waiting, tell(WORKER, started(6, 2)))).toMatchObject({ state: 'running', recovered: true })
  })
  test('what the broker lost twice is lost', () => {
    const again = [...tell(WEB, settledLost(5)), ...tell(WORKER, started(6, 2), failed(7, 2, { willRetry: true }))]
    const told = [...RUNNING, ...tell(WORKER, failed(4, 1, { willRetry: true })), ...again]
    expect(after(told)).toMatchObject({ state: 'retrying', recovered: true })
    expect(after(told, tell(WEB, settledLost(8)))).toMatchObject({ state: 'lost', settledAt: 8, recovered: false })
  })
})

describe('flags', () => {
  const RUNNING = [...IN_QUEUE, ...tell(WORKER, started(3, 1))]

  test('two successes are a duplicate', () => {
    const one = [...RUNNING, ...tell(WORKER, succeeded(4, 1))]
    const two = [...one, ...tell(OTHER_WORKER, started(5, 2), succeeded(6, 2))]
    expect(deriveState(factsOf(one)).duplicate).toBe(false)
    expect(deriveState(factsOf(two))).toMatchObject({
      state: 'succeeded',
      settledAt: 4,
      duplicate: true,
      conflict: false,
    })
  })
  test('two attempts at once are a duplicate, however they end', () => {
    const both = [...RUNNING, ...tell(OTHER_WORKER, started(4, 2))]
    expect(deriveState(factsOf(both))).toMatchObject({ state: 'running', duplicate: true })
    const over = [...both, ...tell(WORKER, failed(5, 1, { willRetry: true })), ...tell(OTHER_WORKER, succeeded(6, 2))]
    expect(deriveState(factsOf(over))).toMatchObject({ state: 'succeeded', duplicate: true })
  })
  test('runs of several readers, which get a copy each, are no duplicates; two of one reader are', () => {
    const one = [...tell(WORKER, started(3, 1, { reader: 'a' })), ...tell(OTHER_WORKER, started(4, 2, { reader: 'b' }))]
    const both = [...one, ...tell(WORKER, succeeded(5, 1)), ...tell(OTHER_WORKER, succeeded(6, 2))]
    expect(after(IN_QUEUE, both)).toMatchObject({ state: 'succeeded', duplicate: false })
    expect(after(IN_QUEUE, both, tell(WORKER, started(7, 3, { reader: 'a' }), succeeded(8, 3))).duplicate).toBe(true)
  })
  test('runs that began in one millisecond, one after the other, are no duplicates', () => {
    const told = [
      ...tell(WORKER, started(3, 9, { attempt: 1 }), failed(3, 9, { willRetry: true })),
      ...tell(WORKER, started(3, 8), failed(3, 8, { willRetry: true }), started(3, 7), succeeded(5, 7)),
    ]
    const facts = factsOf(told)
    expect(facts.attempts[0]?.n).toBe(1)
    expect(deriveState(facts)).toMatchObject({ state: 'succeeded', duplicate: false })
    const atOnce = [...tell(WORKER, started(3, 1), succeeded(6, 1)), ...tell(OTHER_WORKER, started(3, 2), failed(5, 2))]
    expect(deriveState(factsOf(atOnce)).duplicate).toBe(true)
  })
  test('an attempt from which the broker took the message is over, unless it speaks after all', () => {
    const taken = [...RUNNING, ...tell(OTHER_WORKER, started(9, 2, { isTakeover: true }))]
    expect(after(taken)).toMatchObject({ state: 'running', duplicate: false })
    expect(after(taken, tell(OTHER_WORKER, failed(10, 2, { willRetry: true })))).toMatchObject({ state: 'retrying' })
    const done = tell(OTHER_WORKER, succeeded(10, 2))
    expect(after(taken, done)).toMatchObject({ state: 'succeeded', duplicate: false, recovered: false })
    expect(after(taken, done, tell(WORKER, succeeded(11, 1)))).toMatchObject({ state: 'succeeded', duplicate: true })
  })
  test('what counted as failed, and was given back by the broker, was to be tried again', () => {
    const rejected = [...RUNNING, ...tell(WORKER, failed(4, 1)), ...tell(WORKER, settledFailed(4, { reason: 'threw' }))]
    const back = tell(OTHER_WORKER, started(9, 2, { isReturn: true }))
    expect(after(rejected)).toMatchObject({ state: 'failed', recovered: false })
    expect(after(rejected, back)).toMatchObject({ state: 'running', recovered: true, conflict: false })
    const done = tell(OTHER_WORKER, succeeded(10, 2))
    expect(after(rejected, back, done)).toMatchObject({ state: 'succeeded', conflict: false, duplicate: false })
    expect(after(back, done, rejected)).toMatchObject({ state: 'succeeded', conflict: false })
    expect(after(rejected, back, tell(OTHER_WORKER, failed(10, 2)))).toMatchObject({ state: 'failed', settledAt: 10 })
    // That of another queue is another's.
    const other = tell(OTHER_WORKER, started(9, 2, { isReturn: true, reader: 'stock' }))
    expect(after(rejected, other)).toMatchObject({ state: 'failed' })
  })
  test('what was taken for gone with its queue had been had by somebody: his run refutes it', () => {
    const taken = [...IN_QUEUE, ...tell(WEB, settledCancelled(3, { isPresumed: true }))]
    expect(after(taken)).toMatchObject({ state: 'cancelled', reason: 'aborted', settledAt: 3 })
    const run = tell(WORKER, started(2, 1), failed(9, 1))
    expect(after(taken, run)).toMatchObject({ state: 'failed', conflict: false })
    expect(after(run, taken)).toMatchObject({ state: 'failed', conflict: false })
    expect(after(IN_QUEUE, tell(WEB, settledCancelled(3)), run)).toMatchObject({ state: 'cancelled', conflict: true })
  })
  test('what was cancelled, brought back and run stayed cancelled', () => {
    const cancelled = [...IN_QUEUE, ...tell(WEB, settledCancelled(3))]
    const run = tell(WORKER, started(4, 1, { isReturn: true }))
    expect(after(cancelled, run)).toMatchObject({ state: 'running', conflict: false })
    expect(after(run, cancelled, tell(WORKER, failed(9, 1)))).toMatchObject({ state: 'failed', conflict: false })
  })
  test('an attempt that begins in the millisecond in which the last one ended is no duplicate', () => {
    const told = [...RUNNING, ...tell(WORKER, failed(4, 1, { willRetry: true })), ...tell(OTHER_WORKER, started(4, 2))]
    expect(deriveState(factsOf(told))).toMatchObject({ state: 'running', duplicate: false })
  })
  test('an attempt whose process died does not overlap with its redelivery, which began before the death was seen', () => {
    const told = [...RUNNING, ...tell(OTHER_WORKER, started(4, 2)), ...tell('patrol', lost(5, 1))]
    expect(deriveState(factsOf(told))).toMatchObject({ state: 'running', duplicate: false, recovered: true })
  })
  test('a frozen worker that was given up and goes on makes a duplicate', () => {
    const redelivered = tell(OTHER_WORKER, started(11, 2), succeeded(12, 2))
    const told = [...RUNNING, ...tell('patrol', lost(10, 1)), ...redelivered]
    expect(deriveState(factsOf(told)).duplicate).toBe(false)
    expect(after(told, tell(WORKER, succeeded(13, 1)))).toMatchObject({ duplicate: true, settledAt: 12 })
  })
  test('two different ends are a conflict: the first in time counts, whichever is read first', () => {
    const done = tell(WORKER, succeeded(4, 1))
    const dead = tell(WEB, settledFailed(5))
    for (const order of [
      [done, dead],
      [dead, done],
    ])
      expect(after(RUNNING, ...order)).toMatchObject({ state: 'succeeded', settledAt: 4, conflict: true })
  })
  test('the same end from two sources is no conflict', () => {
    const told = [...RUNNING, ...tell(WORKER, failed(4, 1)), ...tell(WEB, settledFailed(5))]
    expect(deriveState(factsOf(told))).toMatchObject({ state: 'failed', reason: 'rejected', conflict: false })
  })
  test('the broker says the same in several processes: the earliest time counts, whichever is read first', () => {
    const told = [...IN_QUEUE, ...tell(WEB, settledFailed(9)), ...tell(OTHER_WORKER, settledFailed(8))]
    expect(deriveState(factsOf(told)).settledAt).toBe(8)
    expect(factsOf(told).ends).toHaveLength(1)
  })
})
