import {
  get,
  nodesUnderTest,
  pollUntil,
  startPreloaded,
  type NodeUnderTest,
  type PreloadedApp,
} from '@afterspan/testing'
import { startOtlpSink, type OtlpSink } from 'afterspan/internal'
import { describe, expect, test } from 'vitest'
import { appFile, listening, traceIdOf } from './app.ts'
import { settledReceipt, toldTrace } from './receipts.ts'

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
]
const NOBODYS = ['pool', 'listener', 'bound']

async function started(node: NodeUnderTest): Promise<{ app: PreloadedApp; sink: OtlpSink; url: string }> {
  const sink = await startOtlpSink()
  const env = { OTEL_SERVICE_NAME: 'web' }
  const app = startPreloaded({ app: appFile('strays.cjs'), node: node.path, sink, env })
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
