import { formatsInTurn, get, nodesUnderTest, sharedService, startPreloaded } from '@afterspan/testing'
import { startOtlpSink } from 'afterspan/internal'
import { createClient } from 'redis'
import { describe, expect, test } from 'vitest'
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
import { startRoles } from './roles.ts'

const QUEUE: QueueUnderTest = { system: 'bull', destination: 'mail', hanging: /^job \{"hangs":true\}$/ }

const redis = sharedService('redis')

describe('a service whose work goes to Bull', () => {
  formatsInTurn(
    'succeeded, failed, lost and recovered work stands in the receipt and in the request’s own trace',
    { cjs: appFile('bull.cjs'), mjs: appFile('bull.mjs') },
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
  test('jobs that went with the data of Redis stayed enqueued', async (context) => {
    const { port } = redis(context)
    const client = await createClient({ url: `redis://127.0.0.1:${port}/5` }).connect()
    const watcher = await client.duplicate().connect()
    const { promise: looked, resolve } = Promise.withResolvers<void>()
    // What a script asks is said to come from 'lua'.
    await watcher.monitor((line) => /\[\d+ [\d.]+:\d+\] "get" "bull:mail:id"/i.test(String(line)) && resolve())
    const env = { REDIS_PORT: String(port), REDIS_DB: '5' }
    const roles = await startRoles({ app: appFile('bull.cjs'), node: nodesUnderTest().at(-1)!, env })
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
    await holdsItsTongue(roles)
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
