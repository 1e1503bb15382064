// What the integration of kafkajs asks of the kit, on a real broker.
import { randomUUID } from 'node:crypto'
import { present, service, type MissingServer, type ServerOf } from '../../../testing/src/services.ts'
import * as library from 'kafkajs'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, onTestFinished, test } from 'vitest'
import { kafkajs } from '../../src/integrations/kafkajs.ts'
import type { KafkaJS } from '../../src/integrations/kafkajs/shapes.ts'
import { createFakeKit, type Run } from './fake-kit.ts'

type Payload = library.EachBatchPayload

const fake = createFakeKit()
const { sent, runs } = fake
const createPartitioner = library.Partitioners.DefaultPartitioner
let broker: ServerOf['kafka'] | MissingServer
let kafka: library.Kafka
let producer: library.Producer
let topic: string

beforeAll(async () => {
  broker = await service('kafka', { properties: { 'message.max.bytes': 50_000 } })
  if ('missing' in broker) return
  kafkajs.patch(library as unknown as KafkaJS, fake.kit)
  kafkajs.patch(library as unknown as KafkaJS, fake.kit)
  kafka = new library.Kafka({ brokers: [broker.url], logLevel: 0, retry: { initialRetryTime: 20, retries: 8 } })
  producer = kafka.producer({ createPartitioner })
  await producer.connect()
}, 60_000)
afterAll(async () => {
  await producer?.disconnect()
  if (!('missing' in broker)) await broker.stop()
})
beforeEach(async (context) => {
  present(broker, context)
  fake.clear()
  topic = await createTopic()
})
afterEach(() => {
  if (fake.errors.length > 0) throw new AggregateError(fake.errors)
})

async function createTopic(numPartitions = 1): Promise<string> {
  const name = `t-${randomUUID()}`
  const admin = kafka.admin()
  await admin.connect()
  await admin.createTopics({ topics: [{ topic: name, numPartitions }] })
  await admin.disconnect()
  return name
}
/** Runs a consumer of the topic until the condition holds. */
async function consume(config: library.ConsumerRunConfig, condition: () => boolean): Promise<void> {
  const consumer = kafka.consumer({ groupId: randomUUID(), heartbeatInterval: 100, maxWaitTimeInMs: 100 })
  onTestFinished(() => consumer.disconnect())
  await consumer.connect()
  await consumer.subscribe({ topics: [topic], fromBeginning: true })
  await consumer.run(config)
  await fake.until(condition)
}
const send = (...values: string[]): Promise<unknown> =>
  producer.send({ topic, messages: values.map((value) => ({ value })) })
const done = (count: number) => () => runs.filter(({ state }) => state !== 'running').length >= count
/** Of the message at that offset, run by run. */
const statesOf = (offset: number): Run['state'][] =>
  runs.filter(({ info }) => info.messageId === `${topic}/0/${offset}`).map(({ state }) => state)
const states = (): Run['state'][] => runs.map(({ state }) => state)

