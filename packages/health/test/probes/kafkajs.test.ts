import { once } from 'node:events'
import { createServer, type AddressInfo } from 'node:net'
import type { ProbeResult } from '@afterspan/core/internal'
import { beforeEach, describe, expect, test } from 'vitest'
import { kafkajsHook } from '../../src/probes/kafkajs.ts'
import { judgeTopics, type Partition } from '../../src/probes/kafka-topics.ts'
import type { FoundProbe } from '../../src/registry.ts'
import { settled } from '../fake-time.ts'
import { probeConformance } from '../probe-conformance.ts'

type Listener = (event: { payload?: object }) => void
const HERE: Partition = { leader: 1, replicas: [1], isr: [1] }
const THREE: Partition = { leader: 1, replicas: [1, 2, 3], isr: [1, 2, 3] }

class FakeBroker {
  readonly connectionPool = { host: '127.0.0.1', port: 1 }
  isOpen = true
  allowAutoTopicCreation = true
  asked: string[] = []
  minInSync = '2'
  onMetadata: (topics: readonly string[]) => Promise<Record<string, Partition[]>> = async () => ({ mail: [HERE] })
  isConnected(): boolean {
    return this.isOpen
  }
  async apiVersions(): Promise<object> {
    this.asked.push('apiVersions')
    return {}
  }
  async metadata(topics: readonly string[]): Promise<object> {
    this.asked.push(`metadata ${topics.join()} ${String(this.allowAutoTopicCreation)}`)
    const all = await this.onMetadata(topics)
    return {
      brokers: [{ nodeId: 1, host: '127.0.0.1', port: 1 }],
      topicMetadata: Object.entries(all).map(([topic, partitionMetadata]) => ({ topic, partitionMetadata })),
    }
  }
  async describeConfigs(): Promise<object> {
    this.asked.push('describeConfigs')
    const configEntries = [{ configName: 'min.insync.replicas', configValue: this.minInSync }]
    return { resources: [{ resourceName: 'mail', configEntries }] }
  }
}
class FakeClient {
  readonly cluster: FakeCluster
  readonly listeners = new Map<string, Listener>()
  onConnect = async (): Promise<void> => {}
  constructor(cluster: FakeCluster) {
    this.cluster = cluster
  }
  on(event: string, listener: Listener): void {
    this.listeners.set(event, listener)
  }
  tell(event: string, payload: object = {}): void {
    this.listeners.get(event)?.({ payload })
  }
  connect(): Promise<void> {
    return this.onConnect()
  }
  async disconnect(): Promise<void> {}
  async run(_config: object): Promise<void> {}
  async stop(): Promise<void> {}
}
class FakeCluster {
  readonly targetTopics = new Set(['mail'])
  readonly broker = new FakeBroker()
  readonly dialled: FakeBroker[] = []
  readonly brokerPool = {
    brokers: { 1: this.broker } as Record<string, FakeBroker>,
    connectBroker: async (broker: FakeBroker) => {
      this.dialled.push(broker)
      broker.isOpen = true
    },
  }
}

let found: { readonly probe: FoundProbe; readonly madeAt: string | undefined }[]
let rejected: string[]
let now: number
let kafka: { consumer(options: object): FakeClient; producer(options?: object): FakeClient }

beforeEach(() => {
  found = []
  rejected = []
  now = 0
  const create = Symbol('private:Kafka:createCluster')
  class Kafka {
    readonly [create] = (): FakeCluster => new FakeCluster()
    consumer(_options: object): FakeClient {
      return new FakeClient(this[create]())
    }
    producer(_options?: object): FakeClient {
      return new FakeClient(this[create]())
    }
  }
  const hook = kafkajsHook(
    (probe, madeAt) => found.push({ probe, madeAt }),
    { monotonicMs: () => now },
    (why) => rejected.push(why),
    { stuckMs: 60_000, stuckStatus: 'warn', deadMs: 60_000, timeoutMs: 20 },
  )
  for (let i = 0; i < 2; i++) hook.patch({ Kafka }, { version: '2.2.4', format: 'commonjs' })
  kafka = new Kafka()
})

