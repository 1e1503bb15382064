import {
  get,
  nodesUnderTest,
  pollUntil,
  startPreloaded,
  type NodeUnderTest,
  type PreloadedApp,
} from '@afterspan/testing'
import { startOtlpSink, type OtlpSink, type StoredSpan } from 'afterspan/internal'
import { describe, expect, test } from 'vitest'
import { appFile, listening, traceIdOf } from './app.ts'
import { expectReceipt, settledReceipt, toldTrace } from './receipts.ts'

const OWN: readonly (readonly [act: string, reason: 'rejected' | 'threw'])[] = [
  ['timer', 'threw'],
  ['immediate', 'threw'],
  ['tick', 'threw'],
  ['interval', 'threw'],
  ['rejection', 'rejected'],
  ['async', 'rejected'],
  ['nested', 'threw'],
  ['stream', 'threw'],
  ['emitter', 'threw'],
  ['callback', 'threw'],
  ['double', 'threw'],
  ['debounced', 'threw'],
  ['limited', 'rejected'],
  ['generator', 'rejected'],
  ['timeout', 'threw'],
  ['zlib', 'threw'],
  ['dns', 'threw'],
  ['abandoned', 'rejected'],
  ['disposed', 'rejected'],
  ['subclass', 'rejected'],
  ['twice', 'rejected'],
  ['piped', 'threw'],
  ['web', 'rejected'],
  ['captured', 'threw'],
  ['target', 'threw'],
  ['imported', 'rejected'],
  ['cycle', 'rejected'],
  ['getters', 'threw'],
  ['microtask', 'threw'],
  ['bound', 'threw'],
  ['snapshot', 'threw'],
]
const NOBODYS = ['pool', 'listener', 'scoped']

async function started(
  node: NodeUnderTest,
  ...args: string[]
): Promise<{ app: PreloadedApp; sink: OtlpSink; url: string }> {
  const sink = await startOtlpSink()
  const env = { OTEL_SERVICE_NAME: 'web' }
  const app = startPreloaded({ app: appFile('strays.cjs'), node: node.path, sink, env, args })
  return { app, sink, url: await listening(app) }
}

