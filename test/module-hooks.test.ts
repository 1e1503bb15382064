import { nodesUnderTest, startPreloaded } from '@afterspan/testing'
import { expect, test } from 'vitest'
import { appFile } from './app.ts'

test.each(nodesUnderTest())(
  "where another module hook handed on odd conditions, our TypeError came instead of Node's: Node $major",
  async (node) => {
    const app = startPreloaded({ app: appFile('odd-conditions.cjs'), node: node.path })
    expect(await app.exit).toEqual({ code: 0, signal: null })
    expect([app.stdout, app.stderr]).toEqual(['ERR_INVALID_ARG_VALUE\n', ''])
  },
)
