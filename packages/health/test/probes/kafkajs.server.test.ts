import { createRequire } from 'node:module'
import { pollUntil, present, service, sharedService, type ServerOf } from '@afterspan/testing'
import { afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { kafkajsHook } from '../../src/probes/kafkajs.ts'
import { liveHealth, type LiveHealth } from '../live-health.ts'
import { AUTHORIZER, forbid } from './kafka-permissions.ts'

interface Producer {
  connect(): Promise<void>
  disconnect(): Promise<void>
  send(record: { topic: string; messages: readonly { value: string }[] }): Promise<unknown>
}
interface Consumer {
  connect(): Promise<void>
  disconnect(): Promise<void>
  on(event: string, listen: () => void): unknown
  run(config: { eachMessage: (given: { message: { value: Buffer } }) => Promise<void> }): Promise<void>
  subscribe(options: { topics: readonly string[]; fromBeginning: boolean }): Promise<void>
}
interface Admin {
  connect(): Promise<void>
  createTopics(options: object): Promise<unknown>
  deleteTopics(options: object): Promise<unknown>
  disconnect(): Promise<void>
}
interface Kafka {
  admin(): Admin
  consumer(options: object): Consumer
  producer(options?: object): Producer
}

const require = createRequire(new URL('../../../../test/package.json', import.meta.url))
const QUICK = { intervalMs: 300, timeoutMs: 700 }

let health: LiveHealth
const brokers = sharedService('kafka', { properties: { 'auto.create.topics.enable': 'false', ...AUTHORIZER } })
let server: ServerOf['kafka']
let kafka: Kafka
let made: { disconnect(): Promise<void> }[]
let topic: string
let count = 0
const { Kafka: KafkaClass, Partitioners } = require('kafkajs') as {
  Kafka: new (options: object) => Kafka
  Partitioners: { DefaultPartitioner: unknown }
}

beforeAll(async () => {
  // Once for this file: the hook changes the class, and what it finds goes to the engine of the test that runs.
  kafkajsHook(
    (probe, madeAt) => health.registry.register(probe, madeAt),
    { monotonicMs: () => performance.now() },
    () => {},
    { stuckMs: 1000, stuckStatus: 'warn', deadMs: 2000, timeoutMs: 1500 },
  ).patch({ Kafka: KafkaClass }, { version: '2.2.4', format: 'commonjs' })
}, 90_000)
beforeEach((context) => {
  server = brokers(context)
  made = []
  health = liveHealth(QUICK)
  topic = `mail${++count}`
  kafka = client(server.url)
})
afterEach(async () => {
  await Promise.all(made.map((each) => each.disconnect().catch(() => {})))
  await pollUntil(() => health.registry.snapshot().checks.length === 0, { what: 'the probes of closed clients to go' })
})

function client(broker: string): Kafka {
  return new KafkaClass({ brokers: [broker], logLevel: 0, retry: { initialRetryTime: 50, retries: 2 } })
}
async function withTopic(then: (admin: Admin) => Promise<unknown> = async () => {}): Promise<void> {
  const admin = kafka.admin()
  await admin.connect()
  await admin.createTopics({ topics: [{ topic, numPartitions: 1 }] })
  await then(admin)
  await admin.disconnect()
}
async function producer(of = kafka): Promise<Producer> {
  const it = of.producer({ createPartitioner: Partitioners.DefaultPartitioner })
  made.push(it)
  await it.connect()
  return it
}
async function consumer(handle: (value: string) => Promise<void>, options: object = {}): Promise<Consumer> {
  const it = kafka.consumer({
    groupId: topic,
    sessionTimeout: 6000,
    heartbeatInterval: 200,
    maxWaitTimeInMs: 200,
    retry: { retries: 8, initialRetryTime: 50 },
    ...options,
  })
  made.push(it)
  const joined = new Promise<void>((resolve) => it.on('consumer.group_join', () => resolve()))
  await it.connect()
  await it.subscribe({ topics: [topic], fromBeginning: true })
  await it.run({ eachMessage: async ({ message }) => handle(message.value.toString()) })
  await joined
  return it
}
const until = (name: string, status: string, code?: string, timeoutMs = 20_000): ReturnType<LiveHealth['until']> =>
  health.until(name, (check) => check?.status === status && (code === undefined || check.code === code), timeoutMs)

test('a producer and a consumer are found where they are made, and tell of their topics', async () => {
  await withTopic()
  const sending = await producer()
  await consumer(async () => {})
  await sending.send({ topic, messages: [{ value: 'x' }] })
  expect(await health.until('kafka', (check) => check?.observed?.['partitions']?.value === 1)).toMatchObject({
    status: 'pass',
    madeAt: expect.stringMatching(/kafkajs\.server\.test\.ts:\d+$/),
    observed: { roundTrip: { unit: 'ms' } },
  })
  expect(
    await health.until(
      'kafka-consumer',
      (check) => check?.status === 'pass' && check.observed?.['assigned']?.value === 1,
      20_000,
    ),
  ).toMatchObject({ status: 'pass', observed: { lag: { value: 0 } } })
})

test('a second consumer without a partition is well', async () => {
  await withTopic()
  await consumer(async () => {})
  await consumer(async () => {})
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

test('a consumer whose handler hangs is stuck, then counted out of its group; and well when it goes on', async () => {
  await withTopic()
  let goOn: (() => void) | undefined
  const handle = (value: string): Promise<void> =>
    value === 'hangs' && !goOn ? new Promise((resolve) => (goOn = resolve)) : Promise.resolve()
  await consumer(handle, { sessionTimeout: 2500 })
  await (await producer()).send({ topic, messages: [{ value: 'hangs' }, { value: 'waits' }] })
  expect(await until('kafka-consumer', 'warn', 'consumer_stuck')).toMatchObject({ observed: { idle: { unit: 'ms' } } })
  expect(await until('kafka-consumer', 'fail', 'consumer_gone')).toMatchObject({ cause: 'self_recoverable' })
  goOn?.()
  await until('kafka-consumer', 'pass')
}, 60_000)

test('a consumer that ends by an error and does not begin again is one that only a restart brings back', async () => {
  await withTopic()
  const retry = { retries: 0, initialRetryTime: 10, restartOnFailure: async () => false }
  await consumer(() => Promise.reject(new Error('cannot')), { retry })
  await (await producer()).send({ topic, messages: [{ value: 'bad' }] })
  await until('kafka-consumer', 'fail', 'consumer_gone')
  expect(await health.until('kafka-consumer', (check) => check?.cause === 'self_wedged', 20_000)).toMatchObject({
    status: 'fail',
  })
}, 40_000)

test('a producer that may not write any more fails, though its brokers answer, and is well when it may', async () => {
  await withTopic()
  const sending = await producer()
  const send = (): Promise<unknown> => sending.send({ topic, messages: [{ value: 'x' }] })
  await send()
  await until('kafka', 'pass')
  const allow = await forbid(server.url, topic, 'write')
  await expect.poll(() => send().catch((error: { type: string }) => error.type)).toBe('TOPIC_AUTHORIZATION_FAILED')
  await expect(send()).rejects.toThrow('Not authorized')
  expect(await until('kafka', 'fail', 'no_permission')).toMatchObject({ cause: 'dependency' })
  await allow()
  await expect.poll(() => send().catch(() => undefined)).toBeDefined()
  await until('kafka', 'pass')
}, 40_000)

test('a consumer that may not read any more has ended by that, and no restart helps', async () => {
  await withTopic()
  await consumer(async () => {})
  await until('kafka-consumer', 'pass')
  const allow = await forbid(server.url, topic, 'read')
  expect(await until('kafka-consumer', 'fail', 'no_permission')).toMatchObject({ cause: 'dependency' })
  await allow()
}, 40_000)

test('a topic that was deleted is told of, and not made again by the question', async () => {
  await withTopic()
  await (await producer()).send({ topic, messages: [{ value: 'x' }] })
  await until('kafka', 'pass')
  await withTopic((admin) => admin.deleteTopics({ topics: [topic] }))
  expect(await until('kafka', 'warn', 'topic_gone')).toMatchObject({ cause: 'dependency' })
}, 40_000)

describe('brokers', () => {
  test('that are frozen are a timeout, and well again soon after, with one question on its way', async () => {
    await withTopic()
    await (await producer()).send({ topic, messages: [{ value: 'x' }] })
    await consumer(async () => {})
    await until('kafka', 'pass')
    await until('kafka-consumer', 'pass')
    await server.freeze()
    try {
      await until('kafka', 'fail', 'timeout')
      expect(await until('kafka-consumer', 'fail', 'timeout')).toMatchObject({ cause: 'dependency' })
    } finally {
      await server.thaw()
    }
    await until('kafka', 'pass')
    await until('kafka-consumer', 'pass', undefined, 40_000)
  }, 90_000)

  test('that are gone, and back with an address at which nobody answers, are found by a producer that sends nothing', async (context) => {
    // the last test of this file
    await withTopic()
    const sending = await producer()
    await sending.send({ topic, messages: [{ value: 'x' }] })
    await until('kafka', 'pass')
    await server.stop()
    await until('kafka', 'fail', 'ECONNREFUSED')
    const wrong = { 'advertised.listeners': 'PLAINTEXT://127.0.0.1:1' }
    const back = present(await service('kafka', { port: server.port, properties: wrong }), context)
    try {
      // A new one, without the topic, which the question does not make.
      await until('kafka', 'warn', 'topic_gone', 30_000)
      const sent = sending.send({ topic, messages: [{ value: 'x' }] }).catch(() => {})
      const check = await until('kafka', 'fail', 'brokers_unreachable', 30_000)
      expect(check?.reason).not.toContain('127.0.0.1')
      await sending.disconnect()
      await sent
    } finally {
      await back.stop()
    }
  }, 120_000)
})
