import { EventEmitter } from 'node:events'
import { createServer, type AddressInfo } from 'node:net'
import type { ProbeResult } from '@afterspan/core/internal'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { codeOf, isFatal, type OfPartition } from '../../src/probes/confluent-kafka-client.ts'
import { confluentKafkaHook } from '../../src/probes/confluent-kafka.ts'
import type { FoundProbe } from '../../src/registry.ts'
import { probeConformance } from '../probe-conformance.ts'

type Done = (error: unknown, metadata?: unknown) => void
/** What is waited for in vain is waited for in real time. */
const TIMEOUT_MS = 300
const BROKERS = [{ id: 1, host: '127.0.0.1', port: 0 }]
const WELL = { brokers: BROKERS, topics: [topic('mail', { leader: 1 })] }

function topic(name: string, ...partitions: { leader?: number; replicas?: number[]; isrs?: number[] }[]): object {
  const all = partitions.map((given, id) => ({ id, leader: 1, replicas: [1], isrs: [1], ...given }))
  return { name, partitions: all }
}

/** As the library makes them: what connects is a method of the first, and the others inherit it. */
class Client extends EventEmitter {
  _isConnected = false
  _isConnecting = false
  _isDisconnecting = false
  readonly asked: object[] = []
  metadata: unknown = WELL
  error: unknown
  isSilent = false
  takesMs = 0
  readonly unanswered: Done[] = []
  connect(): this {
    this._isConnecting = !this._isConnected
    return this
  }
  getMetadata(options: object, done: Done): void {
    this.asked.push(options)
    if (this.isSilent) this.unanswered.push(done)
    else
      setImmediate(() => {
        now += this.takesMs
        done(this.error, this.error ? undefined : this.metadata)
      })
  }
  opens(): this {
    this._isConnecting = false
    this._isConnected = true
    this.emit('ready')
    return this
  }
}
class Producer extends Client {
  produce(name: string): string {
    return name
  }
}
class Consumer extends Client {
  readonly globalConfig = { 'max.poll.interval.ms': 100_000 }
  topics = ['mail']
  protocol = 'EAGER'
  assigned: OfPartition[] = [{ topic: 'mail', partition: 0 }]
  offset = 5
  end = 5
  assignments(): OfPartition[] {
    return this.assigned
  }
  getWatermarkOffsets(): object {
    return { lowOffset: 0, highOffset: this.end }
  }
  position(of: readonly OfPartition[]): OfPartition[] {
    return of.map((each) => ({ ...each, offset: this.offset }))
  }
  rebalanceProtocol(): string {
    return this.protocol
  }
  subscription(): string[] {
    return this.topics
  }
  pause(partitions: readonly OfPartition[]): number {
    return partitions.length
  }
  resume(partitions: readonly OfPartition[]): number {
    return partitions.length
  }
}

let now: number
let found: { readonly probe: FoundProbe; readonly madeAt: string | undefined }[] = []
const hook = confluentKafkaHook(
  (probe, madeAt) => found.push({ probe, madeAt }),
  { monotonicMs: () => now },
  () => {},
  { stuckMs: 60_000, stuckStatus: 'warn', deadMs: 60_000, timeoutMs: TIMEOUT_MS },
)
for (const Class of [Client, Consumer, Producer, Client, Consumer, Producer])
  hook.patch(Class, { version: '1.10.1', format: 'commonjs' })

const kept: Client[] = []
const somebody = createServer((socket) => socket.destroy())
beforeAll(async () => {
  await new Promise<void>((resolve) => {
    somebody.listen(0, '127.0.0.1', resolve)
  })
  BROKERS[0]!.port = (somebody.address() as AddressInfo).port
})
afterEach(() => {
  // As librdkafka itself does it in the end.
  for (const client of kept.splice(0)) {
    client._isDisconnecting = true
    for (const done of client.unanswered) done(Object.assign(new Error('Local: Timed out'), { code: -185 }))
  }
})
afterAll(() => {
  somebody.close()
})
beforeEach(() => {
  now = 1_000_000
  found = []
})

function connected<C extends Client>(client: C): C {
  kept.push(client) // the probe itself does not keep it
  client.connect()
  client.opens()
  if (client instanceof Producer) client.produce('mail')
  return client
}
function check(signal = new AbortController().signal): Promise<ProbeResult> {
  return found.at(-1)!.probe.check(signal)
}

