import { createRequire } from 'node:module'
import { pathToFileURL } from 'node:url'
import { pollUntil, sharedService, type ServerOf } from '@afterspan/testing'
import { afterEach, beforeAll, beforeEach, expect, test } from 'vitest'
import { platformaticKafkaHook } from '../../src/probes/platformatic-kafka.ts'
import { liveHealth, type LiveHealth } from '../live-health.ts'
import { AUTHORIZER, forbid } from './kafka-permissions.ts'

interface Client {
  close(force?: boolean): Promise<void>
}
interface Producer extends Client {
  send(given: { messages: readonly { topic: string; value: string }[] }): Promise<unknown>
}
interface Stream extends AsyncIterable<{ value: string }> {
  destroy(error?: Error): void
  on(event: 'error', listener: () => void): unknown
}
interface Consumer extends Client {
  consume(options: object): Promise<Stream>
}
interface Admin extends Client {
  createTopics(options: object): Promise<unknown>
  deleteTopics(options: object): Promise<unknown>
}
interface Library {
  readonly Admin: new (options: object) => Admin
  readonly Consumer: new (options: object) => Consumer
  readonly Producer: new (options: object) => Producer
  readonly stringDeserializers: object
  readonly stringSerializers: object
}

// That both are found where they are made, and that frozen brokers are a timeout, is tested from outside: test/health-kafka.test.ts.
const require = createRequire(new URL('../../../../test/package.json', import.meta.url))
const QUICK = { intervalMs: 300, timeoutMs: 700 }

let health: LiveHealth
const brokers = sharedService('kafka', { properties: { 'auto.create.topics.enable': 'false', ...AUTHORIZER } })
let server: ServerOf['kafka']
let library: Library
let made: Client[]
let topic: string
let count = 0

beforeAll(async () => {
  library = (await import(pathToFileURL(require.resolve('@platformatic/kafka')).href)) as Library
  // Once for this file: what it finds goes to the engine of the test that runs.
  platformaticKafkaHook(
    (probe, madeAt) => health.registry.register(probe, madeAt),
    { monotonicMs: () => performance.now() },
    () => {},
    { stuckMs: 1000, stuckStatus: 'warn', deadMs: 2000, timeoutMs: 1500 },
  ).patch(library, { version: '2.12.1', format: 'module' })
}, 90_000)
beforeEach((context) => {
  server = brokers(context)
  made = []
  health = liveHealth(QUICK)
  topic = `mail${++count}`
})
afterEach(async () => {
  await Promise.all(made.map((each) => each.close(true).catch(() => {})))
  await pollUntil(() => health.registry.snapshot().checks.length === 0, { what: 'the probes of closed clients to go' })
})

function base(): object {
  return { clientId: 'shop', bootstrapBrokers: [server.url], retries: 2, retryDelay: 50 }
}
async function withTopic(then: (admin: Admin) => Promise<unknown> = async () => {}): Promise<void> {
  const admin = new library.Admin(base())
  await admin.createTopics({ topics: [topic], partitions: 1, replicas: 1 }).catch(() => {})
  await then(admin)
  await admin.close()
}
function producer(): Producer {
  const it = new library.Producer({ ...base(), serializers: library.stringSerializers })
  made.push(it)
  return it
}
async function consumer(options: object = {}): Promise<Stream> {
  const it = new library.Consumer({ ...base(), groupId: topic, deserializers: library.stringDeserializers })
  made.push(it)
  const stream = await it.consume({
    topics: [topic],
    mode: 'earliest',
    maxWaitTime: 200,
    sessionTimeout: 6000,
    heartbeatInterval: 200,
    ...options,
  })
  stream.on('error', () => {})
  return stream
}
async function work(stream: Stream, handle: (value: string) => Promise<void> = async () => {}): Promise<void> {
  for await (const { value } of stream) await handle(value)
}
const send = (of: Producer, ...values: string[]): Promise<unknown> =>
  of.send({ messages: values.map((value) => ({ topic, value })) })
const until = (name: string, status: string, code?: string, timeoutMs = 20_000): ReturnType<LiveHealth['until']> =>
  health.until(name, (check) => check?.status === status && (code === undefined || check.code === code), timeoutMs)

