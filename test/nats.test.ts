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
import { expectReceipt, toldTrace } from './receipts.ts'
import { startRoles } from './roles.ts'

const nats = sharedService('nats')
let count = 0

// Each of the two packages in one of the formats: neither knows which it is loaded by.
describe('a service whose work goes to JetStream', () => {
  bothFormats(
    'what became of each message stands in the receipt and in the request’s own trace',
    { cjs: appFile('nats.cjs'), mjs: appFile('nats.mjs') },
    async ({ app, node, context }) => {
      const QUEUE = `mail${++count}`
      const queue: QueueUnderTest = { system: 'nats', destination: `${QUEUE}.send`, hanging: /^message hangs/ }
      const roles = await startRoles({ app, node, env: { NATS_URL: nats(context).url, QUEUE } })
      const { admin, ask, sink, url } = roles
      const worker = await roles.startReady('worker')
      const good = await holdsWhatIsDone(roles, queue)
      await expectReceipt(admin, good, { tasks: [{ messageId: `${QUEUE}/1`, reader: 'worker', attempts: [{ n: 1 }] }] })
      await worker.waitForLine(/^message succeeds 1 traceparent$/)
      const { drawing } = await holdsWhatFails(roles, queue)
      expect(drawing.replaceAll(QUEUE, 'mail')).toMatchInlineSnapshot(`
        "· GET /send/:how  SERVER web
        └─ · send mail.send  PRODUCER
           ├─ ✗ process mail.send  CONSUMER worker
           │    NAK: nak
           │    task.state=retrying task.reason=rejected task.attempt=1
           └─ ✗ process mail.send  CONSUMER worker
                NAK: nak
                task.state=failed task.reason=retries_exhausted task.attempt=2"
      `)

      const refused = await ask('/send/refused')
      await expectReceipt(admin, refused, { verdict: 'broken', tasks: [{ state: 'failed', reason: 'rejected' }] })
      expect((await toldTrace(sink, refused, 'failed')).replaceAll(QUEUE, 'mail')).toMatchInlineSnapshot(`
        "· GET /send/:how  SERVER web
        └─ · send mail.send  PRODUCER
           └─ ✗ process mail.send  CONSUMER worker
                TERM: term
                task.state=failed task.reason=rejected task.attempt=1"
      `)

      const twice = await ask('/twice')
      await expectReceipt(admin, twice, {
        tasks: expect.arrayContaining([
          expect.objectContaining({ state: 'succeeded' }),
          expect.objectContaining({ state: 'cancelled', reason: 'deduplicated' }),
        ]),
      })
      const nowhere = await ask('/nowhere')
      await expectReceipt(admin, nowhere, { tasks: [{ state: 'lost', reason: 'never_enqueued', attempts: [] }] })
      await expectReceipt(admin, await ask('/late/slow'), {
        tasks: [{ state: 'succeeded', flags: { duplicate: true }, attempts: [{ n: 1 }, { n: 2 }] }],
      })

      // Acknowledged, and then killed: nobody runs it again.
      const acknowledged = await ask('/send/acked')
      await worker.waitForLine(/^message acked/)
      const { drawing: killed } = await holdsWhatIsKilled(roles, worker, queue)
      expect(killed.replaceAll(QUEUE, 'mail')).toMatchInlineSnapshot(`
        "· GET /send/:how  SERVER web
        └─ · send mail-late.send  PRODUCER
           └─ ✗ process mail-late.send  CONSUMER worker
                process_killed: the process is gone and left no exit record: SIGKILL, out of memory or alike
                task.state=lost task.reason=process_killed task.evidence=process_gone task.attempt=1"
      `)
      await expectReceipt(admin, acknowledged, {
        verdict: 'broken',
        tasks: [{ state: 'lost', reason: 'process_killed', evidence: 'process_gone' }],
      })

      await get(`${url}/dies`).catch(() => {})
      await sink.waitFor((spans) =>
        spans.some(({ attributes }) => {
          const { 'afterspan.task.reason': reason, 'afterspan.task.evidence': evidence } = attributes
          return reason === 'never_enqueued' && evidence === 'process_gone'
        }),
      )
      await holdsItsTongue(roles)
    },
  )

  test('a callback that rejects ended the process with a line of Node’s own in place of the app’s', async (context) => {
    const QUEUE = `mail${++count}`
    const env = { NATS_URL: nats(context).url, QUEUE }
    const roles = await startRoles({ app: appFile('nats.cjs'), node: nodesUnderTest().at(-1)!, env })
    const worker = await roles.startReady('worker')
    const traceId = await roles.ask('/send/rejected')
    expect(await worker.exit).toMatchObject({ code: 1 })
    const thrown = "if (how === 'rejected') throw new TypeError('the mail server said no')"
    expect(worker.stderr).toMatch(/^\S+nats-app\.cjs:\d+\n/)
    expect(worker.stderr.split('\n')[1]!.trim()).toBe(thrown)
    const failure = {
      type: 'TypeError',
      message: 'the mail server said no',
      stack: expect.stringContaining('nats-app'),
    }
    await expectReceipt(roles.admin, traceId, { tasks: [{ attempts: [{ state: 'retrying', failure }] }] })
    await roles.stop()
  })

  test('the oldest version that is followed is followed as well', async (context) => {
    const QUEUE = `mail${++count}`
    const roles = await startRoles({
      app: appFile('nats.cjs'),
      node: nodesUnderTest()[0]!,
      env: { NATS_URL: nats(context).url, QUEUE, LIBRARY: 'nats-oldest' },
    })
    expect(await holdsAll(roles, { system: 'nats', destination: `${QUEUE}.send`, hanging: /^message hangs/ })).toBe('')
  })
})