describe('sending', () => {
  test('each message is a task, named as Kafka will call it; the caller’s own objects stay as they are', async () => {
    const record = Object.freeze({
      topic,
      messages: Object.freeze([
        Object.freeze({ value: 'a', headers: Object.freeze({ own: 'x' }) }),
        Object.freeze({ value: 'b' }),
      ]) as unknown as library.Message[],
    })
    const result = await producer.send(record)
    expect(result).toMatchObject([{ topicName: topic, partition: 0, errorCode: 0, baseOffset: '0' }])
    expect(sent).toMatchObject([
      { draft: { system: 'kafka', destination: topic, name: topic }, state: 'confirmed', messageId: `${topic}/0/0` },
      { state: 'confirmed', messageId: `${topic}/0/1` },
    ])
    const seen: unknown[] = []
    await consume({ eachMessage: async ({ message }) => void seen.push(message.headers) }, done(2))
    expect(seen).toEqual([
      { own: Buffer.from('x'), traceparent: Buffer.from(sent[0]!.traceparent) },
      { traceparent: Buffer.from(sent[1]!.traceparent) },
    ])
    expect(record).toEqual({ topic, messages: [{ value: 'a', headers: { own: 'x' } }, { value: 'b' }] })
  })

  test('several topics and partitions in one call: a message whose partition only Kafka knows has no name yet', async () => {
    const wide = await createTopic(2)
    await producer.sendBatch({
      topicMessages: [
        { topic, messages: [{ value: 'a' }] },
        {
          topic: wide,
          messages: [
            { value: 'b', partition: 1 },
            { value: 'c', partition: 0 },
            { value: 'd', partition: 1 },
          ],
        },
      ],
    })
    expect(sent.map(({ messageId }) => messageId)).toEqual([
      `${topic}/0/0`,
      `${wide}/1/0`,
      `${wide}/0/0`,
      `${wide}/1/1`,
    ])
    fake.clear()
    await producer.send({ topic: wide, messages: ['1', '2', '3', '4', '5', '6'].map((key) => ({ key, value: key })) })
    expect(sent.map(({ state, messageId }) => [state, messageId])).toEqual(sent.map(() => ['confirmed', undefined]))
  })

  test('without acknowledgement nobody knows whether the broker has it', async () => {
    await producer.send({ topic, messages: [{ value: 'a' }], acks: 0 })
    expect(sent).toMatchObject([{ state: 'unanswered' }])
  })

  test('what kafkajs drops without a word, since there is no such partition, counted as confirmed', async () => {
    const messages = [
      { value: 'a', partition: 9 },
      { value: 'b', partition: 0 },
    ]
    await expect(producer.send({ topic, messages: messages.slice(0, 1) })).resolves.toEqual([])
    await expect(producer.send({ topic, messages })).resolves.toMatchObject([{ partition: 0 }])
    expect(sent.map(({ state, messageId }) => [state, messageId])).toEqual([
      ['never_enqueued', undefined],
      ['never_enqueued', undefined],
      ['confirmed', `${topic}/0/0`],
    ])
  })

  test('that is deleted, by itself or with its topic, stayed open for ever', async () => {
    await send('a', 'b', 'c')
    const admin = kafka.admin()
    await admin.connect()
    await admin.fetchTopicMetadata({ topics: [topic] })
    for (const offset of ['2', '-1']) await admin.deleteTopicRecords({ topic, partitions: [{ partition: 0, offset }] })
    await admin.deleteTopics({ topics: [topic] })
    await admin.disconnect()
    expect(fake.emptied).toEqual([
      { system: 'kafka', ids: { prefix: `${topic}/0/`, below: 2 } },
      { system: 'kafka', ids: { prefix: `${topic}/0/` } },
      { system: 'kafka', destination: topic },
    ])
  })

  test('too large, no such topic, no broker: never enqueued, and the app gets kafkajs’ own error', async () => {
    const tooLarge = producer.send({ topic, messages: [{ value: Buffer.alloc(100_000) }] })
    await expect(tooLarge).rejects.toMatchObject({ name: 'KafkaJSProtocolError', type: 'MESSAGE_TOO_LARGE' })
    const retry = { initialRetryTime: 1, retries: 1 }
    const strict = kafka.producer({ createPartitioner, allowAutoTopicCreation: false, retry })
    await strict.connect()
    await expect(strict.send({ topic: `no-${topic}`, messages: [{ value: 'a' }] })).rejects.toThrow(
      /topic-partition|metadata/,
    )
    await strict.disconnect()
    await expect(strict.send({ topic, messages: [{ value: 'a' }] })).rejects.toThrow('The producer is disconnected')
    expect(sent.map(({ state }) => state)).toEqual(['never_enqueued', 'never_enqueued', 'never_enqueued'])
  })

  test('what kafkajs refuses it refuses in its own words, and it is no task', async () => {
    const wrong = producer.send({ topic, messages: [{ key: 'k' } as never] })
    await expect(wrong).rejects.toThrow(`Invalid message without value for topic "${topic}": {"key":"k"}`)
    await expect(producer.send({ topic: '', messages: [] })).rejects.toThrow('Invalid topic')
    await expect(producer.send(undefined as never)).rejects.toThrow(TypeError)
    await expect(producer.sendBatch({ topicMessages: [] })).resolves.toEqual([])
    expect(sent).toEqual([])
  })
})

