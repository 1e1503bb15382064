import { nodesUnderTest, startPreloaded } from '@afterspan/testing'
import { expect, test } from 'vitest'
import { appFile } from './app.ts'

test.each(nodesUnderTest())('our listener was the eleventh, of which Node warns: Node $major', async (node) => {
  // Beside one of ours the app adds ten of its own.
  const app = startPreloaded({ app: appFile('listeners.cjs'), node: node.path, env: { OURS: '1' } })
  expect(await app.exit).toEqual({ code: 0, signal: null })
  expect([app.stdout, app.stderr]).toEqual(['done\n', ''])
})

test.each(nodesUnderTest())(
  'our listener on process was the eleventh, of which Node warns: Node $major',
  async (node) => {
    const start = (listeners: string) =>
      startPreloaded({ app: appFile('process-listeners.cjs'), args: [listeners], node: node.path })
    const quiet = start('10')
    expect(await quiet.exit).toEqual({ code: 0, signal: null })
    expect([quiet.stdout, quiet.stderr]).toEqual(['10, then 10\n', ''])
    // One more, and Node says of each event what it says without us.
    const loud = start('11')
    await loud.exit
    const warned = loud.stderr.match(/(?<=\d\d )\w+(?= listeners added)/g)
    expect(warned).toEqual(['exit', 'uncaughtExceptionMonitor', 'SIGTERM', 'SIGHUP', 'unhandledRejection'])
  },
)

test.each(nodesUnderTest())(
  'a listener that was to be called once stayed on a request, and on a server for handshakes: Node $major',
  async (node) => {
    const app = startPreloaded({ app: appFile('once-listeners.cjs'), node: node.path })
    expect(await app.exit).toEqual({ code: 0, signal: null })
    const answers = ['HTTP/1.1 101 Switching Protocols', 'HTTP/1.1 200 OK']
    expect(JSON.parse(app.stdout)).toEqual({ data: 0, end: 0, upgrade: 0, answers })
    expect(app.stderr).toBe('')
  },
)
