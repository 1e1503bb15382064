import { bothFormats, present, service, type MissingServer, type ServerOf } from '@afterspan/testing'
import { afterAll, beforeAll, describe, expect } from 'vitest'
import { appFile } from './app.ts'
import {
  holdsItsTongue,
  holdsWhatFails,
  holdsWhatIsDone,
  holdsWhatIsKilled,
  type QueueUnderTest,
} from './queue-conformance.ts'
import { startRoles } from './roles.ts'

const QUEUE: QueueUnderTest = { system: 'bullmq', destination: 'mail', hanging: /^job \{"hangs":true\}$/ }

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
      await worker.stop()
      expect((await holdsWhatIsKilled(roles, QUEUE)).drawing).toMatchInlineSnapshot(`
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
