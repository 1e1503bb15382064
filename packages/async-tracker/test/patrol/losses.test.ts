import { describe, expect, test } from 'vitest'
import type { ProcessCrashed, ProcessExiting } from '@afterspan/core/internal'
import { deathOf, lossesOf } from '../../src/patrol/losses.ts'
import { processRow, taskOf } from '../ledger/rows.ts'
import {
  confirmed,
  failed,
  FAILURE,
  ms,
  OTHER_WORKER,
  received,
  requestRef,
  sent,
  spanId,
  started,
  succeeded,
  taskIdOf,
  tell,
  WEB,
  WORKER,
} from '../sample-events.ts'

const exiting: ProcessExiting = { kind: 'exiting', at: ms(9), code: 3 }
const crashed: ProcessCrashed = { kind: 'crashed', at: ms(8), failure: FAILURE, culprit: requestRef(5) }
const nothing = { tasks: [], requests: [] }

test('what the broker had taken from a process while it lived is not lost with it', () => {
  const taken = tell(OTHER_WORKER, started(20, 2, { isTakeover: true }))
  const task = taskOf(1, 0, 1, ...tell(WORKER, started(10, 1)), ...taken)
  const lossesAt = (aliveAt?: number): number =>
    lossesOf(processRow(WORKER), { ...nothing, tasks: [task] }, 'process_gone', ms(40), aliveAt).length
  expect([lossesAt(30), lossesAt(15), lossesAt()]).toEqual([0, 1, 1])
})

describe('how a process died', () => {
  test('without a word: killed, by what the patrol saw', () => {
    expect(deathOf(processRow(WORKER), 'process_gone')).toEqual({ reason: 'process_killed', evidence: 'process_gone' })
    expect(deathOf(processRow(WORKER), 'lock_free').evidence).toBe('lock_free')
  })
  test('a thread is terminated, whoever says so; the word of the one that started it has the code', () => {
    const thread = processRow('00000000000000b0.2')
    const worker = { ...thread.worker, threadId: 2 }
    const threadEnded = { kind: 'thread_ended', at: ms(9), threadId: 2, code: 7, failure: FAILURE } as const
    const expected = { reason: 'worker_terminated', evidence: 'exit_record' }
    expect(deathOf({ ...thread, worker, threadEnded }, 'process_gone')).toEqual({
      ...expected,
      exitCode: 7,
      failure: FAILURE,
    })
    expect(deathOf({ ...thread, worker, exiting }, 'process_gone')).toEqual({ ...expected, exitCode: 3 })
    expect(deathOf({ ...thread, worker }, 'process_gone').reason).toBe('process_killed')
  })
  test('with an exit record: its code, and the signal that ended it', () => {
    const signalled = { ...exiting, code: 143, signal: 'SIGTERM' }
    const expected = { reason: 'process_exit', evidence: 'exit_record' }
    expect(deathOf(processRow(WORKER, { exiting }), 'process_gone')).toEqual({ ...expected, exitCode: 3 })
    expect(deathOf(processRow(WORKER, { exiting: signalled }), 'process_gone')).toEqual({
      ...expected,
      exitCode: 143,
      signal: 'SIGTERM',
    })
  })
  test('by an error: that error and its culprit, with exit code 1 where it could not say another', () => {
    const expected = { reason: 'process_exit', evidence: 'exit_record', failure: FAILURE, culprit: requestRef(5) }
    expect(deathOf(processRow(WORKER, { crashed }), 'process_gone')).toEqual({ ...expected, exitCode: 1 })
    expect(deathOf(processRow(WORKER, { crashed, exiting: { ...exiting, code: 7 } }), 'process_gone')).toEqual({
      ...expected,
      exitCode: 7,
    })
    const { culprit: _, ...nameless } = crashed
    expect(deathOf(processRow(WORKER, { crashed: nameless }), 'process_gone')).not.toHaveProperty('culprit')
  })
})

describe('what it had open', () => {
  test('its open attempts are lost, not those of others and not those that ended', () => {
    const both = taskOf(1, 0, 1, ...tell(WORKER, started(2, 1, { attempt: 4 })), ...tell(OTHER_WORKER, started(3, 2)))
    const again = taskOf(1, 1, 1, ...tell(WORKER, started(2, 3), failed(3, 3, { willRetry: true }), started(4, 4)))
    const done = taskOf(1, 2, 1, ...tell(WORKER, started(2, 5), succeeded(3, 5)))
    const losses = lossesOf(processRow(WORKER), { tasks: [both, again, done], requests: [] }, 'process_gone', ms(99))
    const how = { kind: 'lost', at: 99, reason: 'process_killed', evidence: 'process_gone' }
    expect(losses).toEqual([
      { ...how, taskId: taskIdOf(0), attempt: 4, spanId: spanId(1) },
      { ...how, taskId: taskIdOf(1), attempt: 0, spanId: spanId(4) },
    ])
  })
  test('what it was about to send was never enqueued; what others sent, or the broker has, is not its own', () => {
    const tasks = [
      taskOf(1, 0, 1),
      taskOf(1, 1, 1, ...tell(WEB, confirmed(2))),
      taskOf(1, 2, 1, ...tell(WORKER, started(2, 1))),
      // the broker was asked for no answer: whether it has it nobody knows, so nothing is said
      taskOf(1, 3, 1, ...tell(WEB, sent(2))),
    ]
    const losses = lossesOf(processRow(WEB, { exiting }), { tasks, requests: [] }, 'process_gone', ms(99))
    expect(losses).toEqual([
      {
        kind: 'lost',
        taskId: taskIdOf(0),
        at: 99,
        attempt: 0,
        reason: 'never_enqueued',
        evidence: 'exit_record',
        exitCode: 3,
      },
    ])
    expect(lossesOf(processRow(OTHER_WORKER), { tasks, requests: [] }, 'process_gone', ms(99))).toEqual([])
  })
  test('requests that it had in flight are answered by its death', () => {
    const requests = [received(5, 1, { parentSpanId: spanId(7) }), received(6, 2)]
    expect(lossesOf(processRow(WEB), { tasks: [], requests }, 'process_gone', ms(99))).toEqual([
      {
        kind: 'answered',
        origin: requestRef(1),
        at: 99,
        startedAt: 5,
        service: 'shop',
        method: 'POST',
        target: '/orders',
        parentSpanId: spanId(7),
        promised: 0,
        outcome: 'crashed',
      },
      expect.objectContaining({ origin: requestRef(2), startedAt: 6 }),
    ])
    expect(lossesOf(processRow(WEB), nothing, 'process_gone', ms(99))).toEqual([])
  })
})
