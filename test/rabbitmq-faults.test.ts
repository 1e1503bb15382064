/* oxlint-disable vitest/expect-expect -- what they expect is what a receipt says: expectTask and receipts.ts */
// What may happen to a message between the answer and its end, each on a real RabbitMQ, as the receipt of its request says it.
import { join } from 'node:path'
import {
  faultyProxy,
  get,
  nodesUnderTest,
  pollUntil,
  present,
  repositoryRoot,
  runApp,
  service,
  type MissingServer,
  type PreloadedApp,
  type ServerOf,
} from '@afterspan/testing'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { appFile, listening, traceIdOf } from './app.ts'
import { expectPieces, expectReceipt, toldTrace } from './receipts.ts'
import { startRoles, type Roles } from './roles.ts'

const app = appFile('rabbitmq-faults.cjs')
const node = nodesUnderTest().at(-1)!

let rabbitmq: ServerOf['rabbitmq'] | MissingServer
let roles: Roles | undefined
beforeAll(async () => {
  rabbitmq = await service('rabbitmq')
  if ('missing' in rabbitmq) return
  roles = await startRoles({ app, node, env: { AMQP_URL: rabbitmq.url } })
})
beforeEach((context) => {
  present(rabbitmq, context)
})
afterAll(async () => {
  await roles?.stop()
  if (!('missing' in rabbitmq)) await rabbitmq.stop()
})

/** Ends with its test. */
async function worker(queues: string, role = 'worker'): Promise<PreloadedApp> {
  const started = roles!.start(role, { QUEUES: queues })
  workers.push(started)
  await started.waitForLine(/^ready$/)
  return started
}
const workers: PreloadedApp[] = []
afterEach(async () => {
  await Promise.all(workers.splice(0).map((each) => each.stop()))
})
const publish = (what: Record<string, string>, channel = 'confirmed'): Promise<string> =>
  roles!.ask(`/publish/${channel}?${new URLSearchParams(what)}`)
const expectTask = (traceId: string, verdict: string, task: object): Promise<unknown> =>
  expectReceipt(roles!.admin, traceId, { verdict, tasks: [task] })

describe('a message', () => {
  test('that expired in its queue has failed once it comes out of the queue of the dead', async () => {
    const traceId = await publish({ key: 'brief' })
    await expectTask(traceId, 'open', { state: 'enqueued', confirmed: true, flags: { overdue: true } })
    await worker('dead-letters')
    await expectTask(traceId, 'broken', { state: 'failed', reason: 'expired', attempts: [] })
  })

  test('that its exchange had no queue for is run from where the alternate exchange put it', async () => {
    const traceId = await publish({ exchange: 'orders', key: 'nobody.wants.it' })
    await worker('spare')
    await expectTask(traceId, 'kept', { state: 'succeeded', destination: 'orders', reader: 'spare' })
  })

  test('that kills each of its workers is lost with each, and failed when its queue gives it up', async () => {
    const traceId = await publish({ key: 'few', body: 'kills' })
    const [one, two] = [roles!.start('worker', { QUEUES: 'few' }), roles!.start('worker', { QUEUES: 'few' })]
    await Promise.all([one.exit, two.exit])
    await expectTask(traceId, 'broken', {
      state: 'lost',
      attempts: [
        { n: 1, state: 'lost' },
        { n: 2, state: 'lost' },
      ],
    })
    await worker('dead-letters')
    await expectTask(traceId, 'broken', { state: 'failed', reason: 'retries_exhausted', attempts: [{}, {}] })
    expect(await toldTrace(roles!.sink, traceId, 'lost', 'lost', 'failed')).toMatchInlineSnapshot(`
      "· GET /publish/:channel  SERVER web
      └─ · send few  PRODUCER
         ├─ ✗ failed few  INTERNAL worker
         │    retries_exhausted
         │    task.state=failed task.reason=retries_exhausted
         ├─ ✗ process few  CONSUMER worker
         │    process_killed: the process is gone and left no exit record: SIGKILL, out of memory or alike
         │    task.state=lost task.reason=process_killed task.evidence=process_gone task.attempt=1
         └─ ✗ process few  CONSUMER worker
              process_killed: the process is gone and left no exit record: SIGKILL, out of memory or alike
              task.state=lost task.reason=process_killed task.evidence=process_gone task.attempt=2"
    `)
  })

  test('that goes to two queues, and is dead-lettered in one: that one is told, and the other is well', async () => {
    await worker('mail,stock')
    const traceId = await publish({ exchange: 'all', body: 'fails in stock' })
    const well = { state: 'succeeded', reader: 'mail', flags: { conflict: false, duplicate: false } }
    await expectPieces(roles!.admin, traceId, 'broken', well, {
      state: 'failed',
      reason: 'dead_lettered',
      reader: 'stock',
    })
    const text = await receiptText(traceId)
    expect(text).toContain('✓ all (rabbitmq) for mail succeeded\n')
    expect(text).toContain('✗ all (rabbitmq) for stock failed: dead_lettered\n')
    // The queue of the dead says it once more, of the same piece.
    const dead = await worker('dead-letters')
    await dead.waitForLine(/^dead-letters has fails in stock$/)
    const next = await publish({ key: 'mail' })
    await expectTask(next, 'kept', { state: 'succeeded' })
    await expectPieces(roles!.admin, traceId, 'broken', well, {
      state: 'failed',
      reason: 'dead_lettered',
      reader: 'stock',
    })
  })

  test('that expires unread in one of two queues has failed for that one alone', async () => {
    const mail = await worker('mail')
    const traceId = await publish({ exchange: 'all', expiration: '100' })
    await mail.waitForLine(/^mail has is fine$/)
    await worker('dead-letters')
    const well = { state: 'succeeded', reader: 'mail' }
    await expectPieces(roles!.admin, traceId, 'broken', well, {
      state: 'failed',
      reason: 'expired',
      reader: 'stock',
      attempts: [],
    })
  })

  test('that was rejected, and came back by a way that its worker had not declared, stayed failed', async () => {
    await worker('returning', 'stranger')
    const traceId = await publish({ key: 'returning', body: 'fails at first' })
    const attempts = [
      { state: 'retrying', reason: 'rejected' },
      { n: 2, state: 'succeeded' },
    ]
    await expectTask(traceId, 'kept', { state: 'succeeded', flags: { recovered: true, conflict: false }, attempts })
  })

  test('that nobody ever picks up is never said to be done; one that was deleted with its queue stayed open for ever', async () => {
    const traceId = await publish({ key: 'work' })
    const plain = await publish({ key: 'work' }, 'plain')
    const other = await publish({ key: 'mail' })
    await expectTask(traceId, 'open', { state: 'enqueued', attempts: [] })
    const held = async (): Promise<number> => JSON.parse((await get(`${roles!.url}/count/work`)).text) as number
    await pollUntil(async () => (await held()) === 2)
    expect(JSON.parse((await get(`${roles!.url}/delete/work`)).text)).toEqual({ messageCount: 2 })
    for (const deleted of [traceId, plain])
      await expectTask(deleted, 'kept', { state: 'cancelled', reason: 'aborted', attempts: [] })
    await expectTask(other, 'open', { state: 'enqueued', attempts: [] })
    await worker('mail')
    await expectTask(other, 'kept', { state: 'succeeded' })
  })
})

