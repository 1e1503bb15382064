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
import type { Receipt } from 'afterspan'
import { startOtlpSink } from 'afterspan/internal'
import { afterAll, beforeAll, describe, expect } from 'vitest'
import { appFile, listening, traceIdOf } from './app.ts'
import { expectPieces, expectReceipt, settledReceipt, toldTrace } from './receipts.ts'

let rabbitmq: ServerOf['rabbitmq'] | MissingServer
let count = 0
beforeAll(async () => {
  rabbitmq = await service('rabbitmq')
})
afterAll(async () => {
  if (!('missing' in rabbitmq)) await rabbitmq.stop()
})

describe('a service whose work goes to RabbitMQ', () => {
  bothFormats(
    'what became of each message stands in the receipt and in the request’s own trace',
    { cjs: appFile('rabbitmq.cjs'), mjs: appFile('rabbitmq.mjs') },
    async ({ app, node, context }) => {
      const { url: AMQP_URL } = present(rabbitmq, context)
      const sink = await startOtlpSink()
      const QUEUE = `mail${++count}`
      const ledgerDir = tempDir('ledger')
      const start = (role: string, env: Record<string, string> = {}): ReturnType<typeof startPreloaded> =>
        startPreloaded({
          app,
          node: node.path,
          sink,
          ledgerDir,
          env: { AMQP_URL, QUEUE, ROLE: role, OTEL_SERVICE_NAME: role, ...env },
        })
      const web = start('web')
      const url = await listening(web)
      const admin = await web.adminUrl()
      const worker = start('worker')
      await worker.waitForLine(/^ready$/)
      const ask = async (path: string): Promise<string> => traceIdOf(await get(`${url}/${path}`))
      const task = (traceId: string, state: string): Promise<Receipt> =>
        // the task may be known before its request is
        settledReceipt(admin, traceId, ({ tasks, request }) => tasks[0]?.state === state && request?.status === 200)

      // The spans come from several processes, each in its own time.
      const told = async (traceId: string, ...states: readonly string[]): Promise<string> => {
        await sink.waitFor(() => sink.trace(traceId).some(({ kind }) => kind === 'producer'))
        return (await toldTrace(sink, traceId, ...states)).replaceAll(QUEUE, 'mail')
      }

      const good = await task(await ask('confirmed/succeeds'), 'succeeded')
      expect(good).toMatchObject({
        verdict: 'kept',
        request: { route: '/confirmed/:how', status: 200 },
        tasks: [{ system: 'rabbitmq', destination: QUEUE, confirmed: true, attempts: [{ n: 1 }] }],
      })
      await worker.waitForLine(/^message succeeds traceparent$/)
      expect((await task(await ask('late/succeeds'), 'succeeded')).verdict).toBe('kept')

      const bad = await ask('confirmed/fails')
      expect(await task(bad, 'failed')).toMatchObject({
        verdict: 'broken',
        tasks: [{ reason: 'dead_lettered' }],
      })
      expect(await told(bad, 'failed')).toMatchInlineSnapshot(`
        "· GET /confirmed/:how  SERVER web
        └─ · send mail  PRODUCER
           └─ ✗ process mail  CONSUMER worker
                nack: nack without requeue
                task.state=failed task.reason=dead_lettered task.attempt=1"
      `)

      const nowhere = await ask('nowhere')
      expect(await task(nowhere, 'failed')).toMatchObject({ tasks: [{ reason: 'unroutable', attempts: [] }] })
      expect(await told(nowhere, 'failed')).toMatchInlineSnapshot(`
        "· GET /nowhere  SERVER web
        └─ · send nobody  PRODUCER
           └─ ✗ failed nobody  INTERNAL
                312: NO_ROUTE: exchange '', routing key 'nobody'
                task.state=failed task.reason=unroutable"
      `)
      await web.waitForLine(/^returned NO_ROUTE$/)

      // A copy for each queue: what becomes of one is not what becomes of the other.
      const audit = start('audit')
      await audit.waitForLine(/^ready$/)
      const both = await ask('everywhere/differs')
      await audit.waitForLine(/^message differs/)
      const ofMail = { state: 'succeeded', reader: QUEUE, flags: { duplicate: false }, attempts: [{}] }
      const ofAudit = { reader: `${QUEUE}-audit`, flags: { duplicate: false }, attempts: [{}] }
      await expectPieces(admin, both, 'open', ofMail, { ...ofAudit, state: 'running' })
      await audit.stop()
      await expectPieces(admin, both, 'broken', ofMail, { ...ofAudit, state: 'lost', reason: 'process_killed' })

      const hanging = await ask('confirmed/hangs')
      const acknowledged = await ask('late/acked')
      await worker.waitForLine(/^message hangs/)
      await worker.waitForLine(/^message acked/)
      const next = start('worker', { FAST: '1', OTEL_SERVICE_NAME: 'next' })
      await next.waitForLine(/^ready$/)
      await worker.stop()
      await expectReceipt(admin, hanging, {
        verdict: 'kept',
        tasks: [
          { flags: { recovered: true, duplicate: false }, attempts: [{ state: 'lost' }, { state: 'succeeded' }] },
        ],
      })
      expect(await told(hanging, 'lost', 'succeeded')).toMatchInlineSnapshot(`
        "· GET /confirmed/:how  SERVER web
        └─ · send mail  PRODUCER
           ├─ ✗ process mail  CONSUMER worker
           │    process_killed: the process is gone and left no exit record: SIGKILL, out of memory or alike
           │    task.state=lost task.reason=process_killed task.evidence=process_gone task.attempt=1
           └─ · process mail  CONSUMER next"
      `)
      expect(await task(acknowledged, 'lost')).toMatchObject({
        verdict: 'broken',
        tasks: [{ reason: 'process_killed', evidence: 'process_gone' }],
      })

      await get(`${url}/dies`).catch(() => {})
      await sink.waitFor(() =>
        sink.spans().some(({ attributes }) => attributes['afterspan.task.reason'] === 'never_enqueued'),
      )
      expect(web.stderr + worker.stderr + next.stderr + audit.stderr).toBe('')
      await Promise.all([web.stop(), next.stop(), sink.close()])
    },
  )
})
