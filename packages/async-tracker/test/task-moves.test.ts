import { expect, test } from 'vitest'
import { deriveState, TRANSITIONS } from '../src/task-state.ts'
import { factsOf } from './sample-events.ts'
import { MOVES } from './task-moves.ts'

test.for(Object.entries(MOVES))('%s', ([name, { before, next }]) => {
  const from = deriveState(factsOf(before)).state
  const to = deriveState(factsOf([...before, ...next])).state
  expect(`${from} → ${to}`).toBe(name)
})

test('each move of TRANSITIONS has its example, and no other', () => {
  const named = Object.entries(TRANSITIONS).flatMap(([from, to]) => to.map((state) => `${from} → ${state}`))
  expect(Object.keys(MOVES).sort()).toEqual(named.sort())
})
