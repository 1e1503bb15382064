import { nodesUnderTest, startPreloaded } from '@afterspan/testing'
import { startOtlpSink } from 'afterspan/internal'
import { describe, expect, test } from 'vitest'
import { appFile } from './app.ts'

describe.each(nodesUnderTest())('Node $major', (node) => {
  test.each([
    ['SIGTERM', 'at once'],
    ['SIGINT', 'at once'],
    ['SIGHUP', 'at once'],
    ['SIGTERM', 'handled'],
    ['SIGINT', 'handled'],
  ] as const)('an app that sent itself %s, %s, ended with an exit code', async (signal, how) => {
    const sink = await startOtlpSink()
    const app = startPreloaded({ app: appFile('signals-itself.cjs'), args: [signal, how], node: node.path, sink })
    await app.waitForLine(/^served$/)
    await app.adminUrl()
    app.signal('SIGUSR2')
    expect(await app.exit).toEqual({ code: null, signal })
    expect([app.stdout, app.stderr]).toEqual(['served\n', ''])
    // What it had served is told.
    await sink.waitFor((spans) => spans.length === 2)
    await sink.close()
  })

  test.each(['SIGTERM', 'SIGINT', 'SIGHUP'] as const)('a script that computes was deaf to %s', async (signal) => {
    const app = startPreloaded({ app: appFile('computes.cjs'), node: node.path })
    await app.waitForLine(/^computes$/)
    app.signal(signal)
    expect(await app.exit).toEqual({ code: null, signal })
    expect(app.stderr).toBe('')
  })
})
