import { expect, test } from 'vitest'
import { textTable } from '../../src/cli/text-table.ts'

test('columns stand below each other, whatever is in them', () => {
  expect(
    textTable([
      ['name', 'state'],
      ['注文処理', 'lost'],
      ['mail', 'failed'],
      ['café', 'succeeded'],
      ['👨‍👩‍👧 ✉️', 'lost'],
    ]),
  ).toBe(['name      state', '注文処理  lost', 'mail      failed', 'café      succeeded', '👨‍👩‍👧 ✉️     lost'].join('\n'))
})

test('what is too long is cut between characters, not within one', () => {
  const [, cell = ''] = textTable([['message'], [`a${'😀'.repeat(60)}`]]).split('\n')
  expect(cell).toBe(`a${'😀'.repeat(29)}`)
  expect(cell.isWellFormed()).toBe(true)
})

test('a text without end is not gone through', () => {
  const marks = `e${'\u0301'.repeat(1_000_000)}`
  expect(textTable([['name'], [marks]]).length).toBeLessThan(2_000)
})
