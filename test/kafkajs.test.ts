import { randomUUID } from 'node:crypto'
import { formatsInTurn, nodesUnderTest, sharedService } from '@afterspan/testing'
import { describe, expect, test } from 'vitest'
import { appFile } from './app.ts'
import { kafkaQueue } from './kafka-queue.ts'
import { holdsAll, holdsItsTongue, holdsWhatFails, holdsWhatIsDone, holdsWhatIsKilled } from './queue-conformance.ts'
import { expectPieces, expectReceipt, toldTrace } from './receipts.ts'
import { startRoles } from './roles.ts'

const kafka = sharedService('kafka', { properties: { 'message.max.bytes': 50_000 } })

describe('a service whose work goes through kafkajs', () => {
  formatsInTurn(
    'done, retried, refused, rolled back, lost and recovered work stands in the receipt and in the request’s own trace',
    { cjs: appFile('kafkajs.cjs'), mjs: appFile('kafkajs.mjs') },
    async ({ app, node, context }) => {
      const topic = `mail-${randomUUID()}`
      const queue = kafkaQueue(topic)
      const roles = await startRoles({ app, node, env: { KAFKA: kafka(context).url, TOPIC: topic } })
      const { admin, ask, sink } = roles
      const worker = await roles.startReady('worker')
      const good = await holdsWhatIsDone(roles, queue)
      await expectReceipt(admin, good, { tasks: [{ messageId: `${topic}/0/0`, reader: 'mailers' }] })
      const { drawing } = await holdsWhatFails(roles, queue)
      expect(drawing).toMatchInlineSnapshot(`
        "· GET /send/:how  SERVER web
        └─ · send mail-*  PRODUCER
           ├─ ✗ process mail-*  CONSUMER worker
           │    Error: the mail server said no
           │    task.state=retrying task.reason=rejected
           └─ · process mail-*  CONSUMER worker"
      `)

      const refused = await ask('/refused')
      await expectReceipt(admin, refused, {
        tasks: [{ state: 'lost', reason: 'never_enqueued', confirmed: false, attempts: [] }],
      })

      const rolledBack = await ask('/rolled-back')
      await expectReceipt(admin, rolledBack, {
        verdict: 'kept',
        tasks: [{ state: 'cancelled', reason: 'rolled_back', attempts: [] }],
      })

      const doomed = await holdsWhatIsKilled(roles, worker, queue)
      expect(doomed.drawing).toMatchInlineSnapshot(`
        "· GET /send/:how  SERVER web
        └─ · send mail-*  PRODUCER
           └─ ✗ process mail-*  CONSUMER worker
                process_killed: the process is gone and left no exit record: SIGKILL, out of memory or alike
                task.state=lost task.reason=process_killed task.evidence=process_gone task.attempt=1"
      `)
      // Another group has its own work with the same records.
      const audit = roles.start('worker', { GROUP: 'auditors' })
      await audit.waitForLine(/^record hangs$/)
      const ofMailers = { state: 'succeeded', reader: 'mailers', flags: { duplicate: false } }
      await expectPieces(admin, doomed.traceId, 'open', ofMailers, { state: 'running', reader: 'auditors' })
      await audit.stop()
      const lost = { state: 'lost', reader: 'auditors', reason: 'process_killed', attempts: [{}] }
      await expectPieces(admin, doomed.traceId, 'broken', ofMailers, lost)
      await expectPieces(admin, good, 'kept', ofMailers, { ...ofMailers, reader: 'auditors' })
      expect(await toldTrace(sink, refused, 'lost')).toMatchInlineSnapshot(`
        "· GET /refused  SERVER web
        └─ ✗ send mail-*  PRODUCER
             KafkaJSProtocolError: The request included a message larger than the max message size the server will accept
             task.state=lost task.reason=never_enqueued task.evidence=own_report"
      `)
      await holdsItsTongue(roles)
    },
  )

  test('the oldest version that is followed is followed as well', async (context) => {
    const topic = `mail-${randomUUID()}`
    const roles = await startRoles({
      app: appFile('kafkajs.cjs'),
      node: nodesUnderTest()[0]!,
      env: { KAFKA: kafka(context).url, TOPIC: topic, LIBRARY: 'kafkajs-oldest' },
    })
    expect(await holdsAll(roles, kafkaQueue(topic))).toBe('')
  })
})
