import { bothFormats, get, sharedService } from '@afterspan/testing'
import { describe, expect } from 'vitest'
import { appFile } from './app.ts'
import {
  holdsItsTongue,
  holdsWhatFails,
  holdsWhatIsDone,
  holdsWhatIsKilled,
  type QueueUnderTest,
} from './queue-conformance.ts'
import { startRoles } from './roles.ts'

const QUEUE: QueueUnderTest = { system: 'pg-boss', destination: 'mail', hanging: /^job \{"hangs":true\}$/ }

const postgres = sharedService('postgres')

describe('a service whose work goes to pg-boss', () => {
  bothFormats(
    'succeeded, failed, lost and recovered work stands in the receipt and in the request’s own trace',
    { cjs: appFile('pg-boss.cjs'), mjs: appFile('pg-boss.mjs') },
    async ({ app, node, context }) => {
      const { url: DATABASE_URL } = postgres(context)
      const roles = await startRoles({ app, node, env: { DATABASE_URL } })
      const worker = await roles.startReady('worker')
      await holdsWhatIsDone(roles, QUEUE)
      const { traceId, drawing } = await holdsWhatFails(roles, QUEUE)
      expect(drawing).toMatchInlineSnapshot(`
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
      expect(roles.sink.trace(traceId).filter(({ name }) => name.startsWith('pg'))).toEqual([])

      expect((await holdsWhatIsKilled(roles, worker, QUEUE)).drawing).toMatchInlineSnapshot(`
        "· GET /send/:how  SERVER web
        └─ · send mail  PRODUCER
           └─ ✗ process mail  CONSUMER worker
                process_killed: the process is gone and left no exit record: SIGKILL, out of memory or alike
                task.state=lost task.reason=process_killed task.evidence=process_gone task.attempt=1"
      `)

      const metrics = (await get(`${roles.admin}/metrics`)).text
      for (const [outcome, n] of Object.entries({ kept: 1, false_success: 2, recovered: 1 }))
        expect(metrics).toContain(
          `afterspan_requests_effective_total{http_request_method="GET",http_route="/send/:how",outcome="${outcome}"} ${n}\n`,
        )

      await holdsItsTongue(roles)
    },
  )
})
