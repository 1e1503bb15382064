import { formatsInTurn, nodesUnderTest, sharedService } from '@afterspan/testing'
import { describe, expect, test } from 'vitest'
import { appFile } from './app.ts'
import {
  holdsAll,
  holdsItsTongue,
  holdsWhatFails,
  holdsWhatIsDone,
  holdsWhatIsKilled,
  type QueueUnderTest,
} from './queue-conformance.ts'
import { startRoles } from './roles.ts'

const QUEUE: QueueUnderTest = { system: 'bee-queue', destination: 'mail', hanging: /^job \{"hangs":true\}$/ }

const redis = sharedService('redis')

describe('a service whose work goes to bee-queue', () => {
  formatsInTurn(
    'succeeded, failed, lost and recovered work stands in the receipt and in the request’s own trace',
    { cjs: appFile('bee-queue.cjs'), mjs: appFile('bee-queue.mjs') },
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

  test('of the oldest version that is followed is followed as well', async (context) => {
    const roles = await startRoles({
      app: appFile('bee-queue.cjs'),
      node: nodesUnderTest()[0]!,
      env: { REDIS_PORT: String(redis(context).port), LIBRARY: 'bee-queue-oldest' },
    })
    expect(await holdsAll(roles, QUEUE)).toBe('')
  })
})
