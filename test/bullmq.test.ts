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

let redis: ServerOf['redis'] | MissingServer
beforeAll(async () => {
  redis = await service('redis')
})
afterAll(async () => {
  if (!('missing' in redis)) await redis.stop()
})

describe('a service whose work goes to BullMQ', () => {
  bothFormats(
    'succeeded, failed, lost and recovered work stands in the receipt and in the request’s own trace',
    { cjs: appFile('bullmq.cjs'), mjs: appFile('bullmq.mjs') },
    async ({ app, node, context }) => {
      const { port } = present(redis, context)
      const sink = await startOtlpSink()
      const ledgerDir = tempDir('ledger')
      const start = (role: string, env: Record<string, string> = {}): ReturnType<typeof startPreloaded> =>
        startPreloaded({
          app,
          node: node.path,
          sink,
          ledgerDir,
          env: { REDIS_PORT: String(port), ROLE: role, OTEL_SERVICE_NAME: role, ...env },
        })
      const web = start('web')
      const url = await listening(web)
      const admin = await web.adminUrl()
      const worker = start('worker')
      await worker.waitForLine(/^ready$/)

      const send = async (how: string): Promise<string> => traceIdOf(await get(`${url}/send/${how}`))

      const good = await send('succeeds')
      await expectReceipt(admin, good, { verdict: 'kept', tasks: [{ state: 'succeeded', system: 'bullmq' }] })

      const bad = await send('fails')
      await expectReceipt(admin, bad, {
        verdict: 'broken',
        tasks: [
          {
            state: 'failed',
            reason: 'retries_exhausted',
            destination: 'mail',
            name: 'welcome',
            attempts: [
              { n: 1, state: 'retrying' },
              { n: 2, state: 'failed' },
            ],
          },
        ],
      })
      expect(await toldTrace(sink, bad, 'retrying', 'failed')).toMatchInlineSnapshot(`
        "· GET /send/:how  SERVER web
        └─ · send mail  PRODUCER
           ├─ ✗ process mail  CONSUMER worker
           │    TypeError: the mail server said no
           │    task.state=retrying task.reason=rejected task.attempt=1
           └─ ✗ process mail  CONSUMER worker
                TypeError: the mail server said no
                task.state=failed task.reason=retries_exhausted task.attempt=2"
      `)

      const doomed = await send('hangs')
      await worker.waitForLine(/^job \{"hangs":true\}$/)
      await worker.stop()
      await expectReceipt(admin, doomed, {
        tasks: [{ state: 'lost', reason: 'process_killed', evidence: 'process_gone' }],
      })
      expect(await toldTrace(sink, doomed, 'lost')).toMatchInlineSnapshot(`
        "· GET /send/:how  SERVER web
        └─ · send mail  PRODUCER
           └─ ✗ process mail  CONSUMER worker
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
      expect(web.stderr + worker.stderr + next.stderr).toBe('')
      await Promise.all([web.stop(), next.stop(), sink.close()])
    },
  )
})
