/* oxlint-disable vitest/expect-expect -- what they expect is what a receipt says: expectTask and receipts.ts */
// What may happen to a record between the answer and its end, each on a real Kafka, as the receipt of its request says it.
import {
  faultyProxy,
  get,
  nodesUnderTest,
  pollUntil,
  present,
  service,
  type FaultyProxy,
  type MissingServer,
  type PreloadedApp,
  type ServerOf,
} from '@afterspan/testing'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { appFile, listening, traceIdOf } from './app.ts'
import { expectReceipt } from './receipts.ts'
import { startRoles, type Roles } from './roles.ts'

const app = appFile('kafkajs-faults.cjs')
const node = nodesUnderTest().at(-1)!
const LOST = { state: 'lost', reason: 'never_enqueued', evidence: 'own_report', confirmed: false, attempts: [] }

let kafka: ServerOf['kafka'] | MissingServer
let roles: Roles | undefined
beforeAll(async () => {
  kafka = await service('kafka')
  if ('missing' in kafka) return
  roles = await startRoles({ app, node, env: { KAFKA: kafka.url } })
})
beforeEach((context) => {
  present(kafka, context)
})
afterAll(async () => {
  await roles?.stop()
  if (!('missing' in kafka)) await kafka.stop()
})

/** Ends with its test. */
async function worker(topic: string, mode = 'message'): Promise<PreloadedApp> {
  const started = roles!.start('worker', { TOPIC: topic, MODE: mode })
  running.push(started)
  await started.waitForLine(/^ready$/)
  return started
}
const running: (PreloadedApp | FaultyProxy)[] = []
afterEach(async () => {
  await Promise.all(running.splice(0).map((each) => each.stop()))
})
const send = (topic: string, body = 'is fine', producer = 'patient'): Promise<string> =>
  roles!.ask(`/send/${producer}/${topic}?${new URLSearchParams({ body })}`)
const expectTask = (traceId: string, verdict: string, ...tasks: object[]): Promise<unknown> =>
  expectReceipt(roles!.admin, traceId, { verdict, tasks })
const recordsIn = (topic: string, n: number): Promise<unknown> =>
  pollUntil(async () => Number((await get(`${roles!.url}/count/${topic}`)).text) === n)

describe('a record', () => {
  test('that is run, and whose consumer is killed before it could commit, is run again: it ran twice', async () => {
    const traceId = await send('after', 'kills')
    const one = await worker('after', 'commits late')
    await one.exit
    await expectTask(traceId, 'kept', { state: 'succeeded', flags: { duplicate: false }, attempts: [{}] })
    const two = await worker('after', 'commits late')
    await two.exit
    const ran = { state: 'succeeded', reader: 'group', flags: { duplicate: true, recovered: false } }
    await expectTask(traceId, 'kept', { ...ran, attempts: [{ state: 'succeeded' }, { state: 'succeeded' }] })
  })

  test('whose consumer stops since its partition is given to others was not done, and is done by one of them', async () => {
    const traceId = await send('moved', 'is polite')
    const first = await worker('moved', 'first')
    await first.waitForLine(/^has is polite$/)
    await worker('moved')
    const well = { state: 'succeeded', flags: { duplicate: false, conflict: false } }
    await expectTask(traceId, 'kept', { ...well, attempts: [{ state: 'enqueued' }, { state: 'succeeded' }] })
  })

  test('whose consumer is so slow that another gets it runs twice at once', async () => {
    const traceId = await send('stolen', 'is slow')
    const first = await worker('stolen')
    await first.waitForLine(/^has is slow$/)
    const second = await worker('stolen')
    await second.waitForLine(/^has is slow$/)
    const twice = { flags: { duplicate: true, recovered: false } }
    await expectTask(traceId, 'open', {
      ...twice,
      state: 'running',
      attempts: [{ state: 'running' }, { state: 'running' }],
    })
    for (const { pid } of [first, second]) process.kill(pid!, 'SIGUSR2')
    await expectTask(traceId, 'kept', {
      ...twice,
      state: 'succeeded',
      attempts: [{ state: 'succeeded' }, { state: 'succeeded' }],
    })
  })

  test('that is the bad one of its batch is retried alone', async () => {
    const traces: string[] = []
    for (const body of ['is fine', 'is bad', 'is late']) {
      traces.push(await send('batch', body))
      await recordsIn('batch', traces.length)
    }
    const [good, bad, late] = traces as [string, string, string]
    await worker('batch', 'batch')
    const failed = { state: 'retrying', failure: { message: 'the mail server said no' } }
    const done = { state: 'succeeded' }
    await expectTask(good, 'kept', { ...done, attempts: [done] })
    await expectTask(bad, 'kept', { ...done, attempts: [failed, done] })
    await expectTask(late, 'kept', { ...done, attempts: [{ state: 'enqueued' }, done] })
  })

  test('that nobody reads is never said to be done; one of a transaction whose sender died was never enqueued', async () => {
    const traceId = await send('plain')
    const web = roles!.start('web', { OTEL_SERVICE_NAME: 'dying' })
    const url = await listening(web)
    await get(`${url}/dies`).catch(() => {})
    const isTold = (): boolean =>
      roles!.sink.spans().some(({ attributes }) => {
        const { 'afterspan.task.reason': reason, 'afterspan.task.evidence': evidence } = attributes
        return reason === 'never_enqueued' && evidence === 'process_gone'
      })
    await roles!.sink.waitFor(isTold)
    await expectTask(traceId, 'open', { state: 'enqueued', messageId: 'plain/0/0', attempts: [] })
  })
})

