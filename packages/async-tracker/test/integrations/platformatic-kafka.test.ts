// What the integration of @platformatic/kafka asks of the kit, on a real broker.
import { randomUUID } from 'node:crypto'
import { Writable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import { present, service, type MissingServer, type ServerOf } from '../../../testing/src/services.ts'
import * as library from '@platformatic/kafka'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, onTestFinished, test } from 'vitest'
import { platformaticKafka } from '../../src/integrations/platformatic-kafka.ts'
import type { PlatformaticKafka } from '../../src/integrations/platformatic-kafka/shapes.ts'
import { createFakeKit, type Run } from './fake-kit.ts'

type Message = library.Message<string, string, string, string>

const fake = createFakeKit()
const { sent, runs } = fake
const { stringDeserializers: deserializers, stringSerializers: serializers } = library
let broker: ServerOf['kafka'] | MissingServer
let base: { clientId: string; bootstrapBrokers: string[]; autocreateTopics: boolean; retries: number }
let producer: library.Producer<string, string, string, string>
let topic: string

beforeAll(async () => {
  broker = await service('kafka', { properties: { 'message.max.bytes': 50_000 } })
  if ('missing' in broker) return
  platformaticKafka.patch(library as unknown as PlatformaticKafka, fake.kit)
  platformaticKafka.patch(library as unknown as PlatformaticKafka, fake.kit)
  base = { clientId: 'test', bootstrapBrokers: [broker.url], autocreateTopics: true, retries: 20 }
  producer = new library.Producer({ ...base, serializers, retryDelay: 50 })
}, 60_000)
afterAll(async () => {
  await producer?.close()
  if (!('missing' in broker)) await broker.stop()
})
beforeEach((context) => {
  present(broker, context)
  fake.clear()
  topic = `t-${randomUUID()}`
})
afterEach(() => {
  if (fake.errors.length > 0) throw new AggregateError(fake.errors)
})

const send = (...values: string[]): Promise<unknown> =>
  producer.send({ messages: values.map((value) => ({ topic, value })) })
async function consume(
  options: Record<string, unknown> = { autocommit: false },
  groupId: string = randomUUID(),
): Promise<library.MessagesStream<string, string, string, string>> {
  const consumer = new library.Consumer({ ...base, groupId, deserializers, maxWaitTime: 100, heartbeatInterval: 500 })
  onTestFinished(() => consumer.close(true))
  return consumer.consume({ topics: [topic], mode: 'committed', fallbackMode: 'earliest', ...options } as never)
}
const done = (count: number) => () => runs.filter(({ state }) => state !== 'running').length >= count
const states = (): Run['state'][] => runs.map(({ state }) => state)

