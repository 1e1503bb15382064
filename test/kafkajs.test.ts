import { randomUUID } from 'node:crypto'
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
import { expectPieces, expectReceipt, toldTrace } from './receipts.ts'

let kafka: ServerOf['kafka'] | MissingServer
beforeAll(async () => {
  kafka = await service('kafka', { properties: { 'message.max.bytes': 50_000 } })
})
afterAll(async () => {
  if (!('missing' in kafka)) await kafka.stop()
})

describe('a service whose work goes through kafkajs', () => {
  bothFormats(
    'done, retried, refused, rolled back, lost and recovered work stands in the receipt and in the request’s own trace',
    { cjs: appFile('kafkajs.cjs'), mjs: appFile('kafkajs.mjs') },
    async ({ app, node, context }) => {
      const { url: broker } = present(kafka, context)
      const sink = await startOtlpSink()
      const ledgerDir = tempDir('ledger')
      const topic = `mail-${randomUUID()}`
      const start = (role: string, env: Record<string, string> = {}): ReturnType<typeof startPreloaded> =>
        startPreloaded({
          app,
          node: node.path,
          sink,
          ledgerDir,
          env: {
            KAFKA: broker,
            TOPIC: topic,
            ROLE: role,
            OTEL_SERVICE_NAME: role,
            OTEL_BSP_SCHEDULE_DELAY: '100',
            ...env,
          },
        })
      const web = start('web')
      const url = await listening(web)
      const admin = await web.adminUrl()
      const worker = start('worker')
      await worker.waitForLine(/^ready$/)

      const ask = async (path: string): Promise<string> => traceIdOf(await get(`${url}${path}`))

      const good = await ask('/send/succeeds')
      await expectReceipt(admin, good, {
        verdict: 'kept',
        tasks: [{ state: 'succeeded', system: 'kafka', destination: topic, messageId: `${topic}/0/0` }],
      })

      const retried = await ask('/send/fails')
      await expectReceipt(admin, retried, {
        verdict: 'kept',
        tasks: [{ state: 'succeeded', attempts: [{ state: 'retrying', reason: 'rejected' }, { state: 'succeeded' }] }],
      })

      expect(await toldTrace(sink, retried, 'retrying', 'succeeded')).toMatchInlineSnapshot(`
        "· GET /send/:how  SERVER web
        └─ · send mail-*  PRODUCER
           ├─ ✗ process mail-*  CONSUMER worker
           │    Error: the mail server said no
           │    task.state=retrying task.reason=rejected
           └─ · process mail-*  CONSUMER worker"
      `)

      const refused = await ask('/refused')
      await expectReceipt(admin, refused, {
        tasks: [{ state: 'lost', reason: 'never_enqueued', confirmed: false, attempts: [] }],
      })

      const rolledBack = await ask('/rolled-back')
      await expectReceipt(admin, rolledBack, {
        verdict: 'kept',
        tasks: [{ state: 'cancelled', reason: 'rolled_back', attempts: [] }],
      })

      const doomed = await ask('/send/hangs')
      await worker.waitForLine(/^record hangs$/)
      await worker.stop()
      await expectReceipt(admin, doomed, {
        tasks: [{ state: 'lost', reason: 'process_killed', evidence: 'process_gone' }],
      })
      expect(await toldTrace(sink, doomed, 'lost')).toMatchInlineSnapshot(`
        "· GET /send/:how  SERVER web
        └─ · send mail-*  PRODUCER
           └─ ✗ process mail-*  CONSUMER worker
                process_killed: the process is gone and left no exit record: SIGKILL, out of memory or alike
                task.state=lost task.reason=process_killed task.evidence=process_gone task.attempt=1"
      `)

      const next = start('worker', { FAST: '1' })
      await expectReceipt(admin, doomed, {
        verdict: 'kept',
        tasks: [
          { flags: { recovered: true, duplicate: false }, attempts: [{ state: 'lost' }, { state: 'succeeded' }] },
        ],
      })
      // Another group has its own work with the same records.
      const audit = start('worker', { GROUP: 'auditors' })
      await audit.waitForLine(/^record hangs$/)
      const ofMailers = { state: 'succeeded', reader: 'mailers', flags: { duplicate: false } }
      await expectPieces(admin, doomed, 'open', ofMailers, { state: 'running', reader: 'auditors' })
      await audit.stop()
      const lost = { state: 'lost', reader: 'auditors', reason: 'process_killed', attempts: [{}] }
      await expectPieces(admin, doomed, 'broken', ofMailers, lost)
      await expectPieces(admin, good, 'kept', ofMailers, { ...ofMailers, reader: 'auditors' })
      expect(await toldTrace(sink, refused, 'lost')).toMatchInlineSnapshot(`
        "· GET /refused  SERVER web
        └─ ✗ send mail-*  PRODUCER
             KafkaJSProtocolError: The request included a message larger than the max message size the server will accept
             task.state=lost task.reason=never_enqueued task.evidence=own_report"
      `)
      expect(withoutNodesWarning(web.stderr + worker.stderr + next.stderr + audit.stderr)).toBe('')
      await Promise.all([web.stop(), next.stop(), sink.close()])
    },
  )
})

/** kafkajs asks for timers of the past, which Node 24 and later say. */
function withoutNodesWarning(stderr: string): string {
  return stderr.replaceAll(/^\(node:\d+\) TimeoutNegativeWarning:.*\n.*\n\(Use .*\n/gm, '')
}
