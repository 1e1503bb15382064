// Work that the app itself names: track, runTask, openTask (docs/tracking-in-code.md).
import { bothFormats, get, nodesUnderTest, runApp, startPreloaded } from '@afterspan/testing'
import { startOtlpSink } from 'afterspan/internal'
import { describe, expect, test } from 'vitest'
import { appFile, listening, traceIdOf } from './app.ts'
import { expectReceipt, toldTrace } from './receipts.ts'

const NO_MAILER = { type: 'RangeError', message: 'no mailer' }
const KEPT = { verdict: 'kept', tasks: [{ state: 'succeeded', name: 'mail' }] }
const ENDS: Readonly<Record<string, { readonly verdict: string; readonly tasks: unknown }>> = {
  throws: { verdict: 'broken', tasks: [{ state: 'failed', reason: 'threw', attempts: [{ failure: NO_MAILER }] }] },
  rejects: { verdict: 'broken', tasks: [{ state: 'failed', reason: 'rejected', attempts: [{ failure: NO_MAILER }] }] },
  aborts: { verdict: 'kept', tasks: [{ state: 'cancelled', reason: 'aborted' }] },
  deadline: { verdict: 'broken', tasks: [{ state: 'failed', attempts: [{ failure: { type: 'TimeoutError' } }] }] },
  century: KEPT,
  nonsense: KEPT,
  // Longer than a record of the journal may be.
  long: { verdict: 'kept', tasks: [{ state: 'succeeded', system: 'process', name: 'mail '.repeat(200) }] },
  progress: { verdict: 'open', tasks: [{ state: 'running', progress: 0.25 }] },
  nested: both({ name: 'mail' }),
  left: { verdict: 'broken', tasks: [{ state: 'failed', attempts: [{ failure: { type: 'TaskScopeLeft' } }] }] },
  good: both({ name: 'mail', progress: 1 }),
  bad: { verdict: 'broken', tasks: [{ state: 'failed', attempts: [{ failure: NO_MAILER }] }] },
  cancelled: { verdict: 'kept', tasks: [{ state: 'cancelled' }] },
  asks: { verdict: 'unknown', tasks: [] },
}

/** In the same millisecond as often as not: then in no order. */
function both(mail: object): { readonly verdict: string; readonly tasks: unknown } {
  const attachment = { state: 'succeeded', name: 'attachment', depth: 1 }
  const tasks = [{ ...mail, state: 'succeeded', depth: 0 }, attachment]
  return {
    verdict: 'kept',
    tasks: expect.arrayContaining(tasks.map((task) => expect.objectContaining(task) as unknown)),
  }
}

bothFormats(
  'what the app tracks itself is a task of its request, however it ends, and nothing of it reaches the app',
  { cjs: appFile('tracking.cjs'), mjs: appFile('tracking.mjs') },
  async ({ app, node }) => {
    const sink = await startOtlpSink()
    const child = startPreloaded({ app, node: node.path, sink, env: { OTEL_SERVICE_NAME: 'web' } })
    const url = await listening(child)
    const admin = await child.adminUrl()
    const traces = new Map<string, string>()
    for (const act of Object.keys(ENDS)) traces.set(act, traceIdOf(await get(`${url}/${act}`)))
    for (const [act, traceId] of traces) await expectReceipt(admin, traceId, ENDS[act]!)
    expect(await toldTrace(sink, traces.get('throws')!, 'failed')).toMatchInlineSnapshot(`
      "· GET  SERVER web
      └─ ✗ mail  INTERNAL
           RangeError: no mailer
           task.state=failed task.reason=threw"
    `)
    // That a receipt was asked for was a call of the app's, which the patrol had refused.
    expect(sink.spans().filter(({ kind }) => kind === 'client')).toEqual([])
    expect(child.stdout).toContain('aborted TimeoutError\n')
    expect(child.stdout).toContain('aborted false\n')
    expect(child.stderr).toBe('')
    await child.stop()
    await sink.close()
  },
)

describe.each(nodesUnderTest())('on Node $major', (node) => {
  test('a task that had succeeded when its process exited in the same turn is not lost', async () => {
    const app = startPreloaded({ app: appFile('tracking.cjs'), node: node.path })
    const traceId = traceIdOf(await get(`${await listening(app)}/exit`))
    expect(await app.exit).toEqual({ code: 0, signal: null })
    const next = startPreloaded({ app: appFile('tracking.cjs'), node: node.path, ledgerDir: app.ledgerDir })
    await listening(next)
    await expectReceipt(await next.adminUrl(), traceId, KEPT)
    await next.stop()
  })

  test('an error that the preload had made was no AfterspanError of what the app imports', async () => {
    const env = { AFTERSPAN_PATROL: 'off' }
    const app = startPreloaded({ app: appFile('asks-receipt.cjs'), env, node: node.path })
    expect(await app.exit).toEqual({ code: 0, signal: null })
    expect(app.stdout).toBe('true AFS_PATROL_FAILED false\n')
  })

  test('a script that did nothing but ask for a receipt was told that nobody patrols', async () => {
    const app = startPreloaded({ app: appFile('asks-receipt.cjs'), node: node.path })
    expect(await app.exit).toEqual({ code: 0, signal: null })
    expect(app.stdout).toBe('unknown\n')
  })

  test('what the app imports loaded all of core, which took longer than the preload', async () => {
    const app = runApp({ args: [appFile('in-code.cjs')], node: node.path })
    await app.exit
    const names = ['@afterspan/core', '@afterspan/health', '@afterspan/async-tracker', 'afterspan']
    expect(app.stdout.trim().split('\n')).toEqual(names.map((name) => `${name} 1`))
  })

  test('without the preload the same code runs, deadlines abort, and nothing is printed', async () => {
    const app = runApp({ args: [appFile('tracking.cjs')], node: node.path })
    const url = await listening(app)
    for (const act of Object.keys(ENDS)) {
      expect((await get(`${url}/${act}`)).text).toBe('ok')
      await app.waitForLine(new RegExp(`^left /${act}$`))
    }
    await app.waitForLine(/^aborted TimeoutError$/)
    await get(`${url}/exit`)
    expect(await app.exit).toEqual({ code: 0, signal: null })
    expect(app.stderr).toBe('')
  })
})
