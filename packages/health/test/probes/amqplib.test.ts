import { EventEmitter } from 'node:events'
import type { ProbeResult } from '@afterspan/core/internal'
import { beforeEach, describe, expect, test } from 'vitest'
import { amqplibHook } from '../../src/probes/amqplib.ts'
import type { FoundProbe } from '../../src/registry.ts'
import { probeConformance } from '../probe-conformance.ts'

type Fields = Readonly<Record<string, unknown>>
type Done = (error: unknown, frame?: { fields: Fields }) => void

const CONSUME = 3932180
const DECLARE = 3276810

class FakeConnection extends EventEmitter {
  readonly channels: ({ channel: FakeChannel } | null)[] = []
  readonly asked: number[] = []
  /** What the server answers; undefined: nothing. */
  answer: (method: number, fields: Fields) => Fields | Error | undefined = () => ({ messageCount: 0, consumerCount: 1 })
}
class FakeBase extends EventEmitter {
  readonly connection: FakeConnection
  unconfirmed: unknown[] = []
  lwm = 1
  constructor(connection: FakeConnection) {
    super()
    this.connection = connection
    connection.channels.push({ channel: this as unknown as FakeChannel })
  }
  allocate(): void {}
  _rpc(method: number, fields: Fields, _expect: number, done: Done): void {
    this.connection.asked.push(method)
    const answer = this.connection.answer(method, fields)
    if (answer instanceof Error) done(answer)
    else if (answer) done(null, { fields: answer })
  }
  toClosed(_stack: string): void {
    this.emit('close')
  }
}
class FakeChannel extends FakeBase {
  handleDelivery(_message: { fields: Fields }): void {}
  handleCancel(_fields: Fields): void {}
}

let found: { readonly probe: FoundProbe; readonly madeAt: string | undefined }[]
let rejected: string[]
let now: number
let library: {
  connect: (url: string, options: unknown, done: (error: unknown, connection?: FakeConnection) => void) => void
}
let next: FakeConnection | Error
let Channel: typeof FakeChannel
const kept: FakeConnection[] = []

beforeEach(() => {
  found = []
  rejected = []
  now = 0
  next = new FakeConnection()
  Channel = class extends FakeChannel {}
  for (const name of ['_rpc', 'toClosed'] as const)
    Object.defineProperty(Channel.prototype, name, { value: FakeBase.prototype[name], writable: true })
  library = {
    connect: (_url, _options, done) => (next instanceof Error ? done(next) : done(null, next)),
  }
  const hook = amqplibHook(
    (probe, madeAt) => found.push({ probe, madeAt }),
    { monotonicMs: () => now },
    (why) => rejected.push(why),
    { stuckMs: 60_000, stuckStatus: 'fail', deadMs: 60_000, againMs: 10_000 },
  )
  for (const exports of [library, { Channel, BaseChannel: Channel }])
    for (let i = 0; i < 2; i++) hook.patch(exports, { version: '2.3.1', format: 'commonjs' })
})

function connect(): FakeConnection {
  next = new FakeConnection()
  kept.push(next) // the probe itself does not keep it
  library.connect('amqp://secret@rabbit.internal', {}, () => {})
  return next
}
function consuming(connection: FakeConnection, queue = 'mail'): FakeChannel {
  const channel = new Channel(connection)
  const { answer } = connection
  connection.answer = () => ({ consumerTag: `of ${queue}` })
  channel._rpc(CONSUME, { queue }, CONSUME + 1, () => {})
  connection.answer = answer
  return channel
}
function check(signal = new AbortController().signal): Promise<ProbeResult> {
  return found.at(-1)!.probe.check(signal)
}
function closeFrame(code: number): Error {
  return Object.assign(new Error(`Operation failed: ${code}`), { code })
}

describe('a connection', () => {
  test('is found as it is made, once, with the place, and asked for what is always there', async () => {
    const connection = connect()
    expect(found).toHaveLength(1)
    expect(found[0]!.madeAt).toMatch(/amqplib\.test\.ts:\d+$/)
    expect(await check()).toEqual({
      status: 'pass',
      observed: { roundTrip: { value: expect.any(Number), unit: 'ms' } },
    })
    expect(connection.asked).toEqual([1310730, 2621450])
  })

  test('that is lost and made again is the same probe; a lost one fails until then', async () => {
    connect().emit('close', Object.assign(new Error('read ECONNRESET 10.1.1.1:5672'), { code: 'ECONNRESET' }))
    expect(await check()).toMatchObject({ status: 'fail', code: 'ECONNRESET', cause: 'dependency' })
    now += 3_600_000
    expect(found[0]!.probe.isGone()).toBe(false)
    connect()
    expect(await check()).toMatchObject({ status: 'pass' })
    expect(found).toHaveLength(1)
  })

  test('that could not be made fails for a minute: then the app is taken to do without', async () => {
    next = Object.assign(new Error('connect ECONNREFUSED'), { code: 'ECONNREFUSED' })
    library.connect('amqp://rabbit.internal', {}, () => {})
    expect(await check()).toMatchObject({ status: 'fail', code: 'ECONNREFUSED' })
    now += 60_001
    expect(found[0]!.probe.isGone()).toBe(true)
  })

  test('that the app closes goes, with what it consumed', () => {
    const connection = connect()
    consuming(connection)
    connection.emit('close', undefined)
    expect(found[0]!.probe.isGone()).toBe(true)
  })

  test('that is blocked is not asked: the broker reads nothing from it', async () => {
    const connection = connect()
    connection.emit('blocked', 'low on disk')
    expect(await check()).toMatchObject({
      status: 'fail',
      code: 'blocked',
      reason: expect.stringContaining('low on disk'),
    })
    expect(connection.asked).toEqual([])
    connection.emit('unblocked')
    expect(await check()).toMatchObject({ status: 'pass' })
  })

  test('whose broker is silent has one question on its way, not one for each round', async () => {
    const connection = connect()
    connection.answer = () => undefined
    expect(await check(AbortSignal.abort())).toMatchObject({ status: 'fail', code: 'timeout' })
    expect(await check(AbortSignal.abort())).toMatchObject({ status: 'fail', code: 'timeout' })
    expect(connection.asked).toHaveLength(1)
  })

  test('whose channels are all taken is a warning', async () => {
    connect()
    Channel.prototype.allocate = () => {
      throw new Error('No channels left to allocate')
    }
    expect(await check()).toMatchObject({ status: 'warn', code: 'channels_exhausted' })
  })

  test('whose confirms do not come fails, although the broker answers', async () => {
    const channel = new Channel(connect())
    channel.unconfirmed = [() => {}]
    expect(await check()).toMatchObject({ status: 'pass' })
    now += 10_001
    expect(await check()).toMatchObject({ status: 'fail', code: 'confirms_overdue' })
    channel.lwm++
    expect(await check()).toMatchObject({ status: 'pass' })
  })

  test('more than twenty are said and left alone', () => {
    for (let i = 0; i < 21; i++) connect()
    expect([found.length, rejected]).toEqual([20, ['there are 20 connections to RabbitMQ already']])
  })
})

