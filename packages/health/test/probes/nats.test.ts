import type { ProbeResult } from '@afterspan/core/internal'
import { beforeEach, describe, expect, test } from 'vitest'
import type { NatsConnection } from '../../src/probes/nats-client.ts'
import type { Messages } from '../../src/probes/nats-consumption.ts'
import { natsHooks } from '../../src/probes/nats.ts'
import type { FoundProbe } from '../../src/registry.ts'
import { settled } from '../fake-time.ts'
import { probeConformance } from '../probe-conformance.ts'

type Reply = () => Promise<unknown>
const SILENT: Reply = () => new Promise(() => {})
const refuse =
  (message: string, more: object = {}): Reply =>
  async () => {
    throw Object.assign(new Error(message), more)
  }

class FakeConnection implements NatsConnection {
  readonly asked: string[] = []
  readonly end = Promise.withResolvers<unknown>()
  readonly protocol = { connected: true }
  onFlush: Reply = async () => {}
  onRequest: Reply = async () => ({})
  isOver = false
  isEnding = false
  closed(): Promise<unknown> {
    return this.end.promise
  }
  async flush(): Promise<void> {
    this.asked.push('PING')
    await this.onFlush()
  }
  isClosed(): boolean {
    return this.isOver
  }
  isDraining(): boolean {
    return this.isEnding
  }
  async request(subject: string): Promise<{ data: Uint8Array }> {
    this.asked.push(subject)
    return { data: Buffer.from(JSON.stringify(await this.onRequest())) }
  }
}

/** What consume() gives; `start` is called as it is made. */
class FakeMessages implements Messages {
  readonly end = Promise.withResolvers<unknown>()
  readonly consumer: Messages['consumer']
  isConsume = true
  noIterator = false
  pending = 0
  processed = 0
  constructor(nc: FakeConnection, name = 'worker', isOrdered = false) {
    this.consumer = { api: { nc, prefix: '$JS.API' }, name, stream: 'orders', ordered: isOrdered }
    this.start()
  }
  start(): void {}
  closed(): Promise<unknown> {
    return this.end.promise
  }
  getPending(): number {
    return this.pending
  }
  getProcessed(): number {
    return this.processed
  }
}

let found: { readonly probe: FoundProbe; readonly madeAt: string | undefined }[]
let rejected: string[]
let now: number
let Loop: typeof FakeMessages
let Client: new (nc: FakeConnection) => { publish(subject: string, answer: Promise<unknown>): Promise<unknown> }
let Connection: { connect(connecting: Promise<FakeConnection>): Promise<FakeConnection> }
let Api: new (nc: FakeConnection) => { _request(subject: string): Promise<unknown> }

beforeEach(() => {
  now = 0
  found = []
  rejected = []
  Connection = { connect: (connecting) => connecting }
  Api = class {
    readonly nc: FakeConnection
    constructor(nc: FakeConnection) {
      this.nc = nc
    }
    async _request(subject: string): Promise<unknown> {
      return subject
    }
  }
  Client = class {
    readonly nc: FakeConnection
    constructor(nc: FakeConnection) {
      this.nc = nc
    }
    publish(_subject: string, answer: Promise<unknown>): Promise<unknown> {
      return answer
    }
  }
  Loop = class extends FakeMessages {
    override start(): void {}
  }
  const hooks = natsHooks(
    (probe, madeAt) => found.push({ probe, madeAt }),
    { monotonicMs: () => now },
    (why) => rejected.push(why),
    { stuckMs: 60_000, stuckStatus: 'warn', isPassive: true },
  )
  for (const hook of [...hooks, ...hooks])
    hook.patch(
      {
        NatsConnectionImpl: Connection,
        BaseApiClientImpl: Api,
        JetStreamClientImpl: Client,
        PullConsumerMessagesImpl: Loop,
      },
      { version: '3.4.0', format: 'commonjs' },
    )
})

const kept: FakeConnection[] = []
async function connected(): Promise<FakeConnection> {
  const connection = await Connection.connect(Promise.resolve(new FakeConnection()))
  kept.push(connection) // the probe itself does not keep it
  return connection
}
function check(signal = new AbortController().signal): Promise<ProbeResult> {
  return found.at(-1)!.probe.check(signal)
}

