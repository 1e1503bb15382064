import { describe, expect, test } from 'vitest'
import type { TaskRecord } from '@afterspan/core/internal'
import { toRecord, type RecordContext } from '../src/task-record.ts'
import {
  confirmed,
  factsOf,
  failed,
  FAILURE,
  lost,
  ms,
  neverEnqueued,
  released,
  sent,
  spanId,
  spawned,
  started,
  succeeded,
  TASK,
  taskIdOf,
  tell,
  WEB,
  WORKER,
  workerRef,
  type Told,
} from './sample-events.ts'

function recordOf(told: readonly Told[], context: Partial<RecordContext> = {}): TaskRecord {
  return toRecord(factsOf(told), {
    now: ms(1_000),
    depth: 0,
    worker: (key) => (key === WORKER ? workerRef(WORKER) : undefined),
    isStalled: () => false,
    ...context,
  })
}
const RUNNING = [...tell(WEB, spawned(1, { deadlineAt: ms(500) })), ...tell(WORKER, started(2, 1))]

test('a task that ran twice, as everybody reads it', () => {
  const told = [
    ...tell(WEB, spawned(1, { parent: taskIdOf(7) }), confirmed(2, { messageId: 'm' })),
    ...tell(WORKER, started(3, 1, { attempt: 1 }), failed(4, 1, { willRetry: true }), started(5, 2), succeeded(6, 2)),
  ]
  const context = { depth: 1, route: '/orders', requestStatus: 202 }
  expect(recordOf(told, context)).toEqual({
    taskId: TASK,
    state: 'succeeded',
    settledAt: 6,
    flags: { overdue: false, stalled: false, recovered: false, duplicate: false, conflict: false, unheard: false },
    system: 'bullmq',
    destination: 'fulfil',
    name: 'order',
    messageId: 'm',
    origin: { traceId: TASK.slice(0, 32), spanId: '0000000000000001', sampled: true },
    route: '/orders',
    requestStatus: 202,
    parent: taskIdOf(7),
    depth: 1,
    confirmed: true,
    spawnedAt: 1,
    attempts: [
      {
        n: 1,
        worker: workerRef(WORKER),
        spanId: spanId(1),
        startedAt: 3,
        endedAt: 4,
        state: 'retrying',
        reason: 'rejected',
        failure: FAILURE,
      },
      { n: 2, worker: workerRef(WORKER), spanId: spanId(2), startedAt: 5, endedAt: 6, state: 'succeeded' },
    ],
  })
})

describe('flags of the moment', () => {
  test('what waits in nobody’s hands is unheard once it is silent for too long; what runs, ended or is being sent is not', () => {
    const isUnheard = (told: readonly Told[], before = 100): boolean =>
      recordOf(told, { unheardBefore: ms(before) }).flags.unheard
    const waiting = tell(WEB, spawned(1), confirmed(2))
    expect([isUnheard(waiting), isUnheard(waiting, 2)]).toEqual([true, false])
    expect(recordOf(waiting).flags.unheard).toBe(false)
    expect(isUnheard(tell(WEB, spawned(1), sent(2)))).toBe(true)
    expect(isUnheard(tell(WEB, spawned(1)))).toBe(false)
    const begun = [...waiting, ...tell(WORKER, started(3, 1))]
    expect(isUnheard(begun)).toBe(false)
    const retrying = [...begun, ...tell(WORKER, failed(99, 1, { willRetry: true }))]
    expect([isUnheard(retrying), isUnheard(retrying, 99)]).toEqual([true, false])
    expect(isUnheard([...begun, ...tell(WORKER, released(99, 1))])).toBe(true)
    expect(isUnheard([...begun, ...tell(WORKER, succeeded(99, 1))])).toBe(false)
    expect(isUnheard(tell(WEB, spawned(1, { deadlineAt: ms(200) }), confirmed(2)))).toBe(false)
  })
  test('an open task whose deadline has passed is overdue; a settled one is not', () => {
    expect(recordOf(RUNNING).flags.overdue).toBe(true)
    expect(recordOf(RUNNING, { now: ms(500) }).flags.overdue).toBe(false)
    expect(recordOf([...RUNNING, ...tell(WORKER, succeeded(3, 1))]).flags.overdue).toBe(false)
    expect(recordOf([...RUNNING, ...tell('patrol', lost(3, 1))]).flags.overdue).toBe(false)
  })
  test('an open attempt of a stopped process is stalled; an ended one is not', () => {
    const isStalled = (key: string): boolean => key === WORKER
    expect(recordOf(RUNNING, { isStalled }).flags.stalled).toBe(true)
    expect(recordOf([...RUNNING, ...tell(WORKER, released(3, 1))], { isStalled }).flags.stalled).toBe(false)
    expect(recordOf([...RUNNING, ...tell('patrol', lost(3, 1))], { isStalled }).flags.stalled).toBe(false)
    const elsewhere = [...tell(WEB, spawned(1)), ...tell('0123456789abcdef.0', started(2, 1))]
    expect(recordOf(elsewhere, { isStalled }).flags.stalled).toBe(false)
  })
})

test('a lost task says what its process ended with', () => {
  const told = [...RUNNING, ...tell('patrol', lost(3, 1, { exitCode: 137, signal: 'SIGKILL', failure: FAILURE }))]
  expect(recordOf(told)).toMatchObject({
    state: 'lost',
    reason: 'process_killed',
    evidence: 'process_gone',
    settledAt: 3,
    exitCode: 137,
    signal: 'SIGKILL',
    attempts: [{ state: 'lost', reason: 'process_killed', endedAt: 3, failure: FAILURE }],
  })
  expect(recordOf([...tell(WEB, spawned(1)), ...tell('patrol', neverEnqueued(2, { exitCode: 1 }))])).toMatchObject({
    state: 'lost',
    exitCode: 1,
    confirmed: false,
  })
})

test('a task that nobody announced has the trace of its id, a name from its attempt, and is confirmed by running', () => {
  const description = { system: 'kafka', destination: 'orders', name: 'order' }
  expect(recordOf(tell('0123456789abcdef.0', started(2, 1, { description })))).toMatchObject({
    ...description,
    origin: { traceId: TASK.slice(0, 32), spanId: TASK.slice(32), sampled: true },
    confirmed: true,
    spawnedAt: 2,
    attempts: [{ n: 1, worker: { pid: 0, hostId: '' }, state: 'running' }],
  })
})

test('the route of the spawn is better than that of the request', () => {
  expect(recordOf(tell(WEB, spawned(1, { route: '/orders' })), { route: '/other' }).route).toBe('/orders')
  expect(recordOf(tell(WEB, spawned(1)), { route: '/other' }).route).toBe('/other')
})

test('an attempt that gave the task back shows as enqueued', () => {
  expect(recordOf([...RUNNING, ...tell(WORKER, released(4, 1))]).attempts).toMatchObject([
    { state: 'enqueued', endedAt: 4 },
  ])
})

test('a record says when its bad end was first told, and not before it was', () => {
  const dead = [...RUNNING, ...tell('patrol', lost(9, 1))]
  const report = (at: number, n: number): ReturnType<typeof tell> =>
    tell('patrol', { kind: 'reported', taskId: TASK, at: ms(at), spanId: spanId(n) })
  expect(recordOf(dead).reportedAt).toBeUndefined()
  expect(recordOf([...dead, ...report(11, 1), ...report(12, 2)]).reportedAt).toBe(11)
})