describe('a transaction', () => {
  let transactional: library.Producer
  beforeEach(async () => {
    transactional = kafka.producer({
      createPartitioner,
      idempotent: true,
      maxInFlightRequests: 1,
      transactionalId: randomUUID(),
    })
    await transactional.connect()
  })
  afterEach(() => transactional.disconnect())

  test('what it sends is confirmed when it is committed', async () => {
    const transaction = await transactional.transaction()
    await transaction.send({ topic, messages: [{ value: 'a' }] })
    await transaction.sendBatch({ topicMessages: [{ topic, messages: [{ value: 'b' }] }] })
    expect(sent.map(({ state }) => state)).toEqual(['spawned', 'spawned'])
    await transaction.commit()
    expect(sent.map(({ state, messageId }) => [state, messageId])).toEqual([
      ['confirmed', `${topic}/0/0`],
      ['confirmed', `${topic}/0/1`],
    ])
    expect(transaction.isActive()).toBe(false)
    await expect(transaction.send({ topic, messages: [{ value: 'c' }] })).rejects.toThrow('once ended')
    expect(sent[2]).toMatchObject({ state: 'never_enqueued' })
  })

  test('what it sent is rolled back with it, and nobody gets it', async () => {
    const transaction = await transactional.transaction()
    await transaction.send({ topic, messages: [{ value: 'a' }, { value: 'b' }] })
    await transaction.abort()
    expect(sent.map(({ state }) => state)).toEqual(['rolled_back', 'rolled_back'])
    await send('c')
    const seen: unknown[] = []
    await consume({ eachMessage: async ({ message }) => void seen.push(String(message.value)) }, done(1))
    expect(seen).toEqual(['c'])
  })

  test('what it could not send was never enqueued, however it ends', async () => {
    const transaction = await transactional.transaction()
    await expect(transaction.send({ topic, messages: [{ value: Buffer.alloc(100_000) }] })).rejects.toThrow(
      'larger than the max',
    )
    expect(sent).toMatchObject([{ state: 'never_enqueued' }])
    await transaction.abort()
    expect(sent).toMatchObject([{ state: 'never_enqueued' }])
  })
})

describe('running each message', () => {
  test('one attempt of its task', async () => {
    await send('a')
    await consume({ eachMessage: async () => {} }, done(1))
    const info = { system: 'kafka', destination: topic, name: topic, attempt: 0, messageId: `${topic}/0/0` }
    expect(runs).toMatchObject([{ info, traceparent: sent[0]!.traceparent, state: 'succeeded' }])
    expect(runs[0]!.info.consumerGroup).toBeTypeOf('string')
  })

  test('a handler that throws is retried, and those before it are not run again', async () => {
    await send('good', 'bad')
    let tries = 0
    const eachMessage = async ({ message }: library.EachMessagePayload): Promise<void> => {
      if (String(message.value) === 'bad' && ++tries === 1) throw new Error('no luck')
    }
    await consume({ eachMessage }, () => statesOf(1).at(-1) === 'succeeded')
    expect(statesOf(1)).toEqual(['retrying', 'succeeded'])
    // 2.0 delivers once more what it had not committed yet
    expect(new Set(statesOf(0))).toEqual(new Set(['succeeded']))
  })
})

