import { expect, test, vi } from 'vitest'
import { say } from '../src/diag.ts'

const written: string[] = []
vi.mock('node:fs', () => ({ writeSync: (_fd: number, text: string) => written.push(text) }))

test('handlers that fail at many paths silenced what was to be said of anything else', () => {
  for (let order = 0; order < 300; order++) say('AFS_HANDLER_FAILED', `/orders/${order}`)
  say('AFS_EXPORT_FAILED', 'the collector is away')
  say('AFS_EXPORT_FAILED', 'the collector is away')
  expect(written.filter((line) => line.includes('AFS_HANDLER_FAILED'))).toHaveLength(50)
  expect(written.at(-1)).toBe('[afterspan] AFS_EXPORT_FAILED the collector is away\n')
  expect(written).toHaveLength(51)
})
