import { channel } from 'node:diagnostics_channel'
import { EventEmitter } from 'node:events'
import type { ProbeResult } from '@afterspan/core/internal'
import { beforeEach, describe, expect, test } from 'vitest'
import { platformaticKafkaHook } from '../../src/probes/platformatic-kafka.ts'
import type { Partition } from '../../src/probes/kafka-topics.ts'
import type { FoundProbe } from '../../src/registry.ts'
import { probeConformance } from '../probe-conformance.ts'

const HERE: Partition = { leader: 1, replicas: [1], isr: [1] }
const THREE: Partition = { leader: 1, replicas: [1, 2, 3], isr: [1, 2, 3] }

type Topics = Record<string, Partition[]>
class FakeClient extends EventEmitter {
  closed = false
  readonly asked: string[] = []
  isStrict = false
  onMetadata: (topics: readonly string[]) => Promise<Topics> = async () => ({ mail: [HERE] })
  currentMetadata = { topics: new Map([['mail', {}]]) }
  readonly topics = { current: ['mail'] }
  assignments: { topic: string; partitions: number[] }[] | null = null
  end = 0n
  readonly connections = Object.assign([['127.0.0.1:1', { isConnected: () => true }]] as const, {
    getFirstAvailable: (_brokers: unknown, done: (error: null, connection: string) => void) => done(null, 'connection'),
  })
  constructor() {
    super()
    this.setMaxListeners(0) // as the library's own has
  }
  isActive(): boolean {
    return true
  }
  async listApis(): Promise<object> {
    return [{ name: 'DescribeConfigs', maxVersion: 9 }]
  }
  async metadata(options: { topics: string[]; autocreateTopics: boolean; retries?: number }): Promise<object> {
    this.asked.push(`metadata ${options.topics.join()} ${String(options.autocreateTopics)} ${String(options.retries)}`)
    if (this.isStrict && 'retries' in options) throw new Error('/options must NOT have additional properties.')
    const all = await this.onMetadata(options.topics)
    return {
      brokers: new Map([[1, { host: '127.0.0.1', port: 1 }]]),
      topics: new Map(Object.entries(all).map(([topic, partitions]) => [topic, { partitions }])),
    }
  }
  async listOffsets(): Promise<object> {
    return new Map([['mail', [this.end]]])
  }
  async listCommittedOffsets(): Promise<object> {
    return new Map([['mail', [0n]]])
  }
}
class FakeStream extends EventEmitter {
  readonly consumer: FakeClient
  errored: Error | null = null
  readableLength = 0
  readonly offsetsToFetch = new Map([['mail:0', 0n]])
  constructor(consumer: FakeClient) {
    super()
    this.consumer = consumer
    this.setMaxListeners(0) // each test of this file listens
    channel('plt:kafka:instances').publish({ type: 'messages-stream', instance: this })
  }
}

let found: { readonly probe: FoundProbe; readonly madeAt: string | undefined }[]
let rejected: string[]
let described: unknown[]
let now: number

beforeEach(() => {
  found = []
  rejected = []
  described = []
  now = 0
  const into = { found, rejected }
  const api = (
    connection: unknown,
    resources: unknown,
    _s: false,
    _d: false,
    done: (e: null, v: object) => void,
  ): void => {
    described.push([connection, resources])
    done(null, { results: [{ resourceName: 'mail', configs: [{ name: 'min.insync.replicas', value: '2' }] }] })
  }
  const hook = platformaticKafkaHook(
    (probe, madeAt) => into.found.push({ probe, madeAt }),
    { monotonicMs: () => now },
    (why) => into.rejected.push(why),
    { stuckMs: 60_000, stuckStatus: 'warn', deadMs: 60_000, timeoutMs: 20 },
  )
  for (let i = 0; i < 2; i++) hook.patch({ describeConfigsV4: { api } }, { version: '2.12.1', format: 'module' })
})

function check(signal = new AbortController().signal): Promise<ProbeResult> {
  return found.at(-1)!.probe.check(signal)
}
function make(type: string): FakeClient {
  const client = new FakeClient()
  channel('plt:kafka:instances').publish({ type, instance: client })
  return client
}
function used(type: string): FakeClient {
  const client = make(type)
  client.emit('client:performWithRetry', 'metadata', 0, 3)
  return client
}
function joins(client: FakeClient, options: object = { sessionTimeout: 10_000, rebalanceTimeout: 60_000 }): void {
  channel('tracing:plt:kafka:consumer:group:start').publish({ client, operation: 'joinGroup', options })
}
function joined(partitions: number[] = [0]): FakeClient {
  const client = used('consumer')
  joins(client)
  client.assignments = [{ topic: 'mail', partitions }]
  client.emit('consumer:group:join', {})
  return client
}

