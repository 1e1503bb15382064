// What several readers make of one message: each as if it were alone, in whatever order their journals are read.
import fc from 'fast-check'
import { expect, test } from 'vitest'
import type { TaskEvent } from '@afterspan/core/internal'
import { copiesOf, copyFacts, copyId } from '../src/task-copies.ts'
import type { TaskFacts } from '../src/task-facts.ts'
import { deriveState, type DerivedState } from '../src/task-state.ts'
import {
  confirmed,
  factsOf,
  failed,
  lost,
  released,
  settledFailed,
  spawned,
  started,
  succeeded,
  TASK,
  tell,
  WEB,
  type Told,
} from './sample-events.ts'

const READERS = ['mail', 'stock', 'audit']
/** What becomes of one run; each with the next one after it. */
const ENDS: Readonly<Record<string, (at: number, span: number, reader: string) => TaskEvent[]>> = {
  none: () => [],
  succeeded: (at, span) => [succeeded(at, span)],
  failed: (at, span) => [failed(at, span)],
  retrying: (at, span) => [failed(at, span, { willRetry: true })],
  released: (at, span) => [released(at, span)],
  lost: (at, span) => [lost(at, span)],
  deadLettered: (at, _, reader) => [settledFailed(at, { reader })],
}

/** Of each reader what its own process says, in order: runs one after the other. */
const histories = fc.tuple(...READERS.map(() => fc.array(fc.constantFrom(...Object.keys(ENDS)), { maxLength: 3 })))

function toldBy(reader: string, n: number, ends: readonly string[]): Told[] {
  return ends.flatMap((end, run) => {
    const [at, span] = [10 + run * 10, 1 + n * 10 + run]
    return tell(`worker-${reader}`, started(at, span, { reader }), ...ENDS[end]!(at + 5, span, reader))
  })
}

/** One order in which all may be read. */
function mixed(streams: readonly (readonly Told[])[], picks: readonly number[]): Told[] {
  const left = streams.map((stream) => [...stream]).filter((stream) => stream.length > 0)
  const order: Told[] = []
  for (let i = 0; left.length > 0; i++) {
    const at = (picks[i % picks.length] ?? 0) % left.length
    order.push(left[at]!.shift()!)
    if (left[at]!.length === 0) left.splice(at, 1)
  }
  return order
}

function statesByReader(facts: TaskFacts): Record<string, DerivedState> {
  const states: Record<string, DerivedState> = {}
  if (facts.reader !== undefined) states[facts.reader] = deriveState(facts)
  for (const [reader, copy] of Object.entries(facts.copies ?? {}))
    states[reader] = deriveState(copyFacts(facts, reader, copy))
  return states
}

test('each reader’s piece of work is what it would be if nobody else had read the message', () => {
  const sent = tell(WEB, spawned(1), confirmed(2))
  const picks = fc.array(fc.nat(30), { minLength: 1, maxLength: 30 })
  fc.assert(
    fc.property(histories, picks, (ends, order) => {
      const streams = READERS.map((reader, n) => toldBy(reader, n, ends[n]!))
      const alone: Record<string, DerivedState> = {}
      for (const [n, reader] of READERS.entries())
        if (streams[n]!.length > 0) alone[reader] = deriveState(factsOf([...sent, ...streams[n]!]))
      const told = mixed([sent, ...streams], order)
      expect(statesByReader(factsOf(told))).toEqual(alone)
      expect(factsOf([...told, ...told])).toEqual(factsOf(told))
    }),
  )
})

test('beyond fifty further readers no more pieces are made, and none is forgotten', () => {
  const all = Array.from({ length: 60 }, (_, n) => tell(`worker-${n}`, started(10 + n, n, { reader: `r${n}` })))
  const facts = factsOf(all.flat())
  expect(copiesOf(facts)).toHaveLength(50)
  expect(copiesOf(facts)[0]).toBe(copyId(TASK, 'r1'))
  expect(facts.attempts).toHaveLength(10)
  expect(deriveState(factsOf([...all.flat(), ...tell('worker-59', succeeded(99, 59))])).state).toBe('succeeded')
})