describe('a broker', () => {
  test('that is frozen while somebody publishes: what waits is pending, and goes on where it was', async (context) => {
    const broker = present(rabbitmq, context)
    await worker('mail')
    await broker.freeze()
    const [confirmed, plain] = [await publish({ key: 'mail' }), await publish({ key: 'mail' }, 'plain')]
    for (const traceId of [confirmed, plain]) await expectTask(traceId, 'open', { state: 'pending', confirmed: false })
    await broker.thaw()
    for (const traceId of [confirmed, plain]) await expectTask(traceId, 'kept', { state: 'succeeded', confirmed: true })
  })

  test('whose answer never came: never enqueued, until it turns out that it had the message', async (context) => {
    const { host, port } = present(rabbitmq, context)
    const proxy = await faultyProxy({ host, port })
    const web = roles!.start('web', { AMQP_URL: `amqp://guest:guest@127.0.0.1:${proxy.port}` })
    const url = await listening(web)
    await proxy.set('mute')
    const traceId = traceIdOf(await get(`${url}/publish/confirmed?key=mail`))
    await expectTask(traceId, 'open', { state: 'pending' })
    await messageIn('mail')
    await proxy.set('reset')
    await proxy.set('none')
    await web.waitForLine(/^is fine: refused$/)
    await expectTask(traceId, 'broken', {
      state: 'lost',
      reason: 'never_enqueued',
      evidence: 'own_report',
      confirmed: false,
    })
    await worker('mail')
    await expectTask(traceId, 'kept', { state: 'succeeded', flags: { recovered: true } })
    await Promise.all([web.stop(), proxy.stop()])
  })

  test('that dies while somebody publishes: what it had not confirmed is told as never enqueued, and the app lives', async (context) => {
    const broker = present(rabbitmq, context)
    await broker.freeze()
    const traceId = await publish({ key: 'mail' })
    process.kill(-broker.pid, 'SIGKILL')
    const lost = { state: 'lost', reason: 'never_enqueued', evidence: 'own_report', failure: { type: 'Error' } }
    await expectTask(traceId, 'broken', lost)
    expect(await receiptText(traceId)).toMatch(
      /✗ mail \(rabbitmq\) lost: never_enqueued, proof: own_report\n +sending it failed: Error: /,
    )
    await roles!.web.waitForLine(/^cut$/)
    // Health says that the broker is gone; nothing else is said.
    expect(roles!.stderr().replaceAll(/^\[afterspan\] AFS_HEALTH_CHANGED rabbitmq .*\n/gm, '')).toBe('')
  })
})

async function messageIn(queue: string): Promise<void> {
  await pollUntil(async () => Number((await get(`${roles!.url}/count/${queue}`)).text) > 0)
}

/** As the command line draws it. */
async function receiptText(traceId: string): Promise<string> {
  const cli = join(repositoryRoot(), 'packages/afterspan/bin/afterspan.js')
  const asked = runApp({ args: [cli, 'receipt', traceId, '--dir', roles!.ledgerDir], node: node.path })
  await asked.exit
  return asked.stdout
}
