import { formatsInTurn, get, nodesUnderTest, sharedService, startPreloaded } from '@afterspan/testing'
import { startOtlpSink } from 'afterspan/internal'
import { describe, expect, test } from 'vitest'
import { appFile, listening, traceIdOf } from './app.ts'
import { holdsAll } from './queue-conformance.ts'
import { holdsItsMail, redisQueue, toldOfTheVanished } from './redis-queue.ts'
import { expectReceipt, toldTrace } from './receipts.ts'
import { startRoles } from './roles.ts'

const QUEUE = redisQueue('bull')

const redis = sharedService('redis')

describe('a service whose work goes to Bull', () => {
  formatsInTurn(
    'succeeded, failed, lost and recovered work stands in the receipt and in the request’s own trace',
    { cjs: appFile('bull.cjs'), mjs: appFile('bull.mjs') },
    async ({ app, node, context }) => {
      await holdsItsMail({ app, node }, redis(context).port, QUEUE)
    },
  )

  test('jobs that went with the data of Redis stayed enqueued', async (context) => {
    const told = await toldOfTheVanished('bull.cjs', redis(context).port, 5)
    expect(told).toContain('task.reason=vanished_from_broker')
  })

  test('of the oldest version that is followed is followed as well', async (context) => {
    const roles = await startRoles({
      app: appFile('bull.cjs'),
      node: nodesUnderTest()[0]!,
      env: { REDIS_PORT: String(redis(context).port), LIBRARY: 'bull-oldest' },
    })
    // It brings an ioredis whose streams are not followed.
    const heard = await holdsAll(roles, QUEUE)
    expect(heard.replaceAll(/^\[afterspan\] AFS_HOOK_UNSUPPORTED ioredis 4.*\n/gm, '')).toBe('')
  })
})

describe.each(nodesUnderTest())('a job of Bull that runs in a file, on Node $major', (node) => {
  test('sent its jobs as nobody’s, in a trace of their own', async (context) => {
    const sink = await startOtlpSink()
    const env = { OTEL_SERVICE_NAME: 'web', REDIS_PORT: String(redis(context).port) }
    const app = startPreloaded({ app: appFile('bull-sandbox.cjs'), node: node.path, sink, env })
    const traceId = traceIdOf(await get(await listening(app)))
    const { tasks } = await expectReceipt(await app.adminUrl(), traceId, {
      verdict: 'kept',
      tasks: [
        { destination: 'first', state: 'succeeded', depth: 0 },
        { destination: 'second', state: 'succeeded', depth: 1 },
      ],
    })
    expect(tasks).toHaveLength(2)
    expect(tasks[1]!.parent).toBe(tasks[0]!.taskId)
    await sink.waitFor(() => sink.trace(traceId).some(({ name }) => name === 'process second'))
    expect(await toldTrace(sink, traceId)).toMatchInlineSnapshot(`
      "· GET /  SERVER web
      └─ · send first  PRODUCER
         └─ · process first  CONSUMER
            └─ · send second  PRODUCER
               └─ · process second  CONSUMER"
    `)
    await app.stop()
    await sink.close()
  })
})
