// What holds for every history of a task, whatever fast-check makes up.
import fc from 'fast-check'
import { expect } from 'vitest'
import { deriveState, TRANSITIONS, type DerivedState } from '../src/task-state.ts'
import { naiveState } from './naive-model.ts'
import { factsOf } from './sample-events.ts'
import { history } from './task-history.ts'

const some = history.filter(({ told }) => told.length > 0)

/** In whatever order the journals are read, the state is that of the model which follows the events in time. */
export function orderOfReadingIsNothing(numRuns: number): void {
  const property = fc.property(some, ({ told, asRead }) => {
    const { evidence: _, ...state } = deriveState(factsOf(asRead))
    expect(state).toEqual(naiveState(told))
  })
  fc.assert(property, { numRuns })
}

/** What is read twice, one event or a stretch of them, changes nothing. */
export function readingTwiceIsNothing(numRuns: number): void {
  const property = fc.property(some, fc.nat(), fc.nat(), ({ asRead }, a, b) => {
    const [from, to] = [a % asRead.length, b % asRead.length].sort((x, y) => x - y) as [number, number]
    expect(factsOf([...asRead.slice(0, to + 1), ...asRead.slice(from)])).toEqual(factsOf(asRead))
  })
  fc.assert(property, { numRuns })
}

/** Events in the order of time move a task only as TRANSITIONS says. */
export function movesAreNamed(numRuns: number): void {
  const property = fc.property(some, ({ told }) => {
    let before: DerivedState | undefined
    for (let n = 1; n <= told.length; n++) {
      const now = deriveState(factsOf(told.slice(0, n)))
      if (before && before.state !== now.state)
        expect(TRANSITIONS[before.state], `${before.state} → ${now.state}`).toContain(now.state)
      before = now
    }
  })
  fc.assert(property, { numRuns })
}
