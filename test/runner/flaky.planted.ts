import { expect, test } from 'vitest'

let runs = 0
test('passes when tried again', { retry: 1 }, () => {
  expect(++runs, 'how often it ran').toBe(2)
})
