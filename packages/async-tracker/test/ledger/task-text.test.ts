import fc from 'fast-check'
import { expect, test } from 'vitest'
import type { TaskId } from '@afterspan/core/internal'
import { requestKeyOf } from '../../src/patrol/digest.ts'
import { taskOf as read, taskText } from '../../src/ledger/task-text.ts'
import type { TaskRow } from '../../src/ledger/store.ts'
import { copyFacts } from '../../src/task-copies.ts'
import { deriveState } from '../../src/task-state.ts'
import {
  confirmed,
  FAILURE,
  failed,
  lost,
  ms,
  neverEnqueued,
  OTHER_WORKER,
  requestRef,
  sent,
  settledFailed,
  settledLost,
  spanId,
  spawned,
  started,
  succeeded,
  taskIdOf,
  tell,
  WEB,
  WORKER,
  type Told,
} from '../sample-events.ts'
import { history } from '../task-history.ts'
import { taskOf, taskRow } from './rows.ts'

const NOW = 1_795_671_713_961
const again = (row: TaskRow): TaskRow => read(row.facts.taskId, taskText(row))
const rowOf = (...told: readonly Told[]): TaskRow => taskRow(told, { requestKey: requestKeyOf(requestRef()) })

test('whatever is known of a task is read as it was written', () => {
  const place = fc.record({
    requestKey: fc.constantFrom(undefined, requestKeyOf(requestRef(1)), requestKeyOf(requestRef(2))),
    depth: fc.nat(3),
  })
  fc.assert(
    fc.property(history, place, fc.constantFrom(0, NOW), ({ asRead }, { requestKey, depth }, from) => {
      fc.pre(asRead.length > 0)
      const later = asRead.map(({ by, event }) => ({ by, event: { ...event, at: ms(from + event.at) } }))
      const row = taskRow(later, { depth, ...(requestKey === undefined ? {} : { requestKey }) })
      expect(again(row)).toEqual(row)
    }),
    { numRuns: 1_000 },
  )
})

test.each<[string, TaskRow]>([
  [
    'a parent, a deadline, candidates',
    rowOf(
      ...tell(WEB, spawned(9, { parent: taskIdOf(5), deadlineAt: ms(99), candidates: [requestRef(3)], route: '/a' })),
    ),
  ],
  ['another trace, unsampled', rowOf(...tell(WEB, spawned(9, { origin: requestRef(7, false) })))],
  ['its own trace, unsampled', rowOf(...tell(WEB, spawned(9, { origin: requestRef(1, false) })))],
  ['an empty name', rowOf(...tell(WEB, spawned(9, { system: '', destination: '', name: '' })))],
  [
    'found by its message',
    rowOf(
      ...tell(
        WEB,
        spawned(9),
        confirmed(10, { messageId: 'm', description: { system: 's', destination: 'd', name: 'n' } }),
      ),
    ),
  ],
  ['sent without an answer', rowOf(...tell(WEB, spawned(9), sent(10)))],
  [
    'an attempt with all its marks',
    rowOf(
      ...tell(WEB, spawned(9)),
      ...tell(
        WORKER,
        started(10, 1, { attempt: 3, maxAttempts: 5, messageId: 'm', reader: 'r', isTakeover: true }),
        failed(11, 1, { willRetry: true, exitCode: 7 }),
      ),
    ),
  ],
  [
    'lost, and then it spoke',
    rowOf(
      ...tell(WORKER, started(10, 1)),
      ...tell('patrol', lost(11, 1, { signal: 'SIGKILL', exitCode: 9, culprit: requestRef(2), failure: FAILURE })),
      ...tell(WORKER, succeeded(12, 1)),
    ),
  ],
  ['ends of the whole', rowOf(...tell(WEB, spawned(9), settledFailed(11), settledLost(12), neverEnqueued(13)))],
  [
    'a beat, a word, a report',
    rowOf(
      ...tell(
        WEB,
        spawned(9),
        { kind: 'heartbeat', taskId: taskIdOf(), at: ms(10), progress: 0.5 },
        { kind: 'acknowledged', taskId: taskIdOf(), at: ms(11), by: 'me', note: 'seen' },
        { kind: 'reported', taskId: taskIdOf(), at: ms(12), spanId: spanId(1) },
      ),
    ),
  ],
  [
    'times that are no whole numbers',
    rowOf(...tell(WEB, spawned(0.1), confirmed(0.3)), ...tell(WORKER, started(1e-9, 1), succeeded(1e300, 1))),
  ],
  ['times before its own', rowOf(...tell(WEB, spawned(NOW)), ...tell(WORKER, started(3, 1), succeeded(4, 1)))],
  [
    'text of any kind',
    rowOf(...tell(WEB, spawned(9, { name: '\0"\\\u{1f600}\ud800', route: '[0]' }), confirmed(10, { messageId: '0' }))),
  ],
  ['below another', { ...taskOf(1, 0, 9), depth: 2, requestKey: requestKeyOf(requestRef(4)) }],
  ['of nobody', taskRow(tell(WORKER, started(9, 1)))],
])('of a task with %s nothing is lost', (_, row) => {
  expect(again(row)).toEqual(row)
})

