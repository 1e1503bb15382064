import { expect, test } from 'vitest'
import { movesAreNamed, orderOfReadingIsNothing, readingTwiceIsNothing } from './task-state-laws.ts'

test('in whatever order the journals are read, the state is that of the model which follows the events in time', () => {
  expect(() => orderOfReadingIsNothing(3_000)).not.toThrow()
})
test('what is read twice, one event or a stretch of them, changes nothing', () => {
  expect(() => readingTwiceIsNothing(3_000)).not.toThrow()
})
test('events in the order of time move a task only as TRANSITIONS says', () => {
  expect(() => movesAreNamed(3_000)).not.toThrow()
})
