import { bothFormats, get, nodesUnderTest, sharedService, startPreloaded } from '@afterspan/testing'
import { startOtlpSink } from 'afterspan/internal'
import { createClient } from 'redis'
import { describe, expect, test, type TestContext } from 'vitest'
import { appFile, listening, traceIdOf } from './app.ts'
import {
  holdsAll,
  holdsItsTongue,
  holdsWhatFails,
  holdsWhatIsDone,
  holdsWhatIsKilled,
  type QueueUnderTest,
} from './queue-conformance.ts'
import { expectReceipt, toldTrace } from './receipts.ts'
import { startRoles, type Roles } from './roles.ts'

const QUEUE: QueueUnderTest = { system: 'bullmq', destination: 'mail', hanging: /^job \{"hangs":true\}$/ }

const redis = sharedService('redis')
const sandboxed = (queue: string, next: string): string => `· GET /:queue  SERVER web
└─ · send ${queue}  PRODUCER
   └─ · process ${queue}  CONSUMER
      └─ · send ${next}  PRODUCER
         └─ · process ${next}  CONSUMER`

describe('a service whose work goes to BullMQ', () => {
  bothFormats(
    'succeeded, failed, lost and recovered work stands in the receipt and in the request’s own trace',
    { cjs: appFile('bullmq.cjs'), mjs: appFile('bullmq.mjs') },
    async ({ app, node, context }) => {
      const { port } = redis(context)
      const roles = await startRoles({ app, node, env: { REDIS_PORT: String(port) } })
      const worker = await roles.startReady('worker')
      await holdsWhatIsDone(roles, QUEUE)
      const failed = await holdsWhatFails(roles, QUEUE)
      expect(failed.drawing).toMatchInlineSnapshot(`
        "· GET /send/:how  SERVER web
        └─ · send mail  PRODUCER
           ├─ ✗ process mail  CONSUMER worker
           │    TypeError: the mail server said no
           │    task.state=retrying task.reason=rejected task.attempt=1
           └─ ✗ process mail  CONSUMER worker
                TypeError: the mail server said no
                task.state=failed task.reason=retries_exhausted task.attempt=2"
      `)
      expect((await holdsWhatIsKilled(roles, worker, QUEUE)).drawing).toMatchInlineSnapshot(`
        "· GET /send/:how  SERVER web
        └─ · send mail  PRODUCER
           └─ ✗ process mail  CONSUMER worker
                process_killed: the process is gone and left no exit record: SIGKILL, out of memory or alike
                task.state=lost task.reason=process_killed task.evidence=process_gone task.attempt=1"
      `)
      await holdsItsTongue(roles)
    },
  )

  // Redis tells nobody: FLUSHDB, FLUSHALL, a restart that kept nothing.
  test.for(['bullmq', 'bullmq-oldest'])(
    'jobs that went with the data of Redis stayed enqueued (%s)',
    async (LIBRARY, context) => {
      const { port } = redis(context)
      const db = LIBRARY === 'bullmq' ? 5 : 6
      const client = await createClient({ url: `redis://127.0.0.1:${port}/${db}` }).connect()
      const watcher = await client.duplicate().connect()
      const { promise: looked, resolve } = Promise.withResolvers<void>()
      // What a script asks is said to come from 'lua'.
      await watcher.monitor((line) => /\[\d+ [\d.]+:\d+\] "get" "bull:mail:id"/i.test(String(line)) && resolve())
      const env = { REDIS_PORT: String(port), REDIS_DB: String(db), LIBRARY }
      const roles = await startRoles({ app: appFile('bullmq.cjs'), node: nodesUnderTest().at(-1)!, env })
      const sent = await roles.ask('/send/succeeds')
      await expectReceipt(roles.admin, sent, { verdict: 'open', tasks: [{ state: 'enqueued' }] })
      await looked
      await client.flushDb()
      await expectReceipt(roles.admin, sent, {
        verdict: 'broken',
        tasks: [{ state: 'lost', reason: 'vanished_from_broker', evidence: 'broker' }],
      })
      expect(await toldTrace(roles.sink, sent, 'lost')).toContain('task.reason=vanished_from_broker')
      watcher.destroy()
      await client.close()
      await roles.stop()
      expect(roles.stderr()).toBe('')
    },
  )

  describe('of the oldest version that is followed', () => {
    const startOldest = (context: TestContext): Promise<Roles> =>
      startRoles({
        app: appFile('bullmq.cjs'),
        node: nodesUnderTest()[0]!,
        env: { REDIS_PORT: String(redis(context).port), LIBRARY: 'bullmq-oldest' },
      })

    test('is followed as well', async (context) => {
      expect(await holdsAll(await startOldest(context), QUEUE)).toBe('')
    })

    // Redis itself fails them: no worker has them, and none said so.
    test('parents that failed with their child stayed enqueued for ever', async (context) => {
      const roles = await startOldest(context)
      await roles.startReady('worker')
      const traceId = await roles.ask('/flow')
      const { tasks } = await expectReceipt(roles.admin, traceId, {
        verdict: 'broken',
        tasks: Array.from({ length: 3 }, () => ({ state: 'failed' })),
      })
      const told = tasks.map(({ name, reason, attempts }) => [name, { reason, runs: attempts.length }] as const)
      expect(Object.fromEntries(told)).toEqual({
        whole: { reason: 'retries_exhausted', runs: 0 },
        half: { reason: 'retries_exhausted', runs: 0 },
        part: { reason: 'rejected', runs: 1 },
      })
      // Each command of Redis was a span of its own: of a bulk of five thousand jobs five thousand.
      await roles.sink.waitFor(() => roles.sink.trace(traceId).some(({ kind }) => kind === 'server'))
      const names = roles.sink.trace(traceId).map(({ name }) => name)
      for (const command of ['multi', 'evalsha', 'exec']) expect(names).not.toContain(command)
      await roles.stop()
    })
  })
})

describe.each(nodesUnderTest())('a job that runs in a file, on Node $major', (node) => {
  // The process or the thread that BullMQ starts for it, and keeps, left the request open.
  test('sent its jobs as nobody’s, in a trace of their own', async (context) => {
    const { port } = redis(context)
    const sink = await startOtlpSink()
    const env = { OTEL_SERVICE_NAME: 'web', REDIS_PORT: String(port) }
    const app = startPreloaded({ app: appFile('sandbox.cjs'), node: node.path, sink, env })
    const url = await listening(app)
    for (const [kind, next] of [
      ['process', 'thread'],
      ['thread', 'process'],
    ] as const) {
      const traceId = traceIdOf(await get(`${url}/${kind}?next=${next}`))
      const { tasks } = await expectReceipt(await app.adminUrl(), traceId, {
        verdict: 'kept',
        tasks: [
          { destination: kind, state: 'succeeded', depth: 0 },
          { destination: next, state: 'succeeded', depth: 1 },
        ],
      })
      expect(tasks).toHaveLength(2)
      expect(tasks[1]!.parent).toBe(tasks[0]!.taskId)
      await sink.waitFor(() => sink.trace(traceId).some(({ name }) => name === `process ${next}`))
      expect(await toldTrace(sink, traceId)).toBe(sandboxed(kind, next))
    }
    await app.stop()
    await sink.close()
  })
})
