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

let nats: ServerOf['nats'] | MissingServer
let count = 0
beforeAll(async () => {
  nats = await service('nats')
})
afterAll(async () => {
  if (!('missing' in nats)) await nats.stop()
})

// Each of the two packages in one of the formats: neither knows which it is loaded by.
describe('a service whose work goes to JetStream', () => {
  bothFormats(
    'what became of each message stands in the receipt and in the request’s own trace',
    { cjs: appFile('nats.cjs'), mjs: appFile('nats.mjs') },
    async ({ app, node, context }) => {
      const { url: NATS_URL } = present(nats, context)
      const sink = await startOtlpSink()
      const QUEUE = `mail${++count}`
      const ledgerDir = tempDir('ledger')
      const start = (role: string, env: Record<string, string> = {}): ReturnType<typeof startPreloaded> =>
        startPreloaded({
          app,
          node: node.path,
          sink,
          ledgerDir,
          env: { NATS_URL, QUEUE, ROLE: role, OTEL_SERVICE_NAME: role, ...env },
        })
      const web = start('web')
      const url = await listening(web)
      const admin = await web.adminUrl()
      const worker = start('worker')
      await worker.waitForLine(/^ready$/)
      const ask = async (path: string): Promise<string> => traceIdOf(await get(`${url}/${path}`))
      // The spans come from several processes, each in its own time.
      const told = async (traceId: string, ...states: readonly string[]): Promise<string> => {
        await sink.waitFor(() => sink.trace(traceId).some(({ kind }) => kind === 'producer'))
        const text = (await toldTrace(sink, traceId, ...states)).replaceAll(QUEUE, 'mail')
        // The server may or may not count a delivery that nobody was there to get.
        return text.replace(/\n *task\.state=succeeded task\.attempt=\d/, '')
      }

      await expectReceipt(admin, await ask('soon/succeeds'), {
        verdict: 'kept',
        request: { route: '/soon/:how', status: 200 },
        tasks: [
          {
            system: 'nats',
            destination: `${QUEUE}.send`,
            confirmed: true,
            messageId: `${QUEUE}/1`,
            state: 'succeeded',
            attempts: [{ n: 1 }],
          },
        ],
      })
      await worker.waitForLine(/^message succeeds 1 traceparent$/)

      const refused = await ask('soon/refused')
      await expectReceipt(admin, refused, { verdict: 'broken', tasks: [{ state: 'failed', reason: 'rejected' }] })
      expect(await told(refused, 'failed')).toMatchInlineSnapshot(`
        "· GET /soon/:how  SERVER web
        └─ · send mail.send  PRODUCER
           └─ ✗ process mail.send  CONSUMER worker
                TERM: term
                task.state=failed task.reason=rejected task.attempt=1"
      `)

      await expectReceipt(admin, await ask('soon/given-back'), {
        verdict: 'broken',
        tasks: [
          {
            state: 'failed',
            reason: 'retries_exhausted',
            attempts: [
              { n: 1, state: 'retrying' },
              { n: 2, state: 'retrying' },
              { n: 3, state: 'failed' },
            ],
          },
        ],
      })
      await expectReceipt(admin, await ask('twice'), {
        tasks: [{ state: 'succeeded' }, { state: 'cancelled', reason: 'deduplicated' }],
      })
      const nowhere = await ask('nowhere')
      await expectReceipt(admin, nowhere, { tasks: [{ state: 'lost', reason: 'never_enqueued', attempts: [] }] })
      await expectReceipt(admin, await ask('late/slow'), {
        tasks: [{ state: 'succeeded', flags: { duplicate: true }, attempts: [{ n: 1 }, { n: 2 }] }],
      })

      const acknowledged = await ask('soon/acked')
      await worker.waitForLine(/^message acked/)
      const hanging = await ask('late/hangs')
      await worker.waitForLine(/^message hangs/)
      await worker.stop()
      const next = start('worker', { FAST: '1', OTEL_SERVICE_NAME: 'next' })
      await expectReceipt(admin, hanging, {
        verdict: 'kept',
        tasks: [
          { flags: { recovered: true, duplicate: false }, attempts: [{ state: 'lost' }, { state: 'succeeded' }] },
        ],
      })
      expect(await told(hanging, 'lost', 'succeeded')).toMatchInlineSnapshot(`
        "· GET /late/:how  SERVER web
        └─ · send mail-late.send  PRODUCER
           ├─ ✗ process mail-late.send  CONSUMER worker
           │    process_killed: the process is gone and left no exit record: SIGKILL, out of memory or alike
           │    task.state=lost task.reason=process_killed task.evidence=process_gone task.attempt=1
           └─ · process mail-late.send  CONSUMER next"
      `)
      await expectReceipt(admin, acknowledged, {
        verdict: 'broken',
        tasks: [{ state: 'lost', reason: 'process_killed', evidence: 'process_gone' }],
      })

      await get(`${url}/dies`).catch(() => {})
      await sink.waitFor(() =>
        sink.spans().some(({ attributes }) => {
          const { 'afterspan.task.reason': reason, 'afterspan.task.evidence': evidence } = attributes
          return reason === 'never_enqueued' && evidence === 'process_gone'
        }),
      )
      expect(web.stderr + worker.stderr + next.stderr).toBe('')
      await Promise.all([web.stop(), next.stop(), sink.close()])
    },
  )
})
