import { nodesUnderTest, startPreloaded } from '@afterspan/testing'
import { startOtlpSink } from 'afterspan/internal'
import { expect, test } from 'vitest'
import { appFile } from './app.ts'

test.each(nodesUnderTest())(
  'an app that put its own object in place of `process` got a TypeError of ours: Node $major',
  async (node) => {
    const sink = await startOtlpSink()
    const app = startPreloaded({ app: appFile('other-process.cjs'), node: node.path, sink })
    expect(await app.exit).toEqual({ code: 0, signal: null })
    expect([app.stdout, app.stderr]).toEqual(['200\n', ''])
    await sink.waitFor((spans) => spans.length === 2)
    await sink.close()
  },
)
