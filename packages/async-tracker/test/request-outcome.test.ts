import { describe, expect, test } from 'vitest'
import type { EffectiveOutcome, RequestOutcome, TaskState } from '@afterspan/core/internal'
import { judgeRequest, type RequestTally } from '../src/request-outcome.ts'

function tally(promised: number, status = 202, outcome: RequestOutcome = 'sent'): RequestTally {
  return { answered: { promised, status, outcome }, isRecovered: false }
}
function counted(as: EffectiveOutcome | 'own', more: Partial<RequestTally> = {}): RequestTally {
  return { ...tally(1), counted: as, ...more }
}

describe('a request that was not counted yet', () => {
  test.for<[TaskState[], number, EffectiveOutcome | undefined]>([
    [['succeeded'], 1, 'kept'],
    [['succeeded', 'cancelled'], 2, 'kept'],
    [['succeeded', 'running'], 2, undefined],
    [['succeeded', 'pending'], 2, undefined],
    [['succeeded', 'enqueued'], 2, undefined],
    [['succeeded', 'retrying'], 2, undefined],
    [['running', 'failed'], 2, 'false_success'],
    [['running', 'lost'], 2, 'false_success'],
    [['lost'], 5, 'false_success'],
    [['succeeded'], 2, undefined],
    [[], 1, undefined],
    [[], 0, 'kept'],
  ])('answered with 202, of its tasks %j are known and it promised %i: %s', ([states, promised, expected]) => {
    expect(judgeRequest(tally(promised), states, states.length)).toBe(expected)
  })
  test('tasks of its tasks count for what became of it, not for how many it promised', () => {
    expect(judgeRequest(tally(2), ['succeeded', 'succeeded'], 1)).toBeUndefined()
    expect(judgeRequest(tally(1), ['succeeded', 'running'], 1)).toBeUndefined()
    expect(judgeRequest(tally(1), ['succeeded', 'lost'], 1)).toBe('false_success')
  })
  test('one that was not answered is not judged, whatever became of its tasks', () => {
    expect(judgeRequest({ isRecovered: false }, ['lost'], 1)).toBeUndefined()
  })
  test.for<[number, RequestOutcome, EffectiveOutcome]>([
    [500, 'sent', 'failed'],
    [404, 'sent', 'refused'],
    [202, 'aborted_by_client', 'abandoned'],
    [202, 'aborted_by_server', 'failed'],
    [202, 'timed_out', 'failed'],
    [202, 'crashed', 'failed'],
  ])('%i, %s: %s at once, whatever becomes of its tasks', ([status, outcome, expected]) => {
    for (const states of [[], ['running'], ['lost'], ['succeeded']] as TaskState[][])
      expect(judgeRequest(tally(1, status, outcome), states, states.length)).toBe(expected)
  })
})

describe('a request that was counted', () => {
  test('as false success is recovered once all its tasks are well, and only once', () => {
    const broken = counted('false_success')
    expect(judgeRequest(broken, ['lost'], 1)).toBeUndefined()
    expect(judgeRequest(broken, ['running'], 1)).toBeUndefined()
    expect(judgeRequest(broken, ['succeeded', 'failed'], 2)).toBeUndefined()
    expect(judgeRequest(broken, ['succeeded', 'cancelled'], 2)).toBe('recovered')
    expect(judgeRequest({ ...broken, isRecovered: true }, ['succeeded'], 1)).toBeUndefined()
  })
  test('as kept is counted again only if work that showed up later is broken', () => {
    for (const states of [['succeeded'], ['succeeded', 'running']] as TaskState[][])
      expect(judgeRequest(counted('kept'), states, 1)).toBeUndefined()
    expect(judgeRequest(counted('kept'), ['succeeded', 'lost'], 2)).toBe('false_success')
  })
  test('by its own process is counted again only if what it promised late is broken', () => {
    const own = counted('own', tally(0))
    expect(judgeRequest(own, ['running'], 1)).toBeUndefined()
    expect(judgeRequest(own, ['succeeded'], 1)).toBeUndefined()
    expect(judgeRequest(own, ['failed'], 1)).toBe('false_success')
    expect(judgeRequest(counted('own', tally(0, 500)), ['failed'], 1)).toBeUndefined()
  })
  test('as anything that was no success is not counted again', () => {
    for (const as of ['failed', 'refused', 'abandoned'] as const)
      expect(judgeRequest(counted(as), ['succeeded'], 1)).toBeUndefined()
  })
})
