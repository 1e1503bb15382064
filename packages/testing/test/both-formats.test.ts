/* oxlint-disable vitest/no-standalone-expect -- bothFormats makes the tests */
import { join } from 'node:path'
import { afterAll, expect } from 'vitest'
import { bothFormats } from '../src/both-formats.ts'
import { nodesUnderTest } from '../src/nodes.ts'
import { runApp } from '../src/run-app.ts'

const seen: string[] = []
const fixture = (name: string) => join(import.meta.dirname, 'fixtures', name)

bothFormats('an app says its format', { cjs: fixture('app.cjs'), mjs: fixture('app.mjs') }, async (scenario) => {
  const app = runApp({ args: [scenario.app, scenario.format], node: scenario.node.path })
  await app.exit
  expect(app.stdout).toBe(scenario.format === 'cjs' ? 'app cjs\n' : 'app mjs as mjs\n')
  seen.push(scenario.context.task.name)
})

afterAll(() => {
  expect(seen).toEqual(nodesUnderTest().flatMap(({ major }) => [`CommonJS on Node ${major}`, `ESM on Node ${major}`]))
})