test('a second consumer without a partition is well', async () => {
  await withTopic()
  void work(await consumer())
  void work(await consumer())
  const checks = await pollUntil(
    () => {
      const all = health.registry
        .snapshot()
        .checks.map(({ observed, status }) => [observed?.['assigned']?.value, status])
      return all.length === 2 && all.every(([assigned]) => assigned !== undefined) && all.some(([n]) => n === 0) && all
    },
    { timeoutMs: 20_000, what: 'one of two to have no partition' },
  )
  expect(checks).toEqual(expect.arrayContaining([[0, 'pass']]))
}, 40_000)

test('a consumer that takes nothing while messages wait is stuck, and well when it goes on', async () => {
  await withTopic()
  let goOn: (() => void) | undefined
  const handle = (value: string): Promise<void> =>
    value === 'hangs' && !goOn ? new Promise((resolve) => (goOn = resolve)) : Promise.resolve()
  void work(await consumer(), handle)
  await send(producer(), 'hangs', 'waits')
  const stuck = await until('kafka-consumer', 'warn', 'consumer_stuck')
  expect(stuck).toMatchObject({ observed: { idle: { unit: 'ms' }, lag: { value: 1 } } })
  goOn?.()
  await until('kafka-consumer', 'pass')
}, 60_000)

test('a consumer whose loop the app has left is stuck by what its group has not done, not while nothing waits', async () => {
  await withTopic()
  const sending = producer()
  const stream = await consumer({ mode: 'committed', fallbackMode: 'earliest' })
  await send(sending, 'one')
  for await (const { value } of stream) if (value === 'one') break
  await until('kafka-consumer', 'pass')
  await send(sending, 'two', 'three')
  expect(await until('kafka-consumer', 'warn', 'consumer_stuck')).toMatchObject({ cause: 'self_recoverable' })
}, 60_000)

test('a consumer whose stream ends by an error and is not made again is one that only a restart brings back', async () => {
  await withTopic()
  const stream = await consumer()
  await until('kafka-consumer', 'pass')
  stream.destroy(new Error('cannot read that'))
  await until('kafka-consumer', 'fail', 'consumer_gone')
  const isWedged: Parameters<LiveHealth['until']>[1] = (check) => check?.cause === 'self_wedged'
  expect(await health.until('kafka-consumer', isWedged, 20_000)).toMatchObject({ status: 'fail' })
}, 40_000)

test('a producer that may not write any more fails, though its brokers answer, and is well when it may', async () => {
  await withTopic()
  const sending = producer()
  await send(sending, 'x')
  await until('kafka', 'pass')
  const allow = await forbid(server.url, topic, 'write')
  for (let refused = 0; refused < 2;) await send(sending, 'x').catch(() => refused++)
  expect(await until('kafka', 'fail', 'no_permission')).toMatchObject({ cause: 'dependency' })
  await allow()
  await expect.poll(() => send(sending, 'x').catch(() => undefined)).toBeDefined()
  await until('kafka', 'pass')
}, 40_000)

test('a consumer that may not read any more has ended by that, and no restart helps', async () => {
  await withTopic()
  void work(await consumer()).catch(() => {})
  await until('kafka-consumer', 'pass')
  const allow = await forbid(server.url, topic, 'read')
  expect(await until('kafka-consumer', 'fail', 'no_permission')).toMatchObject({ cause: 'dependency' })
  await allow()
}, 40_000)

test('a topic that was deleted is told of, and not made again by the question', async () => {
  await withTopic()
  await send(producer(), 'x')
  await until('kafka', 'pass')
  await withTopic((admin) => admin.deleteTopics({ topics: [topic] }))
  expect(await until('kafka', 'warn', 'topic_gone')).toMatchObject({ cause: 'dependency' })
}, 40_000)

test('brokers that are gone are refused to a producer that sends nothing', async () => {
  // the last test of this file
  await withTopic()
  await send(producer(), 'x')
  await until('kafka', 'pass')
  await server.stop()
  expect(await until('kafka', 'fail', 'ECONNREFUSED')).toMatchObject({ cause: 'dependency' })
}, 40_000)