function check(signal = new AbortController().signal): Promise<ProbeResult> {
  return found.at(-1)!.probe.check(signal)
}
async function producer(): Promise<FakeClient> {
  const client = kafka.producer()
  await client.connect()
  return client
}
async function joined(options: object = {}): Promise<FakeClient> {
  const client = kafka.consumer({ groupId: 'mailers', sessionTimeout: 10_000, ...options })
  await client.connect()
  await client.run({ eachMessage: async () => {} })
  client.tell('consumer.group_join', { memberAssignment: { mail: [0, 1] } })
  return client
}

describe('a client', () => {
  test('is found where it is made, when it is connected, and once', async () => {
    const client = kafka.producer()
    expect(found).toEqual([])
    await client.connect()
    expect(found).toMatchObject([{ madeAt: expect.stringMatching(/kafkajs\.test\.ts:\d+$/), probe: { name: 'kafka' } }])
    expect(await check()).toMatchObject({ status: 'pass', observed: { partitions: { value: 1 } } })
    // not one that would make a topic
    expect(client.cluster.broker.asked).toEqual(['metadata mail false'])
  })

  test('without topics is not asked for all there are', async () => {
    const client = await producer()
    client.cluster.targetTopics.clear()
    expect(await check()).toMatchObject({ status: 'pass' })
    expect(client.cluster.broker.asked).toEqual(['apiVersions'])
  })

  test('that could not connect fails for a minute, and the app hears of it as ever', async () => {
    const client = kafka.producer()
    client.onConnect = async () => {
      throw Object.assign(new Error('connect ECONNREFUSED 10.0.0.1:9092'), { name: 'KafkaJSConnectionError' })
    }
    kafka.producer = () => client
    const again = kafka.producer()
    await expect(again.connect()).rejects.toThrow('ECONNREFUSED')
  })

  test('that the app disconnects while it connects in vain is none', async () => {
    const client = kafka.producer()
    const refused = Promise.withResolvers<void>()
    client.onConnect = () => refused.promise
    kafka.producer = () => client
    const again = kafka.producer()
    const connecting = again.connect()
    await again.disconnect()
    refused.reject(new Error('connect ECONNREFUSED'))
    await expect(connecting).rejects.toThrow('ECONNREFUSED')
    expect(found.at(-1)!.probe.isGone()).toBe(true)
  })

  test('that the app disconnects goes, and comes again', async () => {
    const client = await producer()
    await client.disconnect()
    expect(found[0]!.probe.isGone()).toBe(true)
    await client.connect()
    expect([found.length, found[0]!.probe.isGone(), found[1]!.probe === found[0]!.probe]).toEqual([2, false, true])
  })

  test('whose broker is silent has one question on its way, not one for each round', async () => {
    const { cluster } = await producer()
    cluster.broker.onMetadata = () => new Promise(() => {})
    expect(await check(AbortSignal.abort())).toMatchObject({ status: 'fail', code: 'timeout' })
    expect(await check(AbortSignal.abort())).toMatchObject({ status: 'fail', code: 'timeout' })
    expect(cluster.broker.asked).toHaveLength(1)
  })

  test('that is not connected does not dial where nobody is', async () => {
    const { cluster } = await producer()
    cluster.broker.isOpen = false
    expect(await check()).toMatchObject({ status: 'fail', code: 'ECONNREFUSED' })
    expect(cluster.dialled).toEqual([])
  })

  test('whose brokers are not where their metadata says asks the one by which it came to them', async () => {
    const { cluster } = await producer()
    const seed = new FakeBroker()
    const server = createServer().listen(0, '127.0.0.1')
    await once(server, 'listening')
    try {
      const { port } = server.address() as AddressInfo
      Object.assign(seed, { isOpen: false, connectionPool: { host: '127.0.0.1', port } })
      Object.assign(cluster.brokerPool, { seedBroker: seed })
      cluster.broker.isOpen = false
      const result = await check()
      expect(result).toMatchObject({ status: 'fail', code: 'brokers_unreachable' })
      expect(result.reason).toContain('ECONNREFUSED')
      expect(cluster.dialled).toEqual([seed])
    } finally {
      server.close()
    }
  })

  test.for([
    ['UNKNOWN_TOPIC_OR_PARTITION', 'warn', 'topic_gone'],
    ['TOPIC_AUTHORIZATION_FAILED', 'fail', 'no_permission'],
    ['LEADER_NOT_AVAILABLE', 'fail', 'offline_partitions'],
  ])('that is answered %s says %s, %s', async ([type, status, code]) => {
    const { cluster } = await producer()
    cluster.broker.onMetadata = async () => {
      throw Object.assign(new Error('no'), { name: 'KafkaJSProtocolError', type })
    }
    expect(await check()).toMatchObject({ status, code })
  })

  test('asks for min.insync.replicas only where replicas are missing, and not each time', async () => {
    const { cluster } = await producer()
    await check()
    cluster.broker.onMetadata = async () => ({ mail: [{ ...THREE, isr: [1] }] })
    expect(await check()).toMatchObject({
      status: 'fail',
      code: 'under_min_isr',
      observed: { underMinimum: { value: 1 } },
    })
    await check()
    expect(cluster.broker.asked.filter((asked) => asked === 'describeConfigs')).toHaveLength(1)
  })

  test('is seen to be well by what it has sent', async () => {
    const client = await producer()
    client.tell('producer.network.request', { apiName: 'Metadata' })
    expect(found[0]!.probe.seesWell!()).toBe(false)
    client.tell('producer.network.request', { apiName: 'Produce' })
    expect([found[0]!.probe.seesWell!(), found[0]!.probe.seesWell!()]).toEqual([true, false])
  })

  test('more than twenty are said and left alone', async () => {
    for (let i = 0; i < 21; i++) await producer()
    expect([found.length, rejected]).toEqual([20, ['there are 20 clients of Kafka already']])
  })
})