describe.each(nodesUnderTest())('on Node $major', (node) => {
  test('what an app catches by its last handlers is a failed task of the request that left it behind', async () => {
    const { app, sink, url } = await started(node)
    const traces = await Promise.all(OWN.map(async ([act]) => traceIdOf(await get(`${url}/${act}`))))
    const admin = await app.adminUrl()
    for (const [i, [act, reason]] of OWN.entries()) {
      const { tasks } = await settledReceipt(admin, traces[i]!, ({ verdict }) => verdict === 'broken')
      expect([act, tasks]).toMatchObject([act, [{ state: 'failed', reason, name: 'RangeError' }]])
    }
    expect(await toldTrace(sink, traces[4]!, 'failed')).toMatchInlineSnapshot(`
      "· GET  SERVER web
      └─ ✗ unhandledRejection  INTERNAL
           RangeError: nobody awaits this
           task.state=failed task.reason=rejected"
    `)
    expect(app.stderr).toBe('')
    await app.stop()
    await sink.close()
  })

  test('a rejection was told of nobody in an app whose only handler is that of uncaught exceptions', async () => {
    const { app, sink, url } = await started(node, 'exceptions')
    const acts = ['rejection', 'async', 'twice', 'fetch', 'abort']
    const traces = await Promise.all(acts.map(async (act) => traceIdOf(await get(`${url}/${act}`))))
    const admin = await app.adminUrl()
    for (const traceId of traces.slice(0, 3)) {
      const failed = { state: 'failed', reason: 'rejected', name: 'RangeError' }
      const { tasks } = await expectReceipt(admin, traceId, { verdict: 'broken', tasks: [failed] })
      expect(tasks).toHaveLength(1)
    }
    expect((await expectReceipt(admin, traces[3]!, { verdict: 'broken' })).tasks).toMatchObject([{ name: 'GET' }])
    await expectReceipt(admin, traces[4]!, { tasks: [{ state: 'cancelled', reason: 'aborted' }] })
    expect(await toldTrace(sink, traces[0]!, 'failed')).toContain('unhandledRejection')
    expect(app.stdout.match(/^caught /gm)).toHaveLength(acts.length + 1)
    expect(app.stderr).toBe('')
    await app.stop()
    await sink.close()
  })

  test('a rejection lasted as long as it took to know that nobody would handle it', async () => {
    const { app, sink, url } = await started(node)
    const traceId = traceIdOf(await get(`${url}/rejection`))
    const told = (): StoredSpan[] => sink.trace(traceId).filter(({ name }) => name === 'unhandledRejection')
    await sink.waitFor(() => told().length > 0)
    expect(told().map(({ startMs, endMs }) => endMs - startMs)).toEqual([0])
    // Each of a thousand was told, for which the app stood still.
    await get(`${url}/flood`)
    const metrics = async (): Promise<string> => (await get(`${await app.adminUrl()}/metrics`)).text
    await expect.poll(metrics, { timeout: 20_000, interval: 150 }).toMatch(/^afterspan_untold_errors_total 900$/m)
    await app.stop()
    await sink.close()
  })

  test('a rejection that is handled late is withdrawn, and an abort is cancelled', async () => {
    const { app, sink, url } = await started(node)
    const traces = await Promise.all(
      ['late', 'abort', 'tooLate'].map(async (act) => traceIdOf(await get(`${url}/${act}`))),
    )
    const admin = await app.adminUrl()
    const over = async (i: number, state: string) =>
      (await settledReceipt(admin, traces[i]!, ({ tasks }) => tasks[0]?.state === state)).tasks
    expect(await over(0, 'cancelled')).toMatchObject([{ reason: 'handled' }])
    expect(await over(1, 'cancelled')).toMatchObject([{ reason: 'aborted' }])
    expect(await over(2, 'failed')).toMatchObject([{ reason: 'rejected' }])
    app.signal('SIGUSR2')
    expect(await over(2, 'cancelled')).toMatchObject([{ reason: 'handled' }])
    // Node's own word on it, which a listener would have taken away.
    await pollUntil(() => app.stderr.split('PromiseRejectionHandledWarning').length === 3, { what: 'the warnings' })
    expect(app.stderr).not.toContain('[afterspan]')
    await app.stop()
    await sink.close()
  })

  test('a call or child process whose error nobody caught was told as two failed tasks', async () => {
    const { app, sink, url } = await started(node)
    const acts = ['call', 'fetch', 'child', 'exec', 'overlong', 'overfull']
    const traces = await Promise.all(acts.map(async (act) => traceIdOf(await get(`${url}/${act}`))))
    await pollUntil(() => app.stdout.split('caught ').length > acts.length, { what: 'what the app has caught' })
    // A rejection that comes after these, and waits as long for somebody to handle it, is told: so would theirs be.
    const later = traceIdOf(await get(`${url}/rejection`))
    const admin = await app.adminUrl()
    await expectReceipt(admin, later, { verdict: 'broken' })
    for (const [i, act] of acts.entries()) {
      const { tasks } = await expectReceipt(admin, traces[i]!, { verdict: 'broken' })
      expect([act, tasks.map(({ name, state }) => `${name} ${state}`)]).toEqual([
        act,
        [expect.stringContaining('failed')],
      ])
    }
    await app.stop()
    await sink.close()
  })

  test('a promise for which two requests waited failed one of them alone', async () => {
    const { app, sink, url } = await started(node)
    const traces = await Promise.all([1, 2].map(async () => traceIdOf(await get(`${url}/shared`))))
    for (const traceId of traces) {
      const { tasks } = await expectReceipt(await app.adminUrl(), traceId, { verdict: 'broken' })
      expect(tasks).toMatchObject([{ state: 'failed', name: 'RangeError' }])
    }
    await app.stop()
    await sink.close()
  })

  test('what a handler threw behind its response was caught by its framework, and told by nobody', async () => {
    const sink = await startOtlpSink()
    const env = { OTEL_SERVICE_NAME: 'web' }
    const app = startPreloaded({ app: appFile('behind-response.cjs'), node: node.path, sink, env })
    const url = await listening(app)
    const admin = await app.adminUrl()
    const trace = async (path: string): Promise<string> => traceIdOf(await get(`${url}/${path}`))
    const good = ['express/good', 'express/refused', 'express/twice', 'fastify/good', 'fastify/hook/good']
    const quiet = await Promise.all(good.map(trace))
    const told = async (framework: string): Promise<void> => {
      const [bad, aborted] = await Promise.all([trace(`${framework}/bad`), trace(`${framework}/abort`)])
      const { tasks } = await expectReceipt(admin, bad, { verdict: 'broken' })
      expect([framework, tasks]).toMatchObject([framework, [{ state: 'failed', reason: 'threw', name: 'RangeError' }]])
      await expectReceipt(admin, aborted, { verdict: 'kept', tasks: [{ state: 'cancelled', reason: 'aborted' }] })
      expect(await toldTrace(sink, bad, 'failed')).toContain('afterResponse')
    }
    const all = ['express', 'fastify', 'fastify/hook', 'fastify/route', 'fastify/raw', 'koa']
    await Promise.all(all.map(told))
    for (const traceId of quiet)
      expect(JSON.parse((await get(`${admin}/receipt/${traceId}`)).text)).toMatchObject({ tasks: [] })
    await app.stop()
    await sink.close()
  })

  test('an error that a domain caught was told as a failed task, and a time-out as the wish of the app', async () => {
    const { app, sink, url } = await started(node)
    const [caught, overtime] = [traceIdOf(await get(`${url}/domain`)), traceIdOf(await get(`${url}/overtime`))]
    const admin = await app.adminUrl()
    await expectReceipt(admin, overtime, { tasks: [{ state: 'failed', reason: 'rejected', name: 'AbortError' }] })
    expect(JSON.parse((await get(`${admin}/receipt/${caught}`)).text)).toMatchObject({ tasks: [] })
    await app.stop()
    await sink.close()
  })

  test('a crash by a call without a listener was told as two failed tasks', async () => {
    const sink = await startOtlpSink()
    const env = { OTEL_SERVICE_NAME: 'web' }
    const options = { app: appFile('strays.cjs'), node: node.path, sink, env }
    const app = startPreloaded({ ...options, args: ['bare'] })
    const traceId = traceIdOf(await get(`${await listening(app)}/call`))
    expect((await app.exit).code).toBe(1)
    const next = startPreloaded({ ...options, ledgerDir: app.ledgerDir })
    const pattern = { verdict: 'broken', tasks: [{ state: 'failed', name: 'GET' }] }
    await expectReceipt(await next.adminUrl(), traceId, pattern)
    await sink.waitFor(
      (spans) => spans.some(({ attributes }) => attributes['afterspan.crash.role'] === 'culprit'),
      20_000,
    )
    expect(await toldTrace(sink, traceId, 'failed')).toMatchInlineSnapshot(`
      "· GET  SERVER web
      ├─ ✗ GET  CLIENT
      │    ECONNREFUSED: connect ECONNREFUSED 127.0.0.1:*
      │    task.state=failed task.reason=rejected
      └─ ✗ uncaughtException  INTERNAL
           ECONNREFUSED: connect ECONNREFUSED 127.0.0.1:*
           crash.role=culprit"
    `)
    await next.stop()
    await sink.close()
  })

  test('a crash by what a task had left behind was in no trace, once the task was done', async () => {
    const sink = await startOtlpSink()
    const options = { app: appFile('strays.cjs'), node: node.path, sink, env: { OTEL_SERVICE_NAME: 'web' } }
    const app = startPreloaded({ ...options, args: ['bare'] })
    const traceId = traceIdOf(await get(`${await listening(app)}/task`))
    expect((await app.exit).code).toBe(1)
    const next = startPreloaded({ ...options, ledgerDir: app.ledgerDir })
    const failed = { state: 'failed', reason: 'threw', name: 'RangeError', depth: 1 }
    const pattern = { verdict: 'broken', tasks: [{ state: 'succeeded', name: 'sum' }, failed] }
    await expectReceipt(await next.adminUrl(), traceId, pattern)
    expect(await toldTrace(sink, traceId, 'failed')).toContain('crash.role=culprit')
    await next.stop()
    await sink.close()
  })

  test.each(NOBODYS)(
    'an error of which nobody can say whose it is (%s) is a row of nobody with the candidates',
    async (act) => {
      const { app, sink, url } = await started(node)
      const [first, guilty] = [traceIdOf(await get(`${url}/done`)), traceIdOf(await get(`${url}/${act}`))]
      const admin = await app.adminUrl()
      const rows = await pollUntil(
        async () => {
          const { tasks } = JSON.parse((await get(`${admin}/tasks`)).text) as { tasks?: Record<string, unknown>[] }
          return tasks?.length ? tasks : undefined
        },
        { timeoutMs: 20_000 },
      )
      expect(rows).toMatchObject([{ state: 'failed', reason: 'threw', unattributed: true, error_type: 'RangeError' }])
      expect(rows[0]!['candidates']).toEqual(expect.arrayContaining([first, guilty]))
      expect([first, guilty]).not.toContain(rows[0]!['trace_id'])
      await app.stop()
      await sink.close()
    },
  )
})
