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

describe('a service whose work goes to pg-boss', () => {
  bothFormats(
    'succeeded, failed, lost and recovered work stands in the receipt and in the request’s own trace',
    { cjs: appFile('pg-boss.cjs'), mjs: appFile('pg-boss.mjs') },
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

      const send = async (how: string): Promise<string> => traceIdOf(await get(`${url}/send/${how}`))

      const good = await send('succeeds')
      await expectReceipt(admin, good, { verdict: 'kept', tasks: [{ state: 'succeeded', attempts: [{ n: 1 }] }] })

      const bad = await send('fails')
      await expectReceipt(admin, bad, {
        verdict: 'broken',
        request: { method: 'GET', route: '/send/:how', status: 200 },
        tasks: [
          {
            state: 'failed',
            reason: 'retries_exhausted',
            system: 'pg-boss',
            destination: 'mail',
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

      // What pg-boss asks of its database for the job is no news beside the job's own span.
      expect(sink.trace(bad).filter(({ name }) => name.startsWith('pg'))).toEqual([])

      const doomed = await send('hangs')
      await worker.waitForLine(/^job \{"hangs":true\}$/)
      await worker.stop()
      await expectReceipt(admin, doomed, {
        verdict: 'broken',
        tasks: [{ state: 'lost', reason: 'process_killed', evidence: 'process_gone', flags: { recovered: false } }],
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
          { flags: { recovered: true, duplicate: false }, attempts: [{ state: 'lost' }, { n: 2, state: 'succeeded' }] },
        ],
      })

      const metrics = (await get(`${admin}/metrics`)).text
      for (const [outcome, n] of Object.entries({ kept: 1, false_success: 2, recovered: 1 }))
        expect(metrics).toContain(
          `afterspan_requests_effective_total{http_request_method="GET",http_route="/send/:how",outcome="${outcome}"} ${n}\n`,
        )

      expect(web.stderr + worker.stderr + next.stderr).toBe('')
      await Promise.all([web.stop(), next.stop(), sink.close()])
    },
  )
})
