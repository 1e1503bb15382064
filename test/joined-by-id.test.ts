// Queues whose messages take no trace context along: the run finds its task by what the queue calls the message.
import { node, sharedService } from '@afterspan/testing'
import type { StoredSpan } from 'afterspan/internal'
import { describe, expect, test } from 'vitest'
import { appFile } from './app.ts'
import { expectReceipt, toldTrace } from './receipts.ts'
import { startRoles } from './roles.ts'

const postgres = sharedService('postgres')

describe.each([
  ['pg-boss', { AFTERSPAN_PGBOSS_CARRIER: 'off' }],
  ['graphile-worker', { AFTERSPAN_GRAPHILE_WORKER_CARRIER: 'off' }],
] as const)('%s without the context in its jobs', (system, carrierOff) => {
  test('done, failed, killed and recovered work stands in the receipt of its request', async (context) => {
    const { url: DATABASE_URL } = postgres(context)
    const env = { DATABASE_URL, ...carrierOff }
    const roles = await startRoles({ app: appFile(`${system}.cjs`), node: node(24), env })
    const worker = await roles.startReady('worker')
    const traceIds = { done: await roles.ask('/send/succeeds'), broken: await roles.ask('/send/fails'), killed: '' }
    const { tasks } = await expectReceipt(roles.admin, traceIds.done, {
      verdict: 'kept',
      request: { status: 200 },
      tasks: [{ state: 'succeeded', system, confirmed: true, attempts: [{ n: 1, state: 'succeeded' }] }],
    })
    const [done] = tasks
    const attempts = [{ state: 'retrying' }, { state: 'failed' }]
    await expectReceipt(roles.admin, traceIds.broken, {
      verdict: 'broken',
      tasks: [{ state: 'failed', reason: 'retries_exhausted', system, attempts }],
    })
    // The trace of the run is not that of the request; asked by it, the receipt said that nothing was known.
    const isRun = ({ kind, attributes }: StoredSpan): boolean =>
      kind === 'consumer' && attributes['messaging.message.id'] === done!.messageId
    await roles.sink.waitFor((spans) => spans.some(isRun))
    await expectReceipt(roles.admin, roles.sink.spans().find(isRun)!.traceId, {
      verdict: 'kept',
      request: { status: 200 },
      tasks: [{ state: 'succeeded', taskId: done!.taskId, origin: { traceId: traceIds.done } }],
    })
    // Each attempt has a trace of its own, and stands in that of the request.
    const drawing = await toldTrace(roles.sink, traceIds.broken, 'retrying', 'failed')
    expect(drawing).toMatch(/✗ process mail {2}CONSUMER worker(.|\n)*✗ process mail {2}CONSUMER worker/)

    await worker.stop()
    const next = await roles.startReady('worker')
    traceIds.killed = await roles.ask('/send/hangs')
    await next.waitForLine(/^job \{"hangs":true\}$/)
    await next.stop()
    const lost = { state: 'lost', reason: 'process_killed', evidence: 'process_gone', messageId: expect.any(String) }
    await expectReceipt(roles.admin, traceIds.killed, { verdict: 'broken', tasks: [lost] })
    expect(await toldTrace(roles.sink, traceIds.killed, 'lost')).toContain('task.state=lost task.reason=process_killed')
    // Graphile Worker gives the jobs of the dead to others after four hours.
    if (system === 'pg-boss') {
      roles.start('worker', { FAST: '1' })
      await expectReceipt(roles.admin, traceIds.killed, {
        verdict: 'kept',
        tasks: [
          { flags: { recovered: true, duplicate: false }, attempts: [{ state: 'lost' }, { state: 'succeeded' }] },
        ],
      })
    }
    expect(roles.stderr()).toBe('')
    await roles.stop()
  })
})
