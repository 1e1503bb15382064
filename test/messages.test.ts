import {
  bothFormats,
  get,
  nodesUnderTest,
  sharedService,
  startPreloaded,
  tempDir,
  type PreloadedApp,
} from '@afterspan/testing'
import type { Receipt } from 'afterspan'
import { startOtlpSink, type OtlpSink } from 'afterspan/internal'
import { describe, expect, test } from 'vitest'
import { appFile, listening, traceIdOf } from './app.ts'
import { expectReceipt, settledReceipt, toldTrace } from './receipts.ts'

interface Shop {
  readonly sink: OtlpSink
  ask(path: string): Promise<string>
  readonly admin: string
  receipt(traceId: string, isEnough: (found: Receipt) => boolean): Promise<Receipt>
  work(env?: Record<string, string>): Promise<PreloadedApp>
  close(): Promise<void>
}

async function openShop(app: string, node: string, env: Record<string, string> = {}): Promise<Shop> {
  const sink = await startOtlpSink()
  const shared = { app, node, sink, ledgerDir: tempDir('ledger') }
  const base = { OTEL_BSP_SCHEDULE_DELAY: '100', ...env }
  const web = startPreloaded({ ...shared, env: { ...base, ROLE: 'web', OTEL_SERVICE_NAME: 'web' } })
  const [, broker] = await web.waitForLine(/^broker (.+)$/)
  const url = await listening(web)
  const admin = await web.adminUrl()
  const workers: PreloadedApp[] = []
  return {
    sink,
    ask: async (path) => traceIdOf(await get(`${url}${path}`)),
    admin,
    receipt: (traceId, isEnough) => settledReceipt(admin, traceId, isEnough),
    async work(more = {}) {
      const role = { ROLE: 'worker', OTEL_SERVICE_NAME: 'worker', BROKER: broker! }
      const worker = startPreloaded({ ...shared, env: { ...base, ...role, ...more } })
      workers.push(worker)
      await worker.waitForLine(/^ready$/)
      return worker
    },
    async close() {
      expect([web, ...workers].map(({ stderr }) => stderr).join('')).toBe('')
      await Promise.all([web, ...workers].map((each) => each.stop()))
      await sink.close()
    },
  }
}

const formats = { cjs: appFile('messages.cjs'), mjs: appFile('messages.mjs') }

describe('a queue that only PRODUCER and CONSUMER spans tell of', () => {
  bothFormats(
    'its work, done, failed, never enqueued, lost and recovered, stands in the receipt and in the request’s own trace',
    formats,
    async ({ app, node }) => {
      const shop = await openShop(app, node.path)
      const { ask, receipt, sink } = shop
      const late = await ask('/succeeds/late')
      await expectReceipt(shop.admin, late, {
        verdict: 'open',
        tasks: [
          { state: 'enqueued', system: 'map', destination: 'mail', messageId: '1', confirmed: true, attempts: [] },
        ],
      })
      const refused = await ask('/refused')
      await expectReceipt(shop.admin, refused, {
        verdict: 'broken',
        tasks: [{ state: 'lost', reason: 'never_enqueued', confirmed: false, attempts: [] }],
      })
      expect(await toldTrace(sink, refused, 'lost')).toMatchInlineSnapshot(`
        "· GET  SERVER web
        └─ ✗ send mail  PRODUCER
             RangeError: the broker is full
             task.state=lost task.reason=never_enqueued task.evidence=own_report"
      `)

      await shop.work()
      const { tasks } = await receipt(late, ({ verdict }) => verdict === 'kept')
      expect(tasks).toMatchObject([{ state: 'succeeded', attempts: [{ n: 1, state: 'succeeded' }] }])

      const failed = await ask('/fails')
      await expectReceipt(shop.admin, failed, {
        verdict: 'broken',
        tasks: [
          { state: 'failed', attempts: [{ failure: { type: 'TypeError', message: 'the mail server said no' } }] },
        ],
      })
      expect(await toldTrace(sink, failed, 'failed')).toMatchInlineSnapshot(`
        "· GET  SERVER web
        └─ · send mail  PRODUCER
           └─ ✗ mail process  CONSUMER worker
                TypeError: the mail server said no
                task.state=failed task.reason=rejected"
      `)

      const spawning = await ask('/spawns')
      const nested = await receipt(
        spawning,
        (found) => found.tasks.length === 2 && found.tasks[0]!.state === 'succeeded',
      )
      expect(nested.tasks[1]).toMatchObject({ parent: nested.tasks[0]!.taskId, state: 'enqueued', name: 'send bills' })

      const doomed = await ask('/dies')
      await expectReceipt(shop.admin, doomed, {
        tasks: [{ state: 'lost', reason: 'process_killed', evidence: 'process_gone' }],
      })
      expect(await toldTrace(sink, doomed, 'lost')).toMatchInlineSnapshot(`
        "· GET  SERVER web
        └─ · send mail  PRODUCER
           └─ ✗ process mail  CONSUMER worker
                process_killed: the process is gone and left no exit record: SIGKILL, out of memory or alike
                task.state=lost task.reason=process_killed task.evidence=process_gone task.attempt=1"
      `)
      await shop.work({ FAST: '1' })
      await expectReceipt(shop.admin, doomed, {
        verdict: 'kept',
        tasks: [
          { flags: { recovered: true, duplicate: false }, attempts: [{ state: 'lost' }, { state: 'succeeded' }] },
        ],
      })
      await shop.close()
    },
  )

  bothFormats(
    'a CONSUMER span of a trace of its own that links to several messages is an attempt of each',
    formats,
    async ({ app, node }) => {
      const shop = await openShop(app, node.path)
      const { ask, receipt } = shop
      const one = await ask('/succeeds+succeeds')
      const other = await ask('/succeeds')
      await receipt(other, ({ tasks }) => tasks[0]?.state === 'enqueued')
      await shop.work({ LINKED: '1' })
      const done = { state: 'succeeded', attempts: [{ state: 'succeeded' }] }
      await expectReceipt(shop.admin, one, { verdict: 'kept', tasks: [done, done] })
      await expectReceipt(shop.admin, other, { verdict: 'kept', tasks: [done] })
      const failed = await ask('/fails')
      await expectReceipt(shop.admin, failed, {
        verdict: 'broken',
        tasks: [{ state: 'failed', attempts: [{ failure: { type: 'TypeError' } }] }],
      })
      expect(await toldTrace(shop.sink, failed, 'failed')).toMatchInlineSnapshot(`
        "· GET  SERVER web
        └─ · send mail  PRODUCER
           └─ ✗ process mail  CONSUMER worker
                TypeError: the mail server said no
                task.state=failed task.reason=rejected task.attempt=1"
      `)
      await shop.close()
    },
  )
})