describe('topics', () => {
  const judged = (
    partition: Partition,
    min: number | undefined,
    role: 'consumer' | 'producer' = 'producer',
  ): ProbeResult =>
    judgeTopics(
      {
        roundTripMs: 1,
        topics: new Map([['mail', [partition]]]),
        minInSync: new Map(min === undefined ? [] : [['mail', min]]),
        unreachable: undefined,
      },
      role,
    )

  test('whose replicas are too few hold up who writes', () => {
    expect(judged({ ...THREE, isr: [1, 2] }, 2)).toMatchObject({
      status: 'pass',
      observed: { underReplicated: { value: 1 } },
    })
    expect(judged({ ...THREE, isr: [1] }, 2)).toMatchObject({ status: 'fail', code: 'under_min_isr' })
    expect(judged({ ...THREE, isr: [1] }, 2, 'consumer')).toMatchObject({ status: 'warn', code: 'under_min_isr' })
    // who may not ask does not know
    expect(judged({ ...THREE, isr: [1] }, undefined)).toMatchObject({ status: 'pass' })
    // more are asked for than there are: the brokers do not insist
    expect(judged(HERE, 2)).toMatchObject({ status: 'pass' })
  })

  test('without a leader fail', () => {
    expect(judged({ ...HERE, leader: -1 }, 1)).toMatchObject({ status: 'fail', code: 'offline_partitions' })
  })
})

