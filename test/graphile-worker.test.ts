import { formatsInTurn, get, nodesUnderTest, sharedService, startPreloaded, tempDir } from '@afterspan/testing'
import { describe, expect, test } from 'vitest'
import { appFile, listening, traceIdOf } from './app.ts'
import {
  holdsAll,
  holdsItsTongue,
  holdsWhatFails,
  holdsWhatIsDone,
  holdsWhatIsKilled,
  type QueueUnderTest,
} from './queue-conformance.ts'
import { expectReceipt } from './receipts.ts'
import { startRoles, type Roles } from './roles.ts'

// Its lock of a job that was not done lasts four hours.
const QUEUE: QueueUnderTest = {
  system: 'graphile-worker',
  destination: 'mail',
  hanging: /^job \{"hangs":true\}$/,
  comesAgain: false,
}

const postgres = sharedService('postgres')

describe('a service whose work goes to Graphile Worker', () => {
  formatsInTurn(
    'every end of a job stands in the receipt and in the request’s own trace',
    { cjs: appFile('graphile-worker.cjs'), mjs: appFile('graphile-worker.mjs') },
    async ({ app, node, context }) => {
      const roles = await startRoles({ app, node, env: { DATABASE_URL: postgres(context).url } })
      const { admin, sink, start, url } = roles
      const worker = await roles.startReady('worker')
      const send = async (how: string): Promise<{ trace: string; body: unknown }> => {
        const response = await get(`${url}/send/${how}`)
        return { trace: traceIdOf(response), body: JSON.parse(response.text) as unknown }
      }

      const good = await send('succeeds')
      // What is carried nobody sees: not who added the job, not who listens, not who runs it.
      expect(good.body).toMatchObject({ payload: { loud: true, n: 1 }, flags: { own: true } })
      await worker.waitForLine(/^event \[\{"loud":true,"n":1\},\{"own":true\}\]$/)
      await worker.waitForLine(/^job \{"loud":true,"n":1\}$/)
      const messageId = (good.body as { id: string }).id
      await expectReceipt(admin, good.trace, { tasks: [{ messageId, attempts: [{ n: 1 }] }] })
      await holdsWhatIsDone(roles, QUEUE)
      const many = await send('many')
      await expectReceipt(admin, many.trace, {
        verdict: 'kept',
        tasks: [1, 2, 3].map(() => ({ state: 'succeeded', attempts: [{ state: 'succeeded' }] })),
      })
      const family = await send('spawns')
      await expectReceipt(admin, family.trace, { verdict: 'kept', tasks: [{ depth: 0 }, { depth: 1 }] })
      const empty = await send('empty')
      expect(empty.body).toMatchObject({ payload: {} })
      await worker.waitForLine(/^job \{\}$/)

      const batch = await send('batch')
      const refused = await send('refused')
      expect(refused.body).toEqual({ code: 'GWBKM' })
      await expectReceipt(admin, refused.trace, { tasks: [{ state: 'lost', reason: 'never_enqueued' }] })
      const removed = await send('removed')
      expect(removed.body).toMatchObject([{ payload: { n: 4 } }])
      await expectReceipt(admin, removed.trace, { verdict: 'kept', tasks: [{ state: 'cancelled', reason: 'aborted' }] })
      const buried = await send('buried')
      await expectReceipt(admin, buried.trace, { tasks: [{ state: 'failed', reason: 'dead_lettered' }] })

      // What the app adds by SQL was nobody's.
      const bySql = await send('sql')
      const ran = [{ n: 1, state: 'succeeded' }]
      await expectReceipt(admin, bySql.trace, { verdict: 'kept', tasks: [{ state: 'succeeded', attempts: ran }] })
      const undone = await send('rolledback')
      const rolledBack = { state: 'cancelled', reason: 'rolled_back', attempts: [] }
      await expectReceipt(admin, undone.trace, { verdict: 'kept', tasks: [rolledBack] })

      // A job under a key is replaced by the next, unless that asks for the first to be kept.
      const early = await send('later')
      const late = await send('later')
      const deduped = await send('deduped')
      await expectReceipt(admin, early.trace, { tasks: [{ state: 'cancelled', reason: 'deduplicated' }] })
      await expectReceipt(admin, deduped.trace, { tasks: [{ state: 'cancelled', reason: 'deduplicated' }] })
      await expectReceipt(admin, late.trace, { verdict: 'open', tasks: [{ state: 'enqueued' }] })

      const bad = await holdsWhatFails(roles, QUEUE, (trace) => runAgain(roles, trace))
      expect(bad.drawing).toMatchInlineSnapshot(`
        "· GET /send/:how  SERVER web
        └─ · send mail  PRODUCER
           ├─ ✗ process mail  CONSUMER worker
           │    TypeError: the mail server said no
           │    task.state=retrying task.reason=rejected task.attempt=1
           └─ ✗ process mail  CONSUMER worker
                TypeError: the mail server said no
                task.state=failed task.reason=retries_exhausted task.attempt=2"
      `)
      expect(sink.trace(bad.traceId).filter(({ name }) => name.startsWith('pg'))).toEqual([])

      // One bad message of a batch: only that one is tried again.
      await runAgain(roles, batch.trace)
      const attempts = [
        { n: 1, state: 'retrying' },
        { n: 2, state: 'failed' },
      ]
      await expectReceipt(admin, batch.trace, {
        verdict: 'broken',
        tasks: [{ reason: 'retries_exhausted', destination: 'batch', attempts }],
      })

      const doomed = await holdsWhatIsKilled(roles, worker, QUEUE)
      // Its lock would last four hours.
      const second = start('worker', { UNLOCK: '1' })
      await second.waitForLine(/^job \{"hangs":true\}$/)
      second.signal('SIGTERM')
      expect(await second.exit).toEqual({ code: 0, signal: null })
      await expectReceipt(admin, doomed.traceId, {
        tasks: [
          { state: 'retrying', flags: { recovered: true }, attempts: [{ state: 'lost' }, { state: 'retrying' }] },
        ],
      })
      await runAgain(roles, doomed.traceId)

      const third = start('worker', { FAST: '1', CRON: '1' })
      await expectReceipt(admin, doomed.traceId, {
        verdict: 'kept',
        tasks: [
          {
            flags: { recovered: true, duplicate: false },
            attempts: [{ state: 'lost' }, { state: 'retrying' }, { n: 3, state: 'succeeded' }],
          },
        ],
      })
      // What a timetable asks for is no request's.
      await third.waitForLine(/^job \{"_cron":/)
      await sink.waitFor((spans) => spans.some(({ name, parentSpanId }) => name === 'process mail' && !parentSpanId))

      await holdsItsTongue(roles)
    },
  )

  test('the oldest version that is followed is followed as well', async (context) => {
    const env = { DATABASE_URL: postgres(context).url, LIBRARY: 'graphile-worker-oldest' }
    const roles = await startRoles({ app: appFile('graphile-worker.cjs'), node: nodesUnderTest()[0]!, env })
    expect(await holdsAll(roles, QUEUE, (trace) => runAgain(roles, trace))).toBe('')
  })

  test('jobs were not followed where a probe had opened the connection that brings word of them', async (context) => {
    const { url: DATABASE_URL } = postgres(context)
    const ledgerDir = tempDir('ledger')
    const start = (role: string, env: Record<string, string> = {}): ReturnType<typeof startPreloaded> =>
      startPreloaded({ app: appFile('graphile-worker.cjs'), ledgerDir, env: { DATABASE_URL, ROLE: role, ...env } })
    const web = start('web')
    const url = await listening(web)
    const worker = start('worker', { OPENED_BY_A_PROBE: '1' })
    await worker.waitForLine(/^ready$/)
    const done = { verdict: 'kept', tasks: [{ state: 'succeeded' }, { state: 'succeeded' }, { state: 'succeeded' }] }
    for (let round = 1; round <= 3; round++) {
      const traceId = traceIdOf(await get(`${url}/send/many`))
      expect(await expectReceipt(await web.adminUrl(), traceId, done)).toMatchObject(done)
    }
    await worker.stop()
    await web.stop()
  })
})

/** At once, what Graphile Worker would wait for longer and longer. */
async function runAgain({ admin, url }: Roles, traceId: string): Promise<void> {
  const { tasks } = await expectReceipt(admin, traceId, { tasks: [{ state: 'retrying' }] })
  await get(`${url}/hurry/${tasks[0]!.messageId}`)
}