test('work of an unsampled trace is followed all the same, and only its failure is told', async () => {
  const shop = await openShop(formats.cjs, nodesUnderTest()[0]!.path, { OTEL_TRACES_SAMPLER: 'always_off' })
  const { ask, receipt, sink } = shop
  await shop.work()
  const good = await ask('/succeeds')
  const bad = await ask('/fails')
  await receipt(good, ({ verdict }) => verdict === 'kept')
  await receipt(bad, ({ verdict }) => verdict === 'broken')
  await sink.waitFor(() => ['mail process', 'GET'].every((name) => sink.trace(bad).some((span) => span.name === name)))
  const run = sink.trace(bad).find(({ kind }) => kind === 'consumer')
  expect(run).toMatchObject({ status: { code: 'error' }, attributes: { 'afterspan.task.state': 'failed' } })
  expect(sink.trace(good)).toEqual([])
  await shop.close()
})

const redis = sharedService('redis')

describe.each(nodesUnderTest())('the spans that bullmq-otel makes, on Node $major', (node) => {
  test.for<{ followedBy: string; env: Record<string, string>; sentAs: string }>([
    { followedBy: 'our own integration', env: {}, sentAs: 'send mail' },
    {
      followedBy: 'these spans alone',
      env: { OTEL_NODE_DISABLED_INSTRUMENTATIONS: 'bullmq' },
      sentAs: 'add mail.welcome',
    },
  ])('a job followed by $followedBy is one task with one attempt', async ({ env, sentAs }, context) => {
    const { port } = redis(context)
    const sink = await startOtlpSink()
    const app = startPreloaded({
      app: appFile('messages-bullmq.cjs'),
      node: node.path,
      sink,
      env: { REDIS_PORT: String(port), OTEL_BSP_SCHEDULE_DELAY: '100', ...env },
    })
    const url = await listening(app)
    const admin = await app.adminUrl()
    // The second finds everything loaded and known.
    for (let i = 0; i < 2; i++) {
      const traceId = traceIdOf(await get(url))
      await sink.waitFor(() => sink.trace(traceId).some(({ name }) => name === 'process mail'))
      const { tasks } = await settledReceipt(admin, traceId, ({ verdict }) => verdict === 'kept')
      expect(tasks).toMatchObject([{ system: 'bullmq', destination: 'mail', attempts: [{ state: 'succeeded' }] }])
      const sent = sink.trace(traceId).find(({ spanId }) => spanId === tasks[0]!.taskId.slice(32))
      expect(sent?.name).toBe(sentAs)
    }
    await app.stop()
    await sink.close()
  })
})
