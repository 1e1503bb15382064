import { expect, test } from 'vitest'
import { movesAreNamed, orderOfReadingIsNothing, readingTwiceIsNothing } from './task-state-laws.ts'

const TIMEOUT_MS = 600_000

test.for([
  ['the order of reading', orderOfReadingIsNothing],
  ['reading twice', readingTwiceIsNothing],
  ['the moves', movesAreNamed],
] as const)('a million histories hold to the laws: %s', { timeout: TIMEOUT_MS }, ([, law]) => {
  expect(() => law(1_000_000)).not.toThrow()
})