describe('sending', () => {
  test('each message is a task, named as Kafka will call it; the caller’s own objects stay as they are', async () => {
    const messages = [
      { topic, value: 'a', headers: { own: 'x' } },
      { topic, value: 'b', headers: new Map([['traceparent', 'of the app']]) },
    ]
    const before = structuredClone(messages)
    const result = await producer.send({ messages })
    expect(result.offsets).toEqual([{ topic, partition: 0, offset: 0n }])
    expect(messages).toEqual(before)
    expect(sent).toMatchObject([
      { draft: { system: 'kafka', destination: topic, name: topic }, state: 'confirmed', messageId: `${topic}/0/0` },
      { state: 'confirmed', messageId: `${topic}/0/1` },
    ])
    const headers: unknown[] = []
    for await (const message of await consume()) {
      headers.push(Object.fromEntries(message.headers))
      if (headers.length === 2) break
    }
    expect(headers).toEqual([{ own: 'x', traceparent: sent[0]!.traceparent }, { traceparent: sent[1]!.traceparent }])
    expect(runs.map(({ traceparent }) => traceparent)).toEqual(sent.map(({ traceparent }) => traceparent))
  })

  test('a producer without serializers, by callback; a consumer without deserializers', async () => {
    const raw = new library.Producer(base)
    onTestFinished(() => raw.close())
    const error = await new Promise((resolve) => {
      raw.send({ messages: [{ topic, value: Buffer.from('a') }] }, resolve)
    })
    expect(error).toBeNull()
    expect(sent).toMatchObject([{ state: 'confirmed', messageId: `${topic}/0/0` }])
    const consumer = new library.Consumer({ ...base, groupId: randomUUID(), maxWaitTime: 100 })
    onTestFinished(() => consumer.close(true))
    const stream = await consumer.consume({ topics: [topic], mode: 'earliest', autocommit: false })
    for await (const { value } of stream) {
      expect(String(value)).toBe('a')
      break
    }
    expect(runs).toMatchObject([{ traceparent: sent[0]!.traceparent }])
  })

  test('without acknowledgement nobody knows whether the broker has it', async () => {
    await send('first') // makes the topic
    await producer.send({ messages: [{ topic, value: 'a' }], acks: library.ProduceAcks.NO_RESPONSE })
    expect(sent[1]).toMatchObject({ state: 'unanswered' })
  })

  test('that is deleted, by itself or with its topic, stayed open for ever', async () => {
    await send('a', 'b')
    const admin = new library.Admin(base as never)
    await admin.deleteRecords({ topics: [{ name: topic, partitions: [{ partition: 0, offset: 1n }] }] })
    await admin.deleteTopics({ topics: [topic] })
    await admin.close()
    expect(fake.emptied).toEqual([
      { system: 'kafka', ids: { prefix: `${topic}/0/`, below: 1 } },
      { system: 'kafka', destination: topic },
    ])
  })

  test('too large, no such topic, closed: never enqueued, and the app gets the library’s own error', async () => {
    await expect(send('x'.repeat(100_000))).rejects.toMatchObject({ code: 'PLT_KFK_MULTIPLE' })
    const strict = new library.Producer({ ...base, serializers, autocreateTopics: false, retries: 0 })
    await expect(strict.send({ messages: [{ topic: `no-${topic}`, value: 'a' }] })).rejects.toThrow('Unknown topic')
    await strict.close()
    await expect(strict.send({ messages: [{ topic, value: 'a' }] })).rejects.toThrow(/closed/)
    expect(sent.map(({ state }) => state)).toEqual(['never_enqueued', 'never_enqueued', 'never_enqueued'])
  })

  test('a stream of a producer: each message is a task as it is written, confirmed as it is sent', async () => {
    const stream = producer.asStream({ batchSize: 2, batchTime: 200 })
    stream.write({ topic, value: 'a' })
    expect(sent.map(({ state }) => state)).toEqual(['spawned'])
    stream.write({ topic, value: 'b' })
    await fake.until(() => sent.every(({ state }) => state === 'confirmed'))
    stream.end({ topic, value: 'c' })
    await fake.until(() => sent[2]?.state === 'confirmed')
    expect(sent.map(({ messageId }) => messageId)).toEqual([`${topic}/0/0`, `${topic}/0/1`, `${topic}/0/2`])
    const broken = producer.asStream({ batchSize: 2, batchTime: 200 })
    broken.write({ topic, value: 'd' })
    broken.destroy()
    await fake.until(() => sent[3]?.state === 'never_enqueued')
  })
})

describe('a transaction', () => {
  let transactional: library.Producer<string, string, string, string>
  beforeEach(() => {
    transactional = new library.Producer({ ...base, serializers, idempotent: true, transactionalId: randomUUID() })
  })
  afterEach(() => transactional.close())

  test('what it sends is confirmed by its commit, and cancelled by its abort', async () => {
    await send('first') // makes the topic
    fake.clear()
    const kept = await transactional.beginTransaction()
    await kept.send({ messages: [{ topic, value: 'a' }] })
    expect(sent.map(({ state }) => state)).toEqual(['spawned'])
    await kept.commit()
    expect(sent).toMatchObject([{ state: 'confirmed', messageId: `${topic}/0/1` }])
    const undone = await transactional.beginTransaction()
    await undone.send({ messages: [{ topic, value: 'b' }] })
    await undone.abort()
    expect(sent[1]).toMatchObject({ state: 'rolled_back' })
    await expect(undone.send({ messages: [{ topic, value: 'c' }] })).rejects.toThrow('already completed')
  })
})