describe('a connection', () => {
  test('is found as it is made, once, with the place', async () => {
    await connected()
    expect(found).toHaveLength(1)
    expect(found[0]!.madeAt).toMatch(/nats\.test\.ts:\d+$/)
    expect(await check()).toEqual({
      status: 'pass',
      observed: { roundTrip: { value: expect.any(Number), unit: 'ms' } },
    })
  })

  test('that could not be made is the app’s to handle, and no probe', async () => {
    const refused = Connection.connect(Promise.reject(new Error('no servers')))
    expect(found[0]!.probe.isGone()).toBe(false)
    await expect(refused).rejects.toThrow('no servers')
    expect(found[0]!.probe.isGone()).toBe(true)
  })

  test('that is being made is waited for, until the deadline', async () => {
    const { promise, resolve } = Promise.withResolvers<FakeConnection>()
    kept.push(new FakeConnection())
    const connecting = Connection.connect(promise)
    expect(await check(AbortSignal.abort())).toMatchObject({ status: 'fail', code: 'not_connected' })
    const answer = check()
    resolve(kept.at(-1)!)
    expect(await answer).toMatchObject({ status: 'pass' })
    expect(await connecting).toBe(kept.at(-1))
  })

  test('that the app closed goes; one that gave up stays, until the app makes another', async () => {
    const closed = await connected()
    closed.end.resolve(undefined)
    await settled()
    expect(found[0]!.probe.isGone()).toBe(true)
    const given = await connected()
    given.isOver = true
    given.end.resolve(new Error('connection refused by nats.internal'))
    await settled()
    expect(await check()).toMatchObject({ status: 'fail', code: 'client_ended' })
    expect(found[1]!.probe.isGone()).toBe(false)
    await connected()
    expect(found.map(({ probe }) => probe.isGone())).toEqual([true, true, false])
  })

  test('that was refused says so', async () => {
    const connection = await connected()
    connection.end.resolve(Object.assign(new Error('Authorization Violation'), { name: 'AuthorizationError' }))
    await settled()
    expect(await check()).toMatchObject({ status: 'fail', code: 'auth_failed' })
  })

  test('that is not connected, or draining, is not asked', async () => {
    const connection = await connected()
    connection.protocol.connected = false
    expect(await check()).toMatchObject({ status: 'fail', code: 'not_connected' })
    connection.isEnding = true
    expect(await check()).toMatchObject({ status: 'pass', observed: { checked: { value: 'status' } } })
    expect(connection.asked).toEqual([])
  })

  test('whose server is silent has one question on its way, not one for each round', async () => {
    const connection = await connected()
    connection.onFlush = SILENT
    expect(await check(AbortSignal.abort())).toMatchObject({ status: 'fail', code: 'timeout' })
    expect(await check(AbortSignal.abort())).toMatchObject({ status: 'fail', code: 'timeout' })
    expect(connection.asked).toEqual(['PING'])
  })

  test('more than twenty are said and left alone', async () => {
    for (let i = 0; i < 21; i++) await connected()
    expect([found.length, rejected]).toEqual([20, ['there are 20 connections to NATS already']])
  })
})

