/* oxlint-disable vitest/expect-expect -- what they expect is what holdsAll expects */
import { basename } from 'node:path'
import { bothFormats, nodesUnderTest, sharedService, type FormatCase } from '@afterspan/testing'
import type { Receipt } from 'afterspan'
import { describe, expect, test } from 'vitest'
import { appFile } from './app.ts'
import { expectReceipt, settledReceipt, toldTrace } from './receipts.ts'
import { startRoles } from './roles.ts'

const redis = sharedService('redis')

describe('a service whose work goes to a Redis stream', () => {
  bothFormats(
    'what nobody read, what was done, delivered again, killed before and after its acknowledgement stands in the receipts',
    { cjs: appFile('redis-streams.cjs'), mjs: appFile('redis-streams.mjs') },
    holdsAll,
  )

  // The same steps: its own tests have the rest.
  test.for([
    ['cjs', nodesUnderTest()[0]!],
    ['mjs', nodesUnderTest().at(-1)!],
  ] as const)('and through node-redis as well (%s)', ([format, node], context) =>
    holdsAll({ app: appFile(`redis-streams-node.${format}`), format, node, context }),
  )
})

async function holdsAll({ app, format, node, context }: FormatCase): Promise<void> {
  const { port } = redis(context)
  const STREAM = `${basename(app, `.${format}`)}-${format}-${node.major}`
  const TASK = { system: 'redis-streams', destination: STREAM, reader: 'mailers', confirmed: true }
  const roles = await startRoles({ app, node, env: { REDIS_PORT: String(port), STREAM } })
  const unread = await roles.ask('/send/succeeds')
  await expectReceipt(roles.admin, unread, { verdict: 'open', tasks: [{ state: 'enqueued', attempts: [] }] })

  const worker = await roles.startReady('worker')
  await expectReceipt(roles.admin, unread, {
    verdict: 'kept',
    request: { method: 'GET', route: '/send/:how', status: 200 },
    tasks: [{ ...TASK, state: 'succeeded', attempts: [{ n: 1, state: 'succeeded' }] }],
  })
  const again = await roles.ask('/send/fails')
  await expectReceipt(roles.admin, again, {
    verdict: 'kept',
    tasks: [{ ...TASK, flags: { duplicate: false }, attempts: [{ state: 'retrying' }, { state: 'succeeded' }] }],
  })
  const many = await roles.ask('/send-many')
  const kept = (found: Receipt): number => found.tasks.filter(({ state }) => state === 'succeeded').length
  const bad = (found: Receipt): boolean =>
    found.tasks.some(({ attempts }) => attempts.length > 1 && attempts[0]!.state === 'retrying')
  expect(await settledReceipt(roles.admin, many, (found) => kept(found) === 2 && bad(found))).toMatchObject({
    verdict: 'open',
  })
  await worker.stop()

  const next = await roles.startReady('worker')
  const killed = await roles.ask('/send/hangs')
  await next.waitForLine(/^job hangs$/)
  await next.stop()
  await expectReceipt(roles.admin, killed, {
    verdict: 'broken',
    tasks: [{ ...TASK, state: 'lost', reason: 'process_killed', evidence: 'process_gone' }],
  })
  expect((await toldTrace(roles.sink, killed, 'lost')).replaceAll(STREAM, 'mail')).toMatchInlineSnapshot(`
        "· GET /send/:how  SERVER web
        └─ · send mail  PRODUCER
           └─ ✗ process mail  CONSUMER worker
                process_killed: the process is gone and left no exit record: SIGKILL, out of memory or alike
                task.state=lost task.reason=process_killed task.evidence=process_gone task.attempt=1
                → link"
      `)
  const fast = await roles.startReady('worker', { FAST: '1' })
  await expectReceipt(roles.admin, killed, {
    verdict: 'kept',
    tasks: [{ flags: { recovered: true, duplicate: false }, attempts: [{ state: 'lost' }, { state: 'succeeded' }] }],
  })
  const done = await roles.ask('/send/dies-after')
  await fast.exit
  await expectReceipt(roles.admin, done, { verdict: 'kept', tasks: [{ ...TASK, state: 'succeeded' }] })
  expect(roles.stderr()).toBe('')
  await roles.stop()
}
