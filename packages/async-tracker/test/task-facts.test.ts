import { expect, test } from 'vitest'
import type { TaskEvent } from '@afterspan/core/internal'
import { gather } from '../src/task-facts.ts'
import {
  confirmed,
  factsOf,
  failed,
  FAILURE,
  lost,
  ms,
  OTHER_WORKER,
  requestRef,
  settledFailed,
  spanId,
  spawned,
  started,
  succeeded,
  TASK,
  taskIdOf,
  tell,
  WEB,
  WORKER,
} from './sample-events.ts'

const DESCRIPTION = { system: 'kafka', destination: 'orders', name: 'seen by the worker' }

test('the spawn says what the task is, whose it is and when it is due', () => {
  const event = spawned(5, { route: '/orders', parent: taskIdOf(7), deadlineAt: ms(99) })
  expect(factsOf(tell(WEB, event))).toEqual({
    taskId: TASK,
    description: { system: 'bullmq', destination: 'fulfil', name: 'order' },
    origin: requestRef(),
    spawned: { at: 5, by: WEB, route: '/orders', parent: taskIdOf(7), deadlineAt: 99 },
    attempts: [],
    ends: [],
    reported: [],
  })
})

test('an attempt names a task whose spawn nobody saw; the spawn, when it is read, knows better', () => {
  const origin = requestRef(3)
  const seen = tell(WORKER, started(9, 1, { description: DESCRIPTION, origin }))
  expect(factsOf(seen)).toMatchObject({ description: DESCRIPTION, origin })
  for (const told of [
    [...seen, ...tell(WEB, spawned(5))],
    [...tell(WEB, spawned(5)), ...seen],
  ])
    expect(factsOf(told)).toMatchObject({ description: { destination: 'fulfil' }, origin: requestRef() })
})

test('a run keeps the queue that it got its message from, whichever journal is read first', () => {
  const description = { system: 'rabbitmq', destination: 'mails', name: 'order' }
  const promise = tell(WEB, spawned(5, { ...description, destination: 'exchange' }))
  const first = tell(WORKER, started(9, 1, { description, reader: 'mails' }))
  const copy = tell(WORKER, started(9, 2, { description: { ...description, destination: 'audits' }, reader: 'audits' }))
  for (const told of [
    [...promise, ...first, ...copy],
    [...first, ...promise, ...copy],
    [...first, ...copy, ...promise],
  ]) {
    const { description: own, attempts, copies } = factsOf(told)
    expect(own?.destination).toBe('exchange')
    expect([attempts, copies!['audits']!.attempts]).toMatchObject([
      [{ destination: 'mails' }],
      [{ destination: 'audits' }],
    ])
  }
  const same = factsOf([...tell(WEB, spawned(5, description)), ...first])
  expect(same.attempts).not.toMatchObject([{ destination: 'mails' }])
})

test('an attempt keeps what was known when it began', () => {
  const event = started(9, 1, { attempt: 2, maxAttempts: 5, messageId: 'm' })
  expect(factsOf(tell(WORKER, event)).attempts).toEqual([
    { spanId: spanId(1), n: 2, by: WORKER, startedAt: 9, maxAttempts: 5, messageId: 'm' },
  ])
})

test('attempts of one millisecond stand in the order of their numbers, where they have some', () => {
  const told = tell(WORKER, started(20, 1, { attempt: 3 }), started(20, 2, { attempt: 2 }), started(10, 3))
  expect(factsOf(told).attempts.map((attempt) => attempt.spanId)).toEqual([spanId(3), spanId(2), spanId(1)])
})

test('attempts stand in the order of time, whichever is read first', () => {
  const [one, two, three] = [started(10, 3), started(20, 1), started(20, 2)]
  for (const order of [
    [one, two, three],
    [three, two, one],
    [two, three, one],
  ])
    expect(factsOf(tell(WORKER, ...order)).attempts.map((attempt) => attempt.spanId)).toEqual([
      spanId(3),
      spanId(1),
      spanId(2),
    ])
})