describe('a client', () => {
  test('is found as it connects, once, with the place, and asked for the topics that it knows', async () => {
    const producer = connected(new Producer())
    producer.connect()
    expect(found).toHaveLength(1)
    expect(found[0]!.madeAt).toMatch(/confluent-kafka\.test\.ts:\d+$/)
    expect(await check()).toMatchObject({ status: 'pass', observed: { partitions: { value: 1 } } })
    expect(producer.asked).toEqual([{ allTopics: true, timeout: TIMEOUT_MS }])
  })

  test('that has not connected is waited for until the deadline, and told by what librdkafka says', async () => {
    const producer = new Producer()
    kept.push(producer.connect())
    expect(await check(AbortSignal.abort())).toMatchObject({ code: 'not_connected' })
    const refused = '127.0.0.1:9092/bootstrap: Connect to ipv4#127.0.0.1:9092 failed: Connection refused'
    producer.emit('event.error', Object.assign(new Error(refused), { code: -195 }))
    const result = await check(AbortSignal.abort())
    expect(result).toMatchObject({ status: 'fail', code: 'ECONNREFUSED' })
    expect(result.reason).not.toContain('127.0.0.1')
    const answer = check()
    producer.opens()
    expect(await answer).toMatchObject({ status: 'pass' })
  })

  test('that could not connect fails for a minute; one that the app disconnects goes', async () => {
    const producer = new Producer()
    kept.push(producer.connect())
    producer._isConnecting = false
    const { probe } = found[0]!
    expect(probe.isGone()).toBe(false)
    expect(await check()).toMatchObject({ status: 'fail', code: 'not_connected' })
    now += 60_001
    expect(probe.isGone()).toBe(true)
    const other = connected(new Producer())
    expect(found[1]!.probe.isGone()).toBe(false)
    other._isDisconnecting = true
    expect(found[1]!.probe.isGone()).toBe(true)
    expect(await check()).toEqual({ status: 'pass' })
  })

  test('whose brokers do not answer is asked once, however often it is checked', async () => {
    const producer = connected(new Producer())
    producer.isSilent = true
    for (let n = 0; n < 3; n++) expect(await check(AbortSignal.abort())).toMatchObject({ code: 'timeout' })
    expect(producer.asked).toHaveLength(1)
  })

  test.for([
    ['offline_partitions', 'fail', { topics: [topic('mail', {}, { leader: -1 })] }],
    [undefined, 'pass', { topics: [topic('mail', {}), topic('of-others', { leader: -1 })] }],
    ['topic_gone', 'warn', { topics: [topic('mail')] }],
  ] as const)('%s of its topics', async ([code, status, metadata]) => {
    connected(new Producer()).metadata = { brokers: BROKERS, ...metadata }
    // A topic that is new is known before it is there.
    if (code === 'topic_gone') await check()
    const result = await check()
    expect([result.code, result.status]).toEqual([code, status])
  })

  test('has its turn when no other one holds a thread; until then what was found last stands', async () => {
    const one = connected(new Producer())
    const other = connected(new Producer())
    expect(await check()).toMatchObject({ status: 'pass' })
    one.isSilent = true
    const late = found[0]!.probe.check(new AbortController().signal)
    const waiting = check()
    await new Promise(setImmediate)
    now += 200
    expect(await waiting).toMatchObject({ status: 'pass' })
    expect(other.asked).toHaveLength(1)
    expect(await late).toMatchObject({ status: 'fail', code: 'timeout' })
  })

  test('that waits for its fetches gives a broker the time to hold them, and is asked less often', async () => {
    const consumer = connected(new Consumer())
    consumer.takesMs = 400
    expect(await check()).toMatchObject({ status: 'pass' })
    now += 3999
    expect(await check()).toMatchObject({ status: 'pass' })
    expect(consumer.asked).toEqual([{ allTopics: true, timeout: TIMEOUT_MS + 500 }])
    now += 2
    consumer.isSilent = true
    expect(await check()).toMatchObject({ status: 'pass' })
    now += 1300
    expect(await check()).toMatchObject({ status: 'fail', code: 'timeout' })
    expect(consumer.asked).toHaveLength(2)
  })

  test('why a broker was lost is told by what librdkafka said of it, until it is well', async () => {
    const producer = connected(new Producer())
    producer.emit('event.error', Object.assign(new Error('Connect to … failed: Connection refused'), { code: -195 }))
    producer.error = Object.assign(new Error('Local: Broker transport failure'), { code: -195 })
    expect(await check()).toMatchObject({ status: 'fail', code: 'ECONNREFUSED' })
    producer.error = undefined
    expect(await check()).toMatchObject({ status: 'pass' })
    producer.error = Object.assign(new Error('Local: Timed out'), { code: -185 })
    expect(await check()).toMatchObject({ code: 'timeout' })
  })

  test('that was sent to an address at which nobody answers says so', async () => {
    const producer = connected(new Producer())
    producer.metadata = { ...WELL, brokers: [{ id: 1, host: '127.0.0.1', port: 1 }] }
    expect(await check()).toMatchObject({ status: 'pass' }) // nothing has been heard of it
    producer.emit('event.error', Object.assign(new Error('1/1 brokers are down'), { code: -187 }))
    expect(await check()).toMatchObject({ status: 'fail', code: 'brokers_unreachable' })
  })
})