describe('a client', () => {
  test('is found when it is used, and once', async () => {
    const client = make('producer')
    expect(found).toEqual([])
    client.emit('client:performWithRetry')
    client.emit('client:performWithRetry')
    expect(found).toMatchObject([{ probe: { name: 'kafka' } }])
    expect(await check()).toMatchObject({ status: 'pass', observed: { partitions: { value: 1 } } })
    // not one that would make a topic, and not one that is tried again
    expect(client.asked).toEqual(['metadata mail false 0'])
    client.closed = true
    expect(found[0]!.probe.isGone()).toBe(true)
  })

  test('of another kind is none', () => {
    for (const type of ['admin', 'base', 'connection-pool']) used(type)
    expect(found).toEqual([])
  })

  test('that knows no retries and is strict is asked without', async () => {
    const client = used('producer')
    client.isStrict = true
    expect([(await check()).status, (await check()).status]).toEqual(['pass', 'pass'])
    expect(client.asked.map((asked) => asked.split(' ').at(-1))).toEqual(['0', 'undefined', 'undefined'])
  })

  test('that has forgotten its topics is asked for them all the same', async () => {
    const client = used('producer')
    await check()
    client.currentMetadata.topics.clear()
    await check()
    expect(client.asked[1]).toBe('metadata mail false 0')
  })

  test('whose broker is silent has one question on its way, not one for each round', async () => {
    const client = used('producer')
    client.onMetadata = () => new Promise(() => {})
    expect(await check(AbortSignal.abort())).toMatchObject({ status: 'fail', code: 'timeout' })
    expect(await check(AbortSignal.abort())).toMatchObject({ status: 'fail', code: 'timeout' })
    expect(client.asked).toHaveLength(1)
  })

  test.for([
    [{ message: 'Unknown topic mail.', code: 'PLT_KFK_USER' }, 'warn', 'topic_gone'],
    [{ errors: [{ apiId: 'TOPIC_AUTHORIZATION_FAILED', code: 'PLT_KFK_PROTOCOL' }] }, 'fail', 'no_permission'],
    [{ errors: [{ apiId: 'LEADER_NOT_AVAILABLE' }] }, 'fail', 'offline_partitions'],
    [{ errors: [{ code: 'PLT_KFK_NETWORK', cause: { code: 'ECONNREFUSED' } }] }, 'fail', 'ECONNREFUSED'],
    [{ code: 'PLT_KFK_NETWORK', message: 'Connection closed' }, 'fail', 'connection_lost'],
    [{ code: 'PLT_KFK_AUTHENTICATION' }, 'fail', 'auth_failed'],
    [{ code: 'PLT_KFK_TIMEOUT' }, 'fail', 'timeout'],
    [{}, 'fail', 'not_connected'],
  ] as const)('that is answered %j says %s, %s', async ([given, status, code]) => {
    const client = used('producer')
    client.onMetadata = async () => {
      throw Object.assign(new Error('no'), given)
    }
    expect(await check()).toMatchObject({ status, code })
  })

  test('asks for min.insync.replicas only where replicas are missing, by the version that it knows, and not each time', async () => {
    const client = used('producer')
    await check()
    expect(described).toEqual([])
    client.onMetadata = async () => ({ mail: [{ ...THREE, isr: [1] }] })
    for (let i = 0; i < 2; i++)
      expect(await check()).toMatchObject({
        status: 'fail',
        code: 'under_min_isr',
        observed: { underMinimum: { value: 1 } },
      })
    expect(described).toEqual([
      ['connection', [{ resourceType: 2, resourceName: 'mail', configurationKeys: ['min.insync.replicas'] }]],
    ])
  })

  test('more than twenty are said and left alone', () => {
    for (let i = 0; i < 21; i++) used('producer')
    expect([found.length, rejected]).toEqual([20, ['there are 20 clients of @platformatic/kafka already']])
  })
})

