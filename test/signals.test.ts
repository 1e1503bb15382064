import { get, nodesUnderTest, pollUntil, startPreloaded } from '@afterspan/testing'
import { startOtlpSink } from 'afterspan/internal'
import { describe, expect, test } from 'vitest'
import { appFile, listening } from './app.ts'

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

  test('a service whose loop never turned again was deaf to signals', async () => {
    const app = startPreloaded({ app: appFile('stall.cjs'), node: node.path })
    const url = await listening(app)
    await app.adminUrl()
    get(`${url}/javascript?ms=1e9`).catch(() => {})
    await app.waitForLine(/^blocking$/)
    // The first ones come while our handler is still there: nobody can tell of them.
    await pollUntil(() => !app.signal('SIGTERM'), { timeoutMs: 20_000, intervalMs: 250, what: 'the end' })
    expect(await app.exit).toEqual({ code: null, signal: 'SIGTERM' })
    expect(app.stderr).toBe('')
  })
})

test('a service whose loop stood still for long says goodbye again once it turns', async () => {
  const sink = await startOtlpSink()
  const app = startPreloaded({ app: appFile('stall.cjs'), sink })
  const url = await listening(app)
  await app.adminUrl()
  expect((await get(`${url}/javascript?ms=4500`)).text).toBe('done')
  await get(`${url}/ok`)
  app.signal('SIGTERM')
  expect(await app.exit).toEqual({ code: null, signal: 'SIGTERM' })
  expect(app.stderr).toBe('')
  await sink.waitFor((spans) => spans.length === 2)
  await sink.close()
})
