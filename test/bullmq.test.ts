import { bothFormats, get, nodesUnderTest, sharedService, startPreloaded } from '@afterspan/testing'
import { describe, expect, test } from 'vitest'
import { appFile, listening, traceIdOf } from './app.ts'
import {
  holdsItsTongue,
  holdsWhatFails,
  holdsWhatIsDone,
  holdsWhatIsKilled,
  type QueueUnderTest,
} from './queue-conformance.ts'
import { expectReceipt } from './receipts.ts'
import { startRoles } from './roles.ts'

const QUEUE: QueueUnderTest = { system: 'bullmq', destination: 'mail', hanging: /^job \{"hangs":true\}$/ }

const redis = sharedService('redis')

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
})

describe.each(nodesUnderTest())('a job that runs in a file, on Node $major', (node) => {
  test('left its request open for the process or the thread that BullMQ starts for it and keeps', async (context) => {
    const { port } = redis(context)
    const env = { OTEL_SERVICE_NAME: 'web', REDIS_PORT: String(port) }
    const app = startPreloaded({ app: appFile('sandbox.cjs'), node: node.path, env })
    const url = await listening(app)
    for (const kind of ['process', 'thread']) {
      const traceId = traceIdOf(await get(`${url}/${kind}`))
      const pattern = { verdict: 'kept', tasks: [{ system: 'bullmq', destination: kind, state: 'succeeded' }] }
      const { tasks } = await expectReceipt(await app.adminUrl(), traceId, pattern)
      expect(tasks).toHaveLength(1)
    }
    await app.stop()
  })
})
