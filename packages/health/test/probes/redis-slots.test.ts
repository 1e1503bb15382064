import { expect, test } from 'vitest'
import { slotOf, tagsOfMasters } from '../../src/probes/redis-slots.ts'

test('a slot is what CLUSTER KEYSLOT says', () => {
  expect(['foo', '123456789', ''].map(slotOf)).toEqual([12_182, 12_739, 0])
})

test('each master gets a tag that leads to it, the master without slots none', () => {
  const masterOf = (slot: number): string => (slot < 100 ? 'small' : slot < 9000 ? 'a' : 'b')
  const tags = tagsOfMasters('x', 4, masterOf)
  expect([...tags.keys()].filter((name) => name !== 'small').sort()).toEqual(['a', 'b'])
  for (const [master, tag] of tags) expect(masterOf(slotOf(tag))).toBe(master)
})

test('where nobody serves anything it gives up', () => {
  expect(tagsOfMasters('x', 3, () => undefined).size).toBe(0)
})