test('how an attempt ended is kept whole', () => {
  const retry = failed(4, 1, { willRetry: true, reason: 'threw' })
  const dead = lost(5, 2, { culprit: requestRef(9), failure: FAILURE, exitCode: 137, signal: 'SIGKILL' })
  const { attempts } = factsOf([...tell(WORKER, started(1, 1), started(2, 2), retry), ...tell('patrol', dead)])
  expect(attempts).toMatchObject([
    { end: { state: 'failed', at: 4, reason: 'threw', failure: FAILURE, willRetry: true } },
    {
      lost: {
        at: 5,
        reason: 'process_killed',
        evidence: 'process_gone',
        culprit: requestRef(9),
        failure: FAILURE,
        exitCode: 137,
        signal: 'SIGKILL',
      },
    },
  ])
})

test('the own report of an attempt and the proof that its owner is dead stand side by side', () => {
  const told = [...tell(WORKER, started(1, 1)), ...tell('patrol', lost(5, 1)), ...tell(WORKER, succeeded(4, 1))]
  expect(factsOf(told).attempts).toMatchObject([{ end: { state: 'succeeded' }, lost: { at: 5 } }])
})

test('an attempt is lost once, as it was found first', () => {
  const told = [
    ...tell(WORKER, started(1, 1)),
    ...tell('patrol', lost(5, 1)),
    ...tell('patrol', lost(9, 1, { signal: 'x' })),
  ]
  expect(factsOf(told).attempts[0]?.lost).toEqual({ at: 5, reason: 'process_killed', evidence: 'process_gone' })
})

test('an end is that of the attempt that it names, of whichever process', () => {
  const told = [...tell(WORKER, started(1, 1)), ...tell(OTHER_WORKER, started(2, 2)), ...tell(WORKER, succeeded(3, 2))]
  expect(factsOf(told).attempts.map(({ end }) => end?.state)).toEqual([undefined, 'succeeded'])
})

test('success without a start, and the loss of an attempt that nobody knows, say nothing', () => {
  const nothing = { taskId: TASK, attempts: [], ends: [], reported: [] }
  expect(factsOf(tell(WORKER, succeeded(3, 1)))).toEqual(nothing)
  expect(factsOf(tell('patrol', lost(3, 1)))).toEqual(nothing)
})

test('the newest heartbeat and the newest acknowledgement count, whichever is read first', () => {
  const beats: TaskEvent[] = [
    { kind: 'heartbeat', taskId: TASK, at: ms(9), progress: 0.9 },
    { kind: 'heartbeat', taskId: TASK, at: ms(3) },
    { kind: 'acknowledged', taskId: TASK, at: ms(8), by: 'second', note: 'mine' },
    { kind: 'acknowledged', taskId: TASK, at: ms(7), by: 'first' },
  ]
  const expected = { heartbeat: { at: 9, progress: 0.9 }, acknowledged: { at: 8, by: 'second', note: 'mine' } }
  expect(factsOf(tell(WORKER, ...beats))).toMatchObject(expected)
  expect(factsOf(tell(WORKER, ...beats.toReversed()))).toMatchObject(expected)
})

test('each delivered span is noted once', () => {
  const reported = (n: number): TaskEvent => ({ kind: 'reported', taskId: TASK, at: ms(n), spanId: spanId(n) })
  expect(factsOf(tell('patrol', reported(1), reported(2), reported(1))).reported).toEqual([spanId(1), spanId(2)])
})

test('a repeated end without a name does not end the attempt that has begun since', () => {
  const told = tell(WORKER, started(1, 1), settledFailed(2), started(3, 2))
  expect(factsOf([...told, ...tell(WORKER, settledFailed(2))])).toEqual(factsOf(told))
})

test('gathering leaves what it is given as it was', () => {
  const before = factsOf([...tell(WEB, spawned(1)), ...tell(WORKER, started(2, 1))])
  const copy = structuredClone(before)
  for (const event of [confirmed(3), started(4, 2), failed(5, 1), lost(6, 1), settledFailed(7)])
    expect(gather(before, event, WORKER)).not.toBe(before)
  expect(before).toEqual(copy)
})
