import { bothFormats, get, nodesUnderTest, sharedService, startPreloaded } from '@afterspan/testing'
import { startOtlpSink } from 'afterspan/internal'
import { describe, expect, test, type TestContext } from 'vitest'
import { appFile, listening, traceIdOf } from './app.ts'
import { holdsAll } from './queue-conformance.ts'
import { holdsItsMail, redisQueue, toldOfTheVanished } from './redis-queue.ts'
import { expectReceipt, toldTrace } from './receipts.ts'
import { startRoles, type Roles } from './roles.ts'

const QUEUE = redisQueue('bullmq')

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
      await holdsItsMail({ app, node }, redis(context).port, QUEUE)
    },
  )

  test.for(['bullmq', 'bullmq-oldest'])(
    'jobs that went with the data of Redis stayed enqueued (%s)',
    async (LIBRARY, context) => {
      const told = await toldOfTheVanished('bullmq.cjs', redis(context).port, LIBRARY === 'bullmq' ? 5 : 6, { LIBRARY })
      expect(told).toContain('task.reason=vanished_from_broker')
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
