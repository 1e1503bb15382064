import {
  bothFormats,
  get,
  present,
  service,
  startPreloaded,
  tempDir,
  type MissingServer,
  type ServerOf,
} from '@afterspan/testing'
import { startOtlpSink } from 'afterspan/internal'
import { afterAll, beforeAll, describe, expect } from 'vitest'
import { appFile, listening, traceIdOf } from './app.ts'
import { expectReceipt, toldTrace } from './receipts.ts'

let postgres: ServerOf['postgres'] | MissingServer
beforeAll(async () => {
  postgres = await service('postgres')
})
afterAll(async () => {
  if (!('missing' in postgres)) await postgres.stop()
})

describe('a service whose work goes to Graphile Worker', () => {
  bothFormats(
    'every end of a job stands in the receipt and in the request’s own trace',
    { cjs: appFile('graphile-worker.cjs'), mjs: appFile('graphile-worker.mjs') },
    async ({ app, node, context }) => {
      const { url: DATABASE_URL } = present(postgres, context)
      const sink = await startOtlpSink()
      const ledgerDir = tempDir('ledger')
      const start = (role: string, env: Record<string, string> = {}): ReturnType<typeof startPreloaded> =>
        startPreloaded({
          app,
          node: node.path,
          sink,
          ledgerDir,
          env: { DATABASE_URL, ROLE: role, OTEL_SERVICE_NAME: role, ...env },
        })
      const web = start('web')
      const url = await listening(web)
      const admin = await web.adminUrl()
      const worker = start('worker')
      await worker.waitForLine(/^ready$/)
      const send = async (how: string): Promise<{ trace: string; body: unknown }> => {
        const response = await get(`${url}/send/${how}`)
        return { trace: traceIdOf(response), body: JSON.parse(response.text) as unknown }
      }

      const good = await send('succeeds')
      // What is carried nobody sees: not who added the job, not who listens, not who runs it.
      expect(good.body).toMatchObject({ payload: { loud: true, n: 1 }, flags: { own: true } })
      await worker.waitForLine(/^event \[\{"loud":true,"n":1\},\{"own":true\}\]$/)
      await worker.waitForLine(/^job \{"loud":true,"n":1\}$/)
      await expectReceipt(admin, good.trace, {
        verdict: 'kept',
        tasks: [
          {
            state: 'succeeded',
            system: 'graphile-worker',
            destination: 'mail',
            messageId: (good.body as { id: string }).id,
            attempts: [{ n: 1 }],
          },
        ],
      })
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

      const bad = await send('fails')
      const batch = await send('batch')
      const refused = await send('refused')
      expect(refused.body).toEqual({ code: 'GWBKM' })
      await expectReceipt(admin, refused.trace, { tasks: [{ state: 'lost', reason: 'never_enqueued' }] })
      const removed = await send('removed')
      expect(removed.body).toMatchObject([{ payload: { n: 4 } }])
      await expectReceipt(admin, removed.trace, { verdict: 'kept', tasks: [{ state: 'cancelled', reason: 'aborted' }] })
      const buried = await send('buried')
      await expectReceipt(admin, buried.trace, { tasks: [{ state: 'failed', reason: 'dead_lettered' }] })

      // A job under a key is replaced by the next, unless that asks for the first to be kept.
      const early = await send('later')
      const late = await send('later')
      const deduped = await send('deduped')
      await expectReceipt(admin, early.trace, { tasks: [{ state: 'cancelled', reason: 'deduplicated' }] })
      await expectReceipt(admin, deduped.trace, { tasks: [{ state: 'cancelled', reason: 'deduplicated' }] })
      await expectReceipt(admin, late.trace, { verdict: 'open', tasks: [{ state: 'enqueued' }] })

      const hurry = async ({ body }: { readonly body: unknown }): Promise<void> => {
        await get(`${url}/hurry/${(body as { id: string }).id}`)
      }
      for (const one of [bad, batch]) {
        await expectReceipt(admin, one.trace, { tasks: [{ state: 'retrying', attempts: [{ n: 1 }] }] })
        await hurry(one)
      }
      const attempts = [
        { n: 1, state: 'retrying' },
        { n: 2, state: 'failed' },
      ]
      await expectReceipt(admin, bad.trace, {
        verdict: 'broken',
        tasks: [{ state: 'failed', reason: 'retries_exhausted', attempts }],
      })
      expect(await toldTrace(sink, bad.trace, 'retrying', 'failed')).toMatchInlineSnapshot(`
        "· GET /send/:how  SERVER web
        └─ · send mail  PRODUCER
           ├─ ✗ process mail  CONSUMER worker
           │    TypeError: the mail server said no
           │    task.state=retrying task.reason=rejected task.attempt=1
           └─ ✗ process mail  CONSUMER worker
                TypeError: the mail server said no
                task.state=failed task.reason=retries_exhausted task.attempt=2"
      `)
      expect(sink.trace(bad.trace).filter(({ name }) => name.startsWith('pg'))).toEqual([])

      // One bad message of a batch: only that one is tried again.
      await expectReceipt(admin, batch.trace, {
        verdict: 'broken',
        tasks: [{ reason: 'retries_exhausted', destination: 'batch', attempts }],
      })

      const doomed = await send('hangs')
      await worker.waitForLine(/^job \{"hangs":true\}$/)
      await worker.stop()
      await expectReceipt(admin, doomed.trace, {
        verdict: 'broken',
        tasks: [{ state: 'lost', reason: 'process_killed', evidence: 'process_gone', flags: { recovered: false } }],
      })

      // Its lock would last four hours.
      const second = start('worker', { UNLOCK: '1' })
      await second.waitForLine(/^job \{"hangs":true\}$/)
      second.signal('SIGTERM')
      expect(await second.exit).toEqual({ code: 0, signal: null })
      await expectReceipt(admin, doomed.trace, {
        tasks: [
          { state: 'retrying', flags: { recovered: true }, attempts: [{ state: 'lost' }, { state: 'retrying' }] },
        ],
      })
      await hurry(doomed)

      const third = start('worker', { FAST: '1', CRON: '1' })
      await expectReceipt(admin, doomed.trace, {
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

      for (const { stderr } of [web, worker, second, third]) expect(stderr).toBe('')
      await Promise.all([web.stop(), third.stop(), sink.close()])
    },
  )
})