describe('a consumer', () => {
  test('that does not run, or that the app has stopped, is asked for its brokers alone', async () => {
    const client = await joined()
    await client.stop()
    now += 3_600_000
    expect(await check()).toMatchObject({ status: 'pass' })
  })

  test('that is to join has a minute', async () => {
    const client = kafka.consumer({ groupId: 'mailers' })
    await client.connect()
    await client.run({ eachMessage: async () => {} })
    now += 59_000
    expect(await check()).toMatchObject({ status: 'pass' })
    now += 2000
    expect(await check()).toMatchObject({ status: 'fail', code: 'consumer_gone' })
    client.tell('consumer.group_join', { memberAssignment: {} })
    expect(await check()).toMatchObject({ status: 'pass', observed: { assigned: { value: 0 } } })
  })

  test('that waits for its group is not one whose broker is silent, for a while', async () => {
    const client = await joined()
    client.tell('consumer.rebalancing')
    client.cluster.broker.onMetadata = () => new Promise(() => {})
    // Before the deadline, at which it would count as late.
    expect(await check()).toMatchObject({ status: 'pass', observed: { checked: { value: 'joining' } } })
    now += 11_000
    expect(await check(AbortSignal.abort())).toMatchObject({ status: 'fail', code: 'timeout' })
  })

  test('without a heartbeat for a session is out of its group', async () => {
    const client = await joined()
    now += 9000
    client.tell('consumer.heartbeat')
    now += 9000
    // Its group takes a commit for one too.
    client.tell('consumer.commit_offsets')
    now += 9000
    expect(await check()).toMatchObject({ status: 'pass' })
    now += 2000
    expect(await check()).toMatchObject({ status: 'fail', code: 'consumer_gone', cause: 'self_recoverable' })
  })

  test('in a batch in which nothing moves is stuck; one that goes from message to message is not', async () => {
    const client = await joined({ sessionTimeout: 3_600_000 })
    const batch = { topic: 'mail', partition: 0, firstOffset: '5' }
    client.tell('consumer.start_batch_process', batch)
    now += 50_000
    client.tell('consumer.heartbeat')
    now += 50_000
    expect(await check()).toMatchObject({ status: 'pass' })
    now += 11_000
    // the same one again has not got on
    client.tell('consumer.start_batch_process', batch)
    expect(await check()).toMatchObject({ status: 'warn', code: 'consumer_stuck', observed: { idle: { unit: 'ms' } } })
    client.tell('consumer.end_batch_process', { ...batch, offsetLag: '7' })
    expect(await check()).toMatchObject({ status: 'pass', observed: { lag: { value: 7 } } })
  })

  test('that crashes in a batch is told of until it has finished one', async () => {
    const client = await joined()
    client.tell('consumer.start_batch_process', { topic: 'mail', partition: 0, firstOffset: '5' })
    client.tell('consumer.crash', { restart: true })
    expect(await check()).toMatchObject({ status: 'fail', code: 'consumer_crashed' })
    client.tell('consumer.group_join', { memberAssignment: { mail: [0] } })
    expect(await check()).toMatchObject({ status: 'warn', code: 'consumer_crashed' })
    client.tell('consumer.end_batch_process', { topic: 'mail', partition: 0 })
    expect(await check()).toMatchObject({ status: 'pass' })
  })

  test('that has ended for good is brought back by a restart, where its brokers can be reached', async () => {
    const client = await joined()
    client.tell('consumer.crash', { restart: false })
    expect(await check()).toMatchObject({ status: 'fail', code: 'consumer_gone', cause: 'self_recoverable' })
    now += 61_000
    expect(await check()).toMatchObject({ status: 'fail', code: 'consumer_gone', cause: 'self_wedged' })
    client.cluster.broker.isOpen = false
    expect(await check()).toMatchObject({ status: 'fail', code: 'ECONNREFUSED', cause: 'dependency' })
  })

  test('that fetches is seen to be well, unless it is known that it is not', async () => {
    const client = await joined()
    client.tell('consumer.fetch')
    expect([found[0]!.probe.seesWell!(), found[0]!.probe.seesWell!()]).toEqual([true, false])
    client.tell('consumer.fetch')
    client.tell('consumer.crash', { restart: true })
    expect(found[0]!.probe.seesWell!()).toBe(false)
  })
})

probeConformance('kafka', {
  well: async () => {
    await producer()
    return found.at(-1)!.probe
  },
  sick: async () => {
    const { cluster } = await producer()
    cluster.broker.onMetadata = async () => {
      throw Object.assign(new Error('Closed connection to broker kafka.internal:9092'), {
        name: 'KafkaJSConnectionClosedError',
      })
    }
    await settled()
    return found.at(-1)!.probe
  },
  silent: async () => {
    const { cluster } = await producer()
    cluster.broker.onMetadata = () => new Promise(() => {})
    return found.at(-1)!.probe
  },
  secrets: ['kafka.internal'],
})