describe('JetStream', () => {
  async function asking(...subjects: string[]): Promise<FakeConnection> {
    const connection = await connected()
    for (const subject of subjects) await new Api(connection)._request(subject)
    return connection
  }

  test('is asked what the app itself has asked, and nothing that changes anything', async () => {
    const connection = await asking(
      '$JS.API.INFO',
      '$JS.API.CONSUMER.INFO.orders.worker',
      '$JS.API.STREAM.DELETE.INFO',
      '$JS.API.CONSUMER.DELETE.API.INFO',
      '$JS.API.STREAM.PURGE.orders',
    )
    connection.onRequest = async () => ({ num_pending: 7, num_ack_pending: 2, num_redelivered: 1 })
    expect(await check()).toMatchObject({
      status: 'pass',
      observed: { pending: { value: 7 }, ackPending: { value: 2 }, redelivered: { value: 1 } },
    })
    expect(connection.asked).toEqual(['PING', '$JS.API.CONSUMER.INFO.orders.worker'])
  })

  test('that is not enabled, or has no quorum, fails', async () => {
    const connection = await asking('$JS.API.INFO')
    connection.onRequest = async () => ({ error: { code: 503, description: 'JetStream not enabled' } })
    expect(await check()).toMatchObject({ status: 'fail', code: 'jetstream_unavailable' })
    connection.onRequest = refuse('503', { code: '503' })
    expect(await check()).toMatchObject({ status: 'fail', code: 'jetstream_unavailable' })
  })

  test('a consumer that is gone is asked no more', async () => {
    const connection = await asking('$JS.API.INFO', '$JS.API.CONSUMER.INFO.orders.worker')
    connection.onRequest = async () => ({ error: { code: 404, description: 'consumer not found' } })
    expect(await check()).toMatchObject({ status: 'pass' })
    connection.onRequest = async () => ({ storage: 96, limits: { max_storage: 100 } })
    expect(await check()).toMatchObject({ status: 'warn', code: 'storage_near_limit' })
    expect(connection.asked.at(-1)).toBe('$JS.API.INFO')
  })
})

describe('a loop over messages', () => {
  const INFO = '$JS.API.CONSUMER.INFO.orders.worker'
  const NOT_FOUND = { error: { code: 404, description: 'consumer not found' } }
  const messages: FakeMessages[] = [] // the probe itself does not keep them
  function consume(...args: ConstructorParameters<typeof FakeMessages>): FakeMessages {
    const made = new Loop(...args)
    messages.push(made)
    return made
  }

  test('whose consumer somebody has deleted is gone, until it is there again', async () => {
    const connection = await connected()
    consume(connection)
    connection.onRequest = async () => NOT_FOUND
    expect(await check()).toMatchObject({ status: 'fail', code: 'consumer_gone' })
    expect(connection.asked).toEqual(['PING', INFO])
    connection.onRequest = async () => ({ num_pending: 0 })
    expect(await check()).toMatchObject({ status: 'pass' })
  })

  test('is asked about no more when the app has left it, or has deleted its consumer or stream', async () => {
    const connection = await connected()
    consume(connection).end.resolve(undefined)
    await settled()
    for (const subject of ['$JS.API.CONSUMER.DELETE.orders.worker', '$JS.API.STREAM.DELETE.orders']) {
      consume(connection)
      await new Api(connection)._request(subject)
    }
    consume(connection, 'oc_1', true) // its client makes it anew
    connection.onRequest = async () => NOT_FOUND
    expect(await check()).toMatchObject({ status: 'pass' })
    expect(connection.asked).toEqual(['PING'])
  })

  test('that has ended by an error is gone until the app begins it again', async () => {
    const connection = await connected()
    consume(connection).end.resolve(new Error('consumer deleted'))
    await settled()
    expect(await check()).toMatchObject({ status: 'fail', code: 'consumer_gone' })
    consume(connection)
    expect(await check()).toMatchObject({ status: 'pass' })
  })

  test('that takes nothing while messages wait is stuck; one that waits for messages, or gets on, is not', async () => {
    const connection = await connected()
    const loop = consume(connection)
    const after = async (ms: number): Promise<string | undefined> => {
      now += ms
      return (await check()).code
    }
    await check()
    expect(await after(90_000)).toBe(undefined)
    Object.assign(loop, { pending: 3, processed: 1 })
    await check()
    expect(await after(59_000)).toBe(undefined)
    expect(await after(1000)).toBe('consumer_stuck')
    loop.processed++
    expect(await after(1000)).toBe(undefined)
    // The last one takes as long as it takes, unless the server has more.
    loop.pending = 1
    expect(await after(90_000)).toBe(undefined)
    connection.onRequest = async () => ({ num_pending: 5 })
    await check()
    expect(await after(60_000)).toBe('consumer_stuck')
  })

  test('by a function is stuck when neither deliveries nor acknowledgements move', async () => {
    const connection = await connected()
    consume(connection).noIterator = true
    const info = { num_pending: 5, num_ack_pending: 100, delivered: { stream_seq: 100 }, ack_floor: { stream_seq: 7 } }
    connection.onRequest = async () => info
    await check()
    now += 60_000
    expect(await check()).toMatchObject({ status: 'warn', code: 'consumer_stuck' })
    info.ack_floor.stream_seq = 8
    expect(await check()).toMatchObject({ status: 'pass' })
  })
})

