import { expect, test } from 'vitest'
import { unitWord } from '../../src/metrics/unit.ts'

test.each([
  ['s', 'seconds'],
  ['By/s', 'bytes_per_second'],
  ['m/s', 'meters_per_second'],
  ['{request}', ''],
  ['{request}/min', 'per_minute'],
  ['1', ''],
  ['', ''],
  [undefined, ''],
  ['%', 'percent'],
  ['°C', 'C'],
  ['constructor', 'constructor'],
  ['furlong', 'furlong'],
])('%s is %s', (unit, word) => {
  expect(unitWord(unit)).toBe(word)
})

test('a gauge without dimension is a ratio', () => {
  expect(unitWord('1', true)).toBe('ratio')
})
