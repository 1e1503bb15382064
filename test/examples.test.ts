import { join } from 'node:path'
import { repositoryRoot, runApp } from '@afterspan/testing'
import { expect, test } from 'vitest'

// The demo checks each of its claims itself, and names the one that is not so.
test('the demo shows the main job on the shop, and leaves nothing behind', { timeout: 120_000 }, async () => {
  const demo = runApp({ args: [join(repositoryRoot(), 'demo/main.mjs')], cwd: repositoryRoot() })
  const { code } = await demo.exit
  expect(demo.stderr).toBe('')
  expect(demo.stdout).toMatch(/\nEverything shown is so \(\d+ s\)\.\n$/)
  expect(code).toBe(0)
})
