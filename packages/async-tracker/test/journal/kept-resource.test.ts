import { expect, test } from 'vitest'
import { keptResource } from '../../src/journal/kept-resource.ts'
import { encodeRecord } from '../../src/journal/record.ts'
import { opened, WEB } from '../sample-events.ts'

const SMALL = { 'service.name': 'shop', 'host.cpu.count': 4 }

test('a resource is kept as it is', () => {
  expect(keptResource(SMALL)).toBe(SMALL)
})

test('a process with attributes beyond a record had no name: the longest of them are left out', () => {
  const resource = { long: 'x'.repeat(40_000), ...SMALL, longer: '注'.repeat(30_000) }
  expect(encodeRecord({ ...opened(WEB), resource })).toBeUndefined()
  expect(keptResource(resource)).toEqual(SMALL)
  expect(encodeRecord({ ...opened(WEB), resource: keptResource(resource) })).toBeDefined()
  expect(keptResource({ ...SMALL, a: 'x'.repeat(60), b: 'x'.repeat(50) }, 130)).toEqual({ ...SMALL, b: 'x'.repeat(50) })
})
