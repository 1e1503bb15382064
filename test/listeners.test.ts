import { nodesUnderTest, startPreloaded } from '@afterspan/testing'
import { expect, test } from 'vitest'
import { appFile } from './app.ts'

test.each(nodesUnderTest())('our listener was the eleventh, of which Node warns: Node $major', async (node) => {
  // Beside one of ours the app adds ten of its own.
  const app = startPreloaded({ app: appFile('listeners.cjs'), node: node.path, env: { OURS: '1' } })
  expect(await app.exit).toEqual({ code: 0, signal: null })
  expect([app.stdout, app.stderr]).toEqual(['done\n', ''])
})
