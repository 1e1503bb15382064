import { execFileSync } from 'node:child_process'
import { expect, test } from 'vitest'
import { ask, node } from '../src/nodes.ts'
import { NODE_MAJORS } from '../src/options.ts'

test.each(NODE_MAJORS)('Node %i of the repository is what it says', (major) => {
  const { path, version } = node(major)
  expect(execFileSync(path, ['-p', 'process.version'], { encoding: 'utf8' }).trim()).toBe(version)
  expect(version.startsWith(`v${major}.`)).toBe(true)
})

test('another Node under the right name is refused', () => {
  expect(() => ask(22, node(24).path)).toThrow(/is Node v24\..*, not 22/)
})

test('a missing Node is told with the way to get it', () => {
  expect(() => ask(22, '/nowhere/node')).toThrow('Node 22 is not at /nowhere/node: run pnpm install')
})