describe('a broker', () => {
  /** A web service whose way to the broker is a bad one. */
  const startFar = async (
    topic: string,
  ): Promise<{ web: PreloadedApp; proxy: FaultyProxy; ask(path: string): Promise<string> }> => {
    const [host = '', port] = ('missing' in kafka ? '' : kafka.url).split(':')
    const proxy = await faultyProxy({ host, port: Number(port) })
    const web = roles!.start('web', { PROXY_PORT: String(proxy.port) })
    running.push(web, proxy)
    const url = await listening(web)
    // Which broker has the topic it asks once.
    await get(`${url}/send/patient/${topic}?body=is+first`)
    await get(`${url}/send/impatient/${topic}?body=is+first`)
    await recordsIn(topic, 2)
    return { web, proxy, ask: async (path) => traceIdOf(await get(`${url}${path}`)) }
  }

  test('whose answer never came, and that is sent the record again, has it twice: it runs twice', async () => {
    const { web, proxy, ask } = await startFar('twice')
    await proxy.set('mute')
    const traceId = await ask('/send/patient/twice?body=again')
    await recordsIn('twice', 3)
    await expectTask(traceId, 'open', { state: 'pending', confirmed: false })
    await proxy.set('reset')
    await proxy.set('none')
    await web.waitForLine(/^twice: sent again$/)
    await recordsIn('twice', 4)
    await expectTask(traceId, 'open', { state: 'enqueued', confirmed: true })
    await worker('twice')
    await expectTask(traceId, 'kept', { state: 'succeeded', flags: { duplicate: true }, attempts: [{}, {}] })
  })

  test('whose answer never came, and that is not asked again: never enqueued, until it turns out that it had the record', async () => {
    const { web, proxy, ask } = await startFar('late')
    await proxy.set('mute')
    const traceId = await ask('/send/impatient/late?body=again')
    await recordsIn('late', 3)
    await proxy.set('reset')
    await proxy.set('none')
    await web.waitForLine(/^late: refused again$/)
    await expectTask(traceId, 'broken', LOST)
    await worker('late')
    await expectTask(traceId, 'kept', {
      state: 'succeeded',
      flags: { recovered: true, duplicate: false },
      attempts: [{}],
    })
  })

  test('that is frozen while somebody sends has it later; killed, it never had it, and the app lives', async (context) => {
    const broker = present(kafka, context)
    await broker.freeze()
    const waiting = await send('plain')
    await expectTask(waiting, 'open', { state: 'pending', confirmed: false })
    await broker.thaw()
    await expectTask(waiting, 'open', { state: 'enqueued', confirmed: true })
    await broker.freeze()
    const dropped = await send('plain', 'is fine', 'impatient')
    await expectTask(dropped, 'open', { state: 'pending' })
    process.kill(-broker.pid, 'SIGKILL')
    await roles!.web.waitForLine(/^plain: refused is fine$/)
    await expectTask(dropped, 'broken', { ...LOST, failure: { type: expect.stringContaining('KafkaJS') } })
  })
})