describe('a consumer', () => {
  test('that was cancelled has a moment to come again; after a minute a restart would help', async () => {
    const connection = connect()
    const channel = consuming(connection)
    channel.handleCancel({ consumerTag: 'of mail' })
    expect(await check()).toMatchObject({ status: 'pass' })
    now += 2000
    expect(await check()).toMatchObject({ status: 'fail', code: 'consumer_cancelled', cause: 'self_recoverable' })
    now += 60_000
    expect(await check()).toMatchObject({ status: 'fail', cause: 'self_wedged' })
    consuming(connection)
    expect(await check()).toMatchObject({ status: 'pass' })
  })

  test('of a queue that the broker names has another name when it comes again', async () => {
    const connection = connect()
    consuming(connection, 'amq.gen-one').handleCancel({ consumerTag: 'of amq.gen-one' })
    now += 2000
    expect(await check()).toMatchObject({ status: 'fail' })
    consuming(connection, 'amq.gen-two')
    expect(await check()).toMatchObject({ status: 'pass' })
  })

  test('whose queue is gone fails; the channel that has asked is replaced', async () => {
    const connection = connect()
    consuming(connection)
    connection.answer = (method) => (method === DECLARE ? closeFrame(404) : {})
    expect(await check()).toMatchObject({
      status: 'fail',
      code: 'queue_gone',
      observed: { queue: { value: 'mail', unit: 'queue' } },
    })
    connection.answer = () => ({ messageCount: 0, consumerCount: 1 })
    expect(await check()).toMatchObject({ status: 'pass' })
  })

  test('that nobody may ask about says nothing', async () => {
    const connection = connect()
    consuming(connection)
    connection.answer = (method) => (method === DECLARE ? closeFrame(403) : {})
    expect(await check()).toMatchObject({ status: 'pass' })
  })

  test('that is not there again after a reconnect fails, if nobody else does its work', async () => {
    const connection = connect()
    consuming(connection)
    connection.emit('close', new Error('Unexpected close'))
    expect(await check()).toMatchObject({ status: 'fail', code: 'connection_lost' })
    const again = connect()
    now += 10_001
    expect(await check()).toMatchObject({ status: 'pass' })
    again.answer = () => ({ messageCount: 3, consumerCount: 0 })
    expect(await check()).toMatchObject({ status: 'fail', code: 'consumer_gone' })
  })

  test('is stuck when it gets nothing while messages wait, unless it never got one', async () => {
    const connection = connect()
    const channel = consuming(connection)
    connection.answer = () => ({ messageCount: 5, consumerCount: 2 })
    await check()
    now += 60_001
    // of a queue with a single active consumer it is the second
    expect(await check()).toMatchObject({ status: 'pass', observed: { waiting: { value: 5 } } })
    channel.handleDelivery({ fields: { consumerTag: 'of mail' } })
    expect(await check()).toMatchObject({ status: 'pass' })
    now += 60_001
    expect(await check()).toMatchObject({ status: 'fail', code: 'consumer_stuck', cause: 'self_recoverable' })
  })

  test('that gets messages needs no question; one that is lost does', () => {
    const connection = connect()
    const channel = consuming(connection)
    const { probe } = found[0]!
    probe.seesWell!()
    expect(probe.seesWell!()).toBe(false)
    channel.handleDelivery({ fields: { consumerTag: 'of mail' } })
    expect(probe.seesWell!()).toBe(true)
    channel.handleDelivery({ fields: { consumerTag: 'of mail' } })
    channel.handleCancel({ consumerTag: 'of mail' })
    expect(probe.seesWell!()).toBe(false)
  })
})

probeConformance('rabbitmq', {
  well: () => {
    connect()
    return found.at(-1)!.probe
  },
  sick: () => {
    connect().emit('close', new Error('Connection closed: 320 (CONNECTION-FORCED) by rabbit.internal:5672'))
    return found.at(-1)!.probe
  },
  silent: () => {
    connect().answer = () => undefined
    return found.at(-1)!.probe
  },
  secrets: ['rabbit.internal', 'secret'],
})
