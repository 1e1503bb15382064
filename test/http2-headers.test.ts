import { nodesUnderTest, startPreloaded } from '@afterspan/testing'
import { expect, test } from 'vitest'
import { appFile } from './app.ts'

test.each(nodesUnderTest())(
  'a secret header of an HTTP/2 request whose headers are a list was compressed: Node $major',
  async (node) => {
    const app = startPreloaded({ app: appFile('http2-sensitive.cjs'), node: node.path })
    expect(await app.exit).toEqual({ code: 0, signal: null })
    expect([app.stdout, app.stderr]).toEqual(['["secret"]\n', ''])
  },
)