describe('a consumer', () => {
  test('that has asked for no group is asked for its brokers alone', async () => {
    used('consumer')
    now += 3_600_000
    expect(await check()).toMatchObject({ status: 'pass' })
  })

  test('that is to join has as long as its group may take, and none while it has left', async () => {
    const client = used('consumer')
    joins(client)
    now += 59_000
    expect(await check()).toMatchObject({ status: 'pass' })
    joins(client)
    now += 2000
    expect(await check()).toMatchObject({ status: 'fail', code: 'consumer_gone', cause: 'self_recoverable' })
    client.emit('consumer:group:join')
    expect(await check()).toMatchObject({ status: 'pass', observed: { assigned: { value: 0 } } })
    client.emit('consumer:group:leave')
    now += 3_600_000
    expect(await check()).toMatchObject({ status: 'pass' })
  })

  test('that waits for its group is not one whose broker is silent, for a while', async () => {
    const client = joined()
    client.emit('consumer:group:rebalance')
    client.onMetadata = () => new Promise(() => {})
    // Before the deadline, at which it would count as late.
    expect(await check()).toMatchObject({ status: 'pass', observed: { checked: { value: 'joining' } } })
    now += 11_000
    expect(await check(AbortSignal.abort())).toMatchObject({ status: 'fail', code: 'timeout' })
  })

  test('of the newer protocol, which tells no join after partitions were taken, has joined by its heartbeat', async () => {
    const client = joined()
    client.emit('consumer:group:rebalance')
    client.emit('consumer:heartbeat:end')
    now += 9000
    client.emit('consumer:heartbeat:end')
    expect(await check()).toMatchObject({ status: 'pass', observed: { assigned: { value: 1 } } })
  })

  test('without a heartbeat for a session is out of its group', async () => {
    const client = joined()
    now += 9000
    client.emit('consumer:heartbeat:end')
    now += 9000
    expect(await check()).toMatchObject({ status: 'pass' })
    now += 2000
    expect(await check()).toMatchObject({ status: 'fail', code: 'consumer_gone', cause: 'self_recoverable' })
  })

  const beats = (client: FakeClient, ms: number): void => {
    now += ms
    client.emit('consumer:heartbeat:end')
  }

  test('that takes some of what was fetched gets on, and one that takes nothing is stuck, though more is fetched', async () => {
    const client = joined()
    const stream = new FakeStream(client)
    stream.offsetsToFetch.set('mail:0', 10n)
    stream.readableLength = 8
    client.end = 10n
    for (const left of [7, 6]) {
      beats(client, 50_000)
      stream.readableLength = left
      expect(await check()).toMatchObject({ status: 'pass', observed: { lag: { value: left } } })
    }
    beats(client, 61_000)
    stream.offsetsToFetch.set('mail:0', 12n)
    stream.readableLength = 8
    client.end = 12n
    expect(await check()).toMatchObject({ status: 'warn', code: 'consumer_stuck', observed: { idle: { unit: 'ms' } } })
    stream.readableLength = 0
    expect(await check()).toMatchObject({ status: 'pass' })
  })

  test('that fetches nothing of what is there is stuck, and one for which nothing is there is not', async () => {
    const client = joined()
    expect(new FakeStream(client).readableLength).toBe(0)
    beats(client, 61_000)
    expect(await check()).toMatchObject({ status: 'pass' })
    client.end = 5n
    beats(client, 61_000)
    expect(await check()).toMatchObject({ status: 'warn', code: 'consumer_stuck', observed: { lag: { value: 5 } } })
  })

  test('without a partition waits for nothing', async () => {
    const client = joined([])
    client.end = 5n
    expect(new FakeStream(client).readableLength).toBe(0)
    for (let i = 0; i < 2; i++) {
      beats(client, 61_000)
      expect(await check()).toMatchObject({ status: 'pass', observed: { assigned: { value: 0 } } })
    }
  })

  test('whose stream has ended by an error is gone until it has another, and a loop that the app has left is none', async () => {
    const client = joined()
    const stream = new FakeStream(client)
    stream.errored = Object.assign(new Error('left'), { name: 'AbortError' })
    stream.emit('close')
    expect(await check()).toMatchObject({ status: 'pass' })
    const failed = new FakeStream(client)
    failed.errored = new Error('cannot read that')
    failed.emit('close')
    expect(await check()).toMatchObject({ status: 'fail', code: 'consumer_gone', cause: 'self_recoverable' })
    beats(client, 61_000)
    expect(await check()).toMatchObject({ status: 'fail', code: 'consumer_gone', cause: 'self_wedged' })
    client.onMetadata = async () => {
      throw Object.assign(new Error('no'), { code: 'ECONNREFUSED' })
    }
    expect(await check()).toMatchObject({ status: 'fail', code: 'ECONNREFUSED', cause: 'dependency' })
    client.onMetadata = async () => ({ mail: [HERE] })
    expect([new FakeStream(client).listenerCount('error'), (await check()).status]).toEqual([0, 'pass'])
  })

  test('whose heartbeats come back is seen to be well, unless it is known that it is not', () => {
    const client = joined()
    const { probe } = found[0]!
    expect([probe.seesWell!(), probe.seesWell!()]).toEqual([true, false])
    client.emit('consumer:heartbeat:end')
    client.emit('consumer:group:rebalance')
    expect(probe.seesWell!()).toBe(false)
  })
})

probeConformance('kafka', {
  well: async () => {
    used('producer')
    return found.at(-1)!.probe
  },
  sick: async () => {
    used('producer').onMetadata = async () => {
      const cause = Object.assign(new Error('connect ECONNREFUSED kafka.internal:9092'), { code: 'ECONNREFUSED' })
      throw Object.assign(new Error('Connection to kafka.internal:9092 failed.', { cause }), {
        code: 'PLT_KFK_NETWORK',
      })
    }
    return found.at(-1)!.probe
  },
  silent: async () => {
    used('producer').onMetadata = () => new Promise(() => {})
    return found.at(-1)!.probe
  },
  secrets: ['kafka.internal'],
})
