// One ledger for several hosts. Each ledger folder is a host here: its own journals, its own patrol.
import { get, nodesUnderTest, sharedService, startPreloaded, tempDir } from '@afterspan/testing'
import { startOtlpSink } from 'afterspan/internal'
import { describe, expect, test } from 'vitest'
import { appFile, listening, traceIdOf } from './app.ts'
import { expectReceipt, toldTrace } from './receipts.ts'

const jobs = sharedService('postgres')
const ledger = sharedService('postgres')

describe('a web service and its worker on two hosts, with one ledger', () => {
  test.for(nodesUnderTest())('Node $major', async (node, context) => {
    const { url: DATABASE_URL } = jobs(context)
    const store = ledger(context)
    const sink = await startOtlpSink()
    const folders = { web: tempDir('ledger'), worker: tempDir('ledger') }
    const start = (role: keyof typeof folders, more: Record<string, string> = {}): ReturnType<typeof startPreloaded> =>
      startPreloaded({
        app: appFile('pg-boss.cjs'),
        node: node.path,
        sink,
        ledgerDir: folders[role],
        env: { DATABASE_URL, AFTERSPAN_LEDGER_URL: store.url, ROLE: role, OTEL_SERVICE_NAME: role, ...more },
      })
    const web = start('web')
    const url = await listening(web)
    const admin = await web.adminUrl()
    const worker = start('worker')
    await worker.waitForLine(/^ready$/)
    const send = async (how: string): Promise<string> => traceIdOf(await get(`${url}/send/${how}`))

    // The receipt is asked of the host that answered; the work was done on the other.
    const good = await send('succeeds')
    await expectReceipt(admin, good, {
      verdict: 'kept',
      request: { route: '/send/:how', status: 200 },
      tasks: [{ state: 'succeeded', attempts: [{ n: 1 }] }],
    })

    const doomed = await send('hangs')
    await worker.waitForLine(/^job \{"hangs":true\}$/)
    await worker.stop()
    const next = start('worker', { FAST: '1' })
    await expectReceipt(admin, doomed, {
      verdict: 'kept',
      tasks: [
        { state: 'succeeded', flags: { recovered: true }, attempts: [{ state: 'lost' }, { state: 'succeeded' }] },
      ],
    })
    expect(await toldTrace(sink, doomed, 'lost')).toContain('process_killed')

    // The database stands still: requests go on, journals wait, and catch up.
    await store.freeze()
    const meanwhile = await send('succeeds')
    await next.waitForLine(/^job \{"succeeds":true\}$/)
    await store.thaw()
    await expectReceipt(admin, meanwhile, {
      verdict: 'kept',
      tasks: [{ state: 'succeeded' }],
    })
    const rows = JSON.parse((await get(`${admin}/tasks`)).text) as { tasks: { trace_id: string }[] }
    for (const trace of [good, doomed, meanwhile])
      expect(rows.tasks.filter(({ trace_id: id }) => id === trace)).toHaveLength(1)
    expect(web.stderr).toBe('')
    await Promise.all([web.stop(), next.stop(), sink.close()])
  })
})
