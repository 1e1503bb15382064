/* oxlint-disable -- planted for test/runner.test.ts */
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'

test('passes', () => {})
test('fails', () => expect(1).toBe(2))
test.skip('is skipped', () => {})
test.todo('is to be written')
test('skips itself', (context) => context.skip('no server here'))
describe('skipped by a hook', () => {
  beforeEach((context) => context.skip('no broker here'))
  test('inside', () => {})
})
describe('cut off by a hook', () => {
  beforeAll(() => {
    throw new Error('planted')
  })
  test('never runs', () => {})
  describe('deeper', () => test('neither', () => {}))
  test.skip('is skipped anyway', () => {})
})
describe('broken afterwards', () => {
  afterAll(() => {
    throw new Error('planted')
  })
  test('had passed', () => {})
})