test('a copy, and a task that has some, are read as they were written', () => {
  const attempts = tell(WORKER, started(10, 1, { reader: 'one' }), succeeded(11, 1))
  const others = tell(OTHER_WORKER, started(10, 2, { reader: 'two' }), failed(12, 2))
  const row = rowOf(...tell(WEB, spawned(9)), ...attempts, ...others)
  const [reader, copy] = Object.entries(row.facts.copies!)[0]!
  const facts = copyFacts(row.facts, reader, copy)
  const copied = { ...row, facts, derived: deriveState(facts) }
  expect(again(row)).toEqual(row)
  expect(again(copied)).toEqual(copied)
})

test('what a later version adds to the facts is kept', () => {
  const { facts, derived, ...place } = taskOf(1, 0, 9, ...tell(WORKER, started(10, 1), succeeded(11, 1)))
  const news = { news: { of: ['it'] } }
  const attempts = facts.attempts.map((attempt) => ({ ...attempt, ...news, end: { ...attempt.end!, ...news } }))
  const parts = {
    spawned: { ...facts.spawned!, ...news },
    description: { ...facts.description!, ...news },
    origin: { ...facts.origin!, ...news },
  }
  const row = { ...place, facts: { ...facts, ...parts, attempts, ...news }, derived: { ...derived, ...news } }
  expect(again(row)).toEqual(row)
})

test('texts of earlier versions are read', () => {
  const row = taskOf(
    1,
    0,
    NOW,
    ...tell(WEB, confirmed(NOW + 1, { messageId: '7' })),
    ...tell(WORKER, started(NOW + 2, 1), failed(NOW + 5, 1)),
  )
  expect(read(row.facts.taskId, JSON.stringify(row))).toEqual(row)
  // Never to be changed: it is in the ledgers of those who run this version.
  const first = `[${NOW},1,0,["failed",5,0,{"reason":"rejected"}],"0000000000000001",["bullmq","fulfil","order"],[0,"00000000000000a0.0",0],[1,"7"],[["000000000000a001",0,"00000000000000b0.0",2,["failed",5,{"reason":"rejected","failure":{"type":"RangeError","message":"no such order"},"willRetry":false}]]]]`
  expect(read(row.facts.taskId, first)).toEqual(row)
  expect(taskText(row)).toBe(first)
})

test('a usual row is less than a third of what it was', () => {
  const row = taskOf(
    1,
    0,
    NOW,
    ...tell(WEB, confirmed(NOW + 1, { messageId: '7' })),
    ...tell(WORKER, started(NOW + 2, 1), succeeded(NOW + 5, 1)),
  )
  expect(taskText(row).length * 3).toBeLessThan(JSON.stringify(row).length)
  expect(read('x'.repeat(48) as TaskId, taskText(row)).facts.origin).toMatchObject({ traceId: 'x'.repeat(32) })
})