test('a consumer that loses its partition while it works: the same task runs twice at once', async () => {
  await send('slow')
  const groupId = randomUUID()
  const { promise: isTaken, resolve: take } = Promise.withResolvers<void>()
  const join = async (eachMessage: () => Promise<void>): Promise<void> => {
    const consumer = kafka.consumer({ groupId, sessionTimeout: 1000, heartbeatInterval: 100, maxWaitTimeInMs: 100 })
    onTestFinished(() => consumer.disconnect())
    await consumer.connect()
    await consumer.subscribe({ topics: [topic], fromBeginning: true })
    await consumer.run({ eachMessage })
  }
  await join(() => isTaken) // without a heartbeat
  await fake.until(() => runs.length === 1)
  await join(async () => take())
  await fake.until(done(2))
  expect(states()).toEqual(['succeeded', 'succeeded'])
  expect(runs.map(({ traceparent }) => traceparent)).toEqual([sent[0]!.traceparent, sent[0]!.traceparent])
}, 30_000)

describe('running a batch', () => {
  const batchOf = (handler: (payload: Payload) => Promise<void>, isAutoResolved = true): library.ConsumerRunConfig => ({
    eachBatch: handler,
    eachBatchAutoResolve: isAutoResolved,
  })

  test('a batch that is done: all its messages are', async () => {
    await send('a', 'b', 'c')
    await consume(
      batchOf(async () => {}),
      done(3),
    )
    expect(states()).toEqual(['succeeded', 'succeeded', 'succeeded'])
    expect(runs.map(({ traceparent }) => traceparent)).toEqual(sent.map(({ traceparent }) => traceparent))
  })

  test('one bad message of a batch: those before it are done, it is retried, those after it go back untouched', async () => {
    await send('a', 'bad', 'c')
    let tries = 0
    const handler = async ({ batch, resolveOffset }: Payload): Promise<void> => {
      for (const { value, offset } of batch.messages) {
        if (String(value) === 'bad' && ++tries === 1) throw new Error('no luck')
        resolveOffset(offset)
      }
    }
    await consume(batchOf(handler), () => statesOf(2).at(-1) === 'succeeded')
    expect(new Set(statesOf(0))).toEqual(new Set(['succeeded']))
    expect(statesOf(1)).toEqual(['retrying', 'succeeded'])
    expect(statesOf(2)).toEqual(['released', 'succeeded'])
  })

  test('a handler that says of no message that it is done, and throws: each may have been the bad one', async () => {
    await send('a', 'b')
    let tries = 0
    const handler = async (): Promise<void> => {
      if (++tries === 1) throw new Error('no luck')
    }
    await consume(batchOf(handler), done(4))
    expect(states()).toEqual(['retrying', 'retrying', 'succeeded', 'succeeded'])
  })

  test('what is not resolved where nothing resolves itself goes back; what is committed is done', async () => {
    await send('a', 'b', 'c')
    let calls = 0
    const handler = async ({ batch, commitOffsetsIfNecessary, resolveOffset }: Payload): Promise<void> => {
      const { partition, messages } = batch
      if (++calls > 1) for (const { offset } of messages) resolveOffset(offset)
      else {
        resolveOffset(messages[0]!.offset)
        await commitOffsetsIfNecessary({
          topics: [{ topic, partitions: [{ partition, offset: messages[2]!.offset }] }],
        })
      }
    }
    await consume(batchOf(handler, false), () => calls > 1 && done(4)())
    expect(states().slice(0, 3)).toEqual(['succeeded', 'succeeded', 'released'])
  })

  test('kafkajs sees the handler’s own promise and error; a batch of one runs in its message’s context', async () => {
    await send('a')
    const errors: unknown[] = []
    const consumer = kafka.consumer({
      groupId: randomUUID(),
      retry: { retries: 0, restartOnFailure: async () => false },
    })
    consumer.on('consumer.crash', ({ payload }) => void errors.push(payload.error.cause))
    onTestFinished(() => consumer.disconnect())
    await consumer.connect()
    await consumer.subscribe({ topics: [topic], fromBeginning: true })
    const error = new Error('no luck')
    await consumer.run({
      eachBatch: async () => {
        throw error
      },
    })
    await fake.until(done(1))
    await expect.poll(() => errors).toEqual([error])
    expect(runs).toMatchObject([{ state: 'retrying', error }])
  })
})