describe('receiving', () => {
  test('a loop: a message is done when the next is asked for; the one at which it is left goes back', async () => {
    await send('a', 'b')
    for await (const { value } of await consume()) {
      expect(states().at(-1)).toBe('running')
      if (value === 'b') break
    }
    expect(states()).toEqual(['succeeded', 'released'])
    expect(runs[0]!.info).toMatchObject({ system: 'kafka', attempt: 0, messageId: `${topic}/0/0` })
  })

  test('a commit is an end; what was not committed is delivered again', async () => {
    const groupId = randomUUID()
    await send('a', 'b')
    const stream = await consume({ autocommit: false }, groupId)
    for await (const message of stream) {
      if (message.value === 'b') break
      await message.commit()
      expect(states()).toEqual(['succeeded'])
    }
    await stream.consumer.close(true)
    for await (const { value } of await consume({ autocommit: false }, groupId)) {
      expect(value).toBe('b')
      break
    }
    expect(states()).toEqual(['succeeded', 'released', 'released'])
  })

  test('a listener: a message is done when the listener is, or when it is committed', async () => {
    await send('a', 'b')
    const stream = await consume()
    const later: Message[] = []
    const listener = (message: Message): Promise<void> | void => {
      later.push(message)
      if (message.value === 'a') return Promise.resolve()
    }
    // oxlint-disable-next-line typescript/no-misused-promises -- apps do
    stream.on('data', listener)
    await fake.until(() => runs.length === 2 && done(1)())
    expect(states()).toEqual(['succeeded', 'running'])
    await later[1]!.commit()
    expect(states()).toEqual(['succeeded', 'succeeded'])
    expect(stream.listeners('data')).toEqual([listener])
    // oxlint-disable-next-line typescript/no-misused-promises -- apps do
    stream.off('data', listener)
    expect(stream.listenerCount('data')).toBe(0)
  })

  test('a commit stood for its own message alone, and those before it in the partition stayed open for ever', async () => {
    await send('a', 'b', 'c', 'd')
    const stream = await consume()
    const got: Message[] = []
    stream.on('data', (message: Message) => {
      got.push(message)
    })
    await fake.until(() => runs.length === 4)
    await got[1]!.commit()
    await fake.until(done(2))
    expect(states()).toEqual(['succeeded', 'succeeded', 'running', 'running'])
    // By the consumer, too.
    await stream.consumer.commit({ offsets: [{ topic, partition: 0, offset: got[2]!.offset + 1n, leaderEpoch: 0 }] })
    await fake.until(done(3))
    expect(states()).toEqual(['succeeded', 'succeeded', 'succeeded', 'running'])
    await stream.close()
    await fake.until(done(4))
    expect(states().at(-1)).toBe('released')
  })

  test('a listener that was taken off and put on again ran nothing that anybody knew of', async () => {
    const stream = await consume()
    const got: string[] = []
    const listener = ({ value }: Message): void => void got.push(value)
    stream.on('data', listener)
    stream.off('data', listener)
    expect(stream.listenerCount('data')).toBe(0)
    stream.on('data', listener)
    await send('a')
    await fake.until(() => runs.length === 1)
    expect(got).toEqual(['a'])
  })

  test('what is piped and listened to ran twice at once', async () => {
    await send('a')
    const stream = await consume()
    const piped: string[] = []
    const target = new Writable({
      objectMode: true,
      write({ value }: Message, _, written) {
        piped.push(value)
        written()
      },
    })
    stream.pipe(target)
    const listened = new Promise((resolve) => stream.on('data', resolve))
    await listened
    await fake.until(() => runs.length > 0)
    expect([piped, runs.length]).toEqual([['a'], 1])
  })

  test('a listener that throws: retried where the app commits, failed for good where the library has', async () => {
    await send('a')
    for (const autocommit of [false, true]) {
      const stream = await consume({ autocommit })
      stream.on('error', () => {})
      stream.on('data', () => {
        throw new Error('no luck')
      })
      await fake.until(done(autocommit ? 2 : 1))
    }
    expect(states()).toEqual(['retrying', 'failed'])
  })

  test('what is piped is done when it is committed, and goes back when the stream ends', async () => {
    await send('a', 'b')
    const stream = await consume()
    const target = new Writable({
      objectMode: true,
      write(message: Message, _, written) {
        if (message.value === 'a') void message.commit(written)
        else written()
      },
    })
    const piped = pipeline(stream, target)
    await fake.until(() => runs.length === 2 && done(1)())
    expect(states()).toEqual(['succeeded', 'running'])
    await Promise.all([stream.close(), piped])
    await fake.until(done(2))
    expect(states()).toEqual(['succeeded', 'released'])
  })
})
