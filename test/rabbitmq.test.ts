import { bothFormats, get, nodesUnderTest, sharedService } from '@afterspan/testing'
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
import { expectPieces, expectReceipt, toldTrace } from './receipts.ts'
import { startRoles } from './roles.ts'

const rabbitmq = sharedService('rabbitmq')
let count = 0

const queueOf = (destination: string): QueueUnderTest => ({
  system: 'rabbitmq',
  destination,
  hanging: /^message hangs traceparent$/,
  failing: { verdict: 'broken', tasks: [{ state: 'failed', reason: 'dead_lettered', attempts: [{ n: 1 }] }] },
  failingStates: ['failed'],
})

describe('a service whose work goes to RabbitMQ', () => {
  bothFormats(
    'what became of each message stands in the receipt and in the request’s own trace',
    { cjs: appFile('rabbitmq.cjs'), mjs: appFile('rabbitmq.mjs') },
    async ({ app, node, context }) => {
      const QUEUE = `mail${++count}`
      const queue = queueOf(QUEUE)
      const roles = await startRoles({ app, node, env: { AMQP_URL: rabbitmq(context).url, QUEUE } })
      const { admin, ask, sink, url, web } = roles
      const worker = await roles.startReady('worker')
      await holdsWhatIsDone(roles, queue)
      await worker.waitForLine(/^message succeeds traceparent$/)
      await expectReceipt(admin, await ask('/late/succeeds'), { verdict: 'kept', tasks: [{ state: 'succeeded' }] })

      const { drawing } = await holdsWhatFails(roles, queue)
      expect(drawing.replaceAll(QUEUE, 'mail')).toMatchInlineSnapshot(`
        "· GET /send/:how  SERVER web
        └─ · send mail  PRODUCER
           └─ ✗ process mail  CONSUMER worker
                nack: nack without requeue
                task.state=failed task.reason=dead_lettered task.attempt=1"
      `)

      const nowhere = await ask('/nowhere')
      await expectReceipt(admin, nowhere, { tasks: [{ state: 'failed', reason: 'unroutable', attempts: [] }] })
      expect(await toldTrace(sink, nowhere, 'failed')).toMatchInlineSnapshot(`
        "· GET /nowhere  SERVER web
        └─ · send nobody  PRODUCER
           └─ ✗ failed nobody  INTERNAL
                312: NO_ROUTE: exchange '', routing key 'nobody'
                task.state=failed task.reason=unroutable"
      `)
      await web.waitForLine(/^returned NO_ROUTE$/)

      // A copy for each queue: what becomes of one is not what becomes of the other.
      const audit = await roles.startReady('audit')
      const both = await ask('/everywhere/differs')
      await audit.waitForLine(/^message differs/)
      const ofMail = { state: 'succeeded', reader: QUEUE, flags: { duplicate: false }, attempts: [{}] }
      const ofAudit = { reader: `${QUEUE}-audit`, flags: { duplicate: false }, attempts: [{}] }
      await expectPieces(admin, both, 'open', ofMail, { ...ofAudit, state: 'running' })
      await audit.stop()
      await expectPieces(admin, both, 'broken', ofMail, { ...ofAudit, state: 'lost', reason: 'process_killed' })

      // Acknowledged, and then killed: nobody runs it again.
      const acknowledged = await ask('/late/acked')
      await worker.waitForLine(/^message acked/)
      const { drawing: killed } = await holdsWhatIsKilled(roles, worker, queue)
      expect(killed.replaceAll(QUEUE, 'mail')).toMatchInlineSnapshot(`
        "· GET /send/:how  SERVER web
        └─ · send mail  PRODUCER
           └─ ✗ process mail  CONSUMER worker
                process_killed: the process is gone and left no exit record: SIGKILL, out of memory or alike
                task.state=lost task.reason=process_killed task.evidence=process_gone task.attempt=1"
      `)
      await expectReceipt(admin, acknowledged, {
        verdict: 'broken',
        tasks: [{ state: 'lost', reason: 'process_killed', evidence: 'process_gone' }],
      })

      await get(`${url}/dies`).catch(() => {})
      await sink.waitFor((spans) => spans.some((span) => span.attributes['afterspan.task.reason'] === 'never_enqueued'))
      await holdsItsTongue(roles)
    },
  )

  test.for(['unhandledRejection', 'uncaughtException'])(
    'what a callback was rejected with was told once more, of nobody, where the app has a handler of %s',
    async (CATCHES, context) => {
      const QUEUE = `mail${++count}`
      const env = { AMQP_URL: rabbitmq(context).url, QUEUE, CATCHES }
      const roles = await startRoles({ app: appFile('rabbitmq.cjs'), node: nodesUnderTest().at(-1)!, env })
      const worker = await roles.startReady('worker')
      const traceId = await roles.ask('/send/rejects')
      await worker.waitForLine(/^caught the mail server said no$/)
      const failure = { type: 'TypeError', message: 'the mail server said no' }
      await expectReceipt(roles.admin, traceId, { tasks: [{ attempts: [{ state: 'retrying', failure }] }] })
      const { tasks } = JSON.parse((await get(`${roles.admin}/tasks`)).text) as { tasks: readonly object[] }
      expect(tasks).toMatchObject([{ system: 'rabbitmq', unattributed: false }])
      await roles.stop()
    },
  )

  test('the oldest version that is followed is followed as well', async (context) => {
    const QUEUE = `mail${++count}`
    const roles = await startRoles({
      app: appFile('rabbitmq.cjs'),
      node: nodesUnderTest()[0]!,
      env: { AMQP_URL: rabbitmq(context).url, QUEUE, LIBRARY: 'amqplib-oldest' },
    })
    expect(await holdsAll(roles, queueOf(QUEUE))).toBe('')
  })
})