describe('a consumer', () => {
  test('that gets on, or has nothing to do, is well', async () => {
    const consumer = connected(new Consumer())
    expect(await check()).toMatchObject({ status: 'pass', observed: { assigned: { value: 1 }, lag: { value: 0 } } })
    now += 600_000
    expect(await check()).toMatchObject({ status: 'pass' })
    for (let n = 0; n < 5; n++) {
      now += 50_000
      consumer.end += 20
      consumer.offset += 10
      expect(await check()).toMatchObject({ status: 'pass' })
    }
    expect(found[0]!.probe.seesWell!()).toBe(true)
    expect(found[0]!.probe.seesWell!()).toBe(false)
  })

  test('that takes nothing while messages wait is stuck, and gone when its group has counted it out', async () => {
    const consumer = connected(new Consumer())
    await check()
    consumer.end += 3
    await check()
    now += 60_001
    expect(await check()).toMatchObject({ status: 'warn', code: 'consumer_stuck', observed: { lag: { value: 3 } } })
    now += 40_000
    consumer.protocol = 'NONE'
    expect(await check()).toMatchObject({ status: 'fail', code: 'consumer_gone' })
    consumer.protocol = 'EAGER'
    consumer.offset++
    expect(await check()).toMatchObject({ status: 'pass' })
  })

  test('that the app has paused is not stuck', async () => {
    const consumer = connected(new Consumer())
    await check()
    consumer.end += 3
    expect(consumer.pause([{ topic: 'mail', partition: 0 }])).toBe(1)
    now += 600_000
    expect(await check()).toMatchObject({ status: 'pass' })
    consumer.resume([{ topic: 'mail', partition: 0 }])
    expect(await check()).toMatchObject({ status: 'pass' })
    now += 60_001
    expect(await check()).toMatchObject({ code: 'consumer_stuck' })
  })

  test('that is not in its group for longer than its group may take is gone; one with no partition is well', async () => {
    const consumer = connected(new Consumer())
    consumer.protocol = 'NONE'
    expect(await check()).toMatchObject({ status: 'pass' })
    now += 100_001
    expect(await check()).toMatchObject({ status: 'fail', code: 'consumer_gone' })
    consumer.protocol = 'COOPERATIVE'
    consumer.assigned = []
    expect(await check()).toMatchObject({ status: 'pass', observed: { assigned: { value: 0 } } })
    consumer.topics = [] // it takes partitions without a group
    consumer.protocol = 'NONE'
    now += 100_001
    expect(await check()).toMatchObject({ status: 'pass' })
  })

  test('that librdkafka has given up is gone, and a restart helps', async () => {
    const consumer = connected(new Consumer())
    consumer.emit('event.error', Object.assign(new Error('fenced'), { code: -150 }))
    expect(await check()).toMatchObject({ code: 'consumer_gone', cause: 'self_recoverable' })
    now += 60_001
    expect(await check()).toMatchObject({ code: 'consumer_gone', cause: 'self_wedged' })
  })
})

test('what an error is called', () => {
  const called = (code: number, message = ''): string => codeOf(Object.assign(new Error(message), { code }))
  expect(called(-193)).toBe('ENOTFOUND')
  expect(called(-169)).toBe('auth_failed')
  expect(called(29)).toBe('no_permission')
  expect(called(-195, 'Receive failed: Connection reset by peer')).toBe('ECONNRESET')
  expect(called(-1)).toBe('not_connected')
  expect(codeOf(undefined)).toBe('not_connected')
  expect(isFatal({ isFatal: true })).toBe(true)
  expect(isFatal(undefined)).toBe(false)
})

probeConformance('a client of @confluentinc/kafka-javascript', {
  well: () => {
    connected(new Consumer())
    return found.at(-1)!.probe
  },
  sick: () => {
    connected(new Producer()).error = Object.assign(new Error('auth of mailer at broker.internal:9092'), { code: -169 })
    return found.at(-1)!.probe
  },
  silent: () => {
    connected(new Producer()).isSilent = true
    return found.at(-1)!.probe
  },
  secrets: ['broker.internal'],
})