describe('what a stream does not take', () => {
  const of2 = (code: number, err_code: number, description: string): Error =>
    Object.assign(new Error('503'), { code: String(code), api_error: { code, err_code, description } })
  const of3 = (code: number, err_code: number, description: string): Error =>
    Object.assign(new Error(description), { apiError: () => ({ code, err_code, description }) })
  async function refused(...errors: readonly Error[]): Promise<FakeConnection> {
    const connection = await connected()
    for (const error of errors)
      await expect(new Client(connection).publish('orders.a', Promise.reject(error))).rejects.toBe(error)
    return connection
  }

  test.for([
    ['storage_full', of2(503, 10_023, 'insufficient resources')],
    ['storage_full', of3(503, 10_077, 'maximum bytes exceeded')],
    ['jetstream_unavailable', of3(503, 10_008, 'JetStream system temporarily unavailable')],
    ['confirms_overdue', Object.assign(new Error('TIMEOUT'), { code: 'TIMEOUT' })],
  ] as const)('%s: once is a warning, twice a fail, until it takes one', async ([code, error]) => {
    const connection = await refused(error)
    expect(await check()).toMatchObject({ status: 'warn', code })
    await expect(new Client(connection).publish('orders.b', Promise.reject(error))).rejects.toBe(error)
    expect(await check()).toMatchObject({ status: 'fail', code, observed: { refused: { value: 2 } } })
    await new Client(connection).publish('orders.c', Promise.resolve({ stream: 'orders', seq: 1 }))
    expect(await check()).toMatchObject({ status: 'pass' })
  })

  test('a name of which no stream is there is a warning from the second time on, however often', async () => {
    const nobody = Object.assign(new Error('503'), { code: '503' })
    await refused(nobody)
    expect(await check()).toMatchObject({ status: 'pass' })
    await refused(nobody, nobody, nobody)
    expect(await check()).toMatchObject({ status: 'warn', code: 'stream_gone' })
  })

  test.for([
    of2(503, 10_077, 'maximum messages per subject exceeded'),
    of3(400, 10_071, 'wrong last sequence: 3'),
    new Error('invalid payload'),
  ])('for what the message itself is says nothing: %s', async (error) => {
    await refused(error, error)
    expect(await check()).toMatchObject({ status: 'pass' })
  })

  test('what was not confirmed while the server was away is forgotten with it', async () => {
    const late = Object.assign(new Error('timeout'), { name: 'TimeoutError' })
    const connection = await refused(late, late)
    connection.protocol.connected = false
    expect(await check()).toMatchObject({ status: 'fail', code: 'not_connected' })
    connection.protocol.connected = true
    expect(await check()).toMatchObject({ status: 'pass' })
  })
})

describe('a server or stream', () => {
  test('that is about to shut down is a warning', async () => {
    Object.assign(await connected(), { info: { ldm: true } })
    expect(await check()).toMatchObject({ status: 'warn', code: 'server_leaving' })
  })

  test('that is to refuse what is new, and nearly full, is a warning', async () => {
    const connection = await connected()
    await new Api(connection)._request('$JS.API.STREAM.INFO.orders')
    const stream = { config: { discard: 'new', max_bytes: 1000, max_msgs: -1 }, state: { bytes: 990, messages: 3 } }
    connection.onRequest = async () => stream
    expect(await check()).toMatchObject({ status: 'warn', code: 'storage_near_limit' })
    stream.config.discard = 'old'
    expect(await check()).toMatchObject({ status: 'pass', observed: { messages: { value: 3 } } })
  })
})

probeConformance('nats', {
  well: async () => {
    await connected()
    return found.at(-1)!.probe
  },
  sick: async () => {
    ;(await connected()).onFlush = refuse('connection closed by nats.internal:4222')
    return found.at(-1)!.probe
  },
  silent: async () => {
    ;(await connected()).onFlush = SILENT
    return found.at(-1)!.probe
  },
  secrets: ['nats.internal'],
})
