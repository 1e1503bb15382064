import { formatsInTurn } from '@afterspan/testing'
import { afterAll, beforeAll, describe, expect } from 'vitest'
import { appFile } from './app.ts'
import { expectReceipt, toldTrace } from './receipts.ts'
import { startRoles } from './roles.ts'
import { startSqsServer, type SqsServer } from './sqs-server.ts'

let sqs: SqsServer
beforeAll(async () => {
  sqs = await startSqsServer()
})
afterAll(() => sqs.stop())

describe('a service whose work goes to SQS', () => {
  formatsInTurn(
    'what nobody received, what was done, tried too often, killed before and after it was deleted stands in the receipts',
    { cjs: appFile('aws-sqs.cjs'), mjs: appFile('aws-sqs.mjs') },
    async ({ app, format, node }) => {
      const name = `mail-${format}-${node.major}`
      const deadLetters = sqs.createQueue(`${name}-dead`)
      const QUEUE_URL = sqs.createQueue(name, { visibilitySeconds: 2, deadLetters, maxReceives: 2 })
      const TASK = { system: 'aws_sqs', destination: name, confirmed: true, messageId: expect.any(String) }
      const roles = await startRoles({ app, node, env: { SQS_URL: sqs.url, QUEUE_URL } })
      const unread = await roles.ask('/send/succeeds')
      await expectReceipt(roles.admin, unread, { verdict: 'open', tasks: [{ state: 'enqueued', attempts: [] }] })

      const worker = await roles.startReady('worker')
      await expectReceipt(roles.admin, unread, {
        verdict: 'kept',
        request: { method: 'GET', route: '/send/:how', status: 200 },
        tasks: [{ ...TASK, state: 'succeeded', attempts: [{ n: 1, state: 'succeeded' }] }],
      })
      const failed = await roles.ask('/send/fails')
      await expectReceipt(roles.admin, failed, {
        verdict: 'broken',
        tasks: [
          {
            ...TASK,
            state: 'failed',
            reason: 'retries_exhausted',
            attempts: [
              { n: 1, state: 'retrying' },
              { n: 2, state: 'failed' },
            ],
          },
        ],
      })
      expect((await toldTrace(roles.sink, failed, 'retrying', 'failed')).replaceAll(name, 'mail'))
        .toMatchInlineSnapshot(`
        "· GET /send/:how  SERVER web
        └─ · send mail  PRODUCER
           ├─ ✗ process mail  CONSUMER worker
           │    VISIBLE_AGAIN: its visibility timeout was set to 0
           │    task.state=retrying task.reason=rejected task.attempt=1
           └─ ✗ process mail  CONSUMER worker
                VISIBLE_AGAIN: its visibility timeout was set to 0
                task.state=failed task.reason=retries_exhausted task.attempt=2"
      `)
      const many = await roles.ask('/send-many')
      const states = expect.arrayContaining(
        ['succeeded', 'lost'].map((state): unknown => expect.objectContaining({ state })),
      ) as unknown
      await expectReceipt(roles.admin, many, { verdict: 'broken', tasks: states })
      await worker.stop()

      const next = await roles.startReady('worker')
      const killed = await roles.ask('/send/hangs')
      await next.waitForLine(/^job hangs undefined$/)
      await next.stop()
      await expectReceipt(roles.admin, killed, {
        verdict: 'broken',
        tasks: [{ ...TASK, state: 'lost', reason: 'process_killed', evidence: 'process_gone' }],
      })
      const fast = await roles.startReady('worker', { FAST: '1' })
      await expectReceipt(roles.admin, killed, {
        verdict: 'kept',
        tasks: [
          { flags: { recovered: true, duplicate: false }, attempts: [{ state: 'lost' }, { state: 'succeeded' }] },
        ],
      })
      const done = await roles.ask('/send/dies-after')
      await fast.exit
      await expectReceipt(roles.admin, done, { verdict: 'kept', tasks: [{ ...TASK, state: 'succeeded' }] })
      expect(roles.stderr()).toBe('')
      await roles.stop()
    },
  )
})
