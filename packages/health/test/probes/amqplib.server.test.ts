import { createRequire } from 'node:module'
import { dirname, join } from 'node:path'
import { pollUntil, sharedService, type ServerOf } from '@afterspan/testing'
import { afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { amqplibHook } from '../../src/probes/amqplib.ts'
import { liveHealth, type LiveHealth } from '../live-health.ts'

interface Message {
  readonly content: Buffer
}
interface Channel {
  ack(message: Message): void
  assertQueue(name: string, options?: object): Promise<{ queue: string }>
  cancel(tag: string): Promise<unknown>
  checkQueue(name: string): Promise<{ consumerCount: number }>
  close(): Promise<void>
  consume(queue: string, handle: (message: Message | null) => void): Promise<{ consumerTag: string }>
  deleteQueue(name: string): Promise<unknown>
  on(event: string, listen: (...args: unknown[]) => void): unknown
  prefetch(count: number): Promise<unknown>
  publish(exchange: string, key: string, content: Buffer, options?: object, done?: (error: unknown) => void): boolean
  sendToQueue(queue: string, content: Buffer, options?: object, done?: (error: unknown) => void): boolean
}
interface Connection {
  close(): Promise<void>
  createChannel(): Promise<Channel>
  createConfirmChannel(): Promise<Channel & { waitForConfirms(): Promise<void> }>
  on(event: string, listen: (...args: unknown[]) => void): unknown
  readonly connection: { readonly channels: readonly unknown[]; readonly stream: { destroy(error?: Error): void } }
}
interface Amqplib {
  connect(url: string, options?: object): Promise<Connection>
}

const require = createRequire(new URL('../../../../test/package.json', import.meta.url))
const QUICK = { intervalMs: 300, timeoutMs: 800 }

let health: LiveHealth
let made: Connection[]
const rabbitmq = sharedService('rabbitmq')
let server: ServerOf['rabbitmq']
let amqplib: Amqplib
let queue: string
let count = 0

beforeAll(async () => {
  // Once for this file: the hook changes the classes, and what it finds goes to the engine of the test that runs.
  const hook = amqplibHook(
    (probe, madeAt) => health.registry.register(probe, madeAt),
    { monotonicMs: () => performance.now() },
    () => {},
    { stuckMs: 1000, stuckStatus: 'warn', deadMs: 2500, againMs: 2000 },
  )
  // As the preload does it: each file as it is loaded, before the library's next one takes what it exports.
  for (const file of ['lib/connect.js', 'lib/channel.js', 'lib/recovery.js'])
    hook.patch(require(join(dirname(require.resolve('amqplib')), file)), { version: '2.3.1', format: 'commonjs' })
  amqplib = require('amqplib') as Amqplib
}, 90_000)
beforeEach((context) => {
  server = rabbitmq(context)
  made = []
  health = liveHealth(QUICK)
  queue = `jobs${++count}`
})
afterEach(async () => {
  await Promise.all(made.map((connection) => connection.close().catch(() => {})))
  await pollUntil(() => health.registry.snapshot().checks.length === 0, { what: 'the probes of closed clients to go' })
})

async function connect(options?: object): Promise<Connection> {
  const connection = await amqplib.connect(`${server.url}?heartbeat=1`, options)
  connection.on('error', () => {})
  made.push(connection)
  return connection
}
async function consumer(handle: (channel: Channel, message: Message | null) => void): Promise<Channel> {
  const channel = await (await connect()).createChannel()
  channel.on('error', () => {})
  await channel.assertQueue(queue)
  await channel.prefetch(1)
  await channel.consume(queue, (message) => handle(channel, message))
  return channel
}
const acknowledge = (channel: Channel, message: Message | null): void => {
  if (message) channel.ack(message)
}
const is =
  (status: string, code?: string) =>
  (check: { readonly status?: string; readonly code?: string } | undefined): boolean =>
    check?.status === status && (code === undefined || check.code === code)
const until = (status: string, code?: string): ReturnType<LiveHealth['until']> =>
  health.until('rabbitmq', is(status, code), 20_000)

test('a connection is found where it is made, and asked on one channel of its own however long it is asked', async () => {
  const connection = await connect()
  await connection.createChannel()
  expect(await until('pass')).toMatchObject({
    madeAt: expect.stringMatching(/amqplib\.server\.test\.ts:\d+$/),
    observed: { roundTrip: { unit: 'ms' } },
  })
  for (let i = 0; i < 3; i++) await health.nextRound('rabbitmq')
  // that of the connection itself, the app's, and the probe's
  expect(connection.connection.channels.filter(Boolean)).toHaveLength(3)
})

test('a connection that the app closes leaves no probe behind', async () => {
  const connection = await connect()
  await until('pass')
  await connection.close()
  expect(await health.until('rabbitmq', (check) => check === undefined)).toBeUndefined()
})

test('a queue that was deleted under its consumer fails, and leaves the app’s own channels open', async () => {
  const channel = await consumer(acknowledge)
  const other = await (await connect()).createChannel()
  await until('pass')
  await other.deleteQueue(queue)
  expect(await until('fail', 'queue_gone')).toMatchObject({ observed: { queue: { value: queue } } })
  for (let i = 0; i < 3; i++) await health.nextRound('rabbitmq')
  await channel.assertQueue(queue)
  expect(await until('fail', 'consumer_cancelled')).toMatchObject({ cause: 'self_recoverable' })
  await health.until('rabbitmq', (check) => check?.cause === 'self_wedged', 20_000)
  await channel.consume(queue, (message) => acknowledge(channel, message))
  await until('pass')
}, 60_000)

test('a queue that nobody consumes and that is gone is a warning; one that the app deletes is none', async () => {
  const channel = await (await connect()).createChannel()
  await channel.assertQueue(queue)
  await until('pass')
  await (await (await connect()).createChannel()).deleteQueue(queue)
  expect(await until('warn', 'queue_gone')).toMatchObject({ observed: { queue: { value: queue } } })
  await channel.deleteQueue(queue)
  await until('pass')
})

test('a consumer that the app cancels is none', async () => {
  const channel = await (await connect()).createChannel()
  await channel.assertQueue(queue)
  const { consumerTag } = await channel.consume(queue, () => {})
  await until('pass')
  await channel.cancel(consumerTag)
  for (let i = 0; i < 6; i++) await health.nextRound('rabbitmq')
  expect(health.registry.snapshot().checks).toMatchObject([{ status: 'pass' }])
})

test('a channel that the broker has closed is a consumer less', async () => {
  const channel = await consumer(acknowledge)
  await until('pass')
  const closed = new Promise<void>((resolve) => channel.on('close', () => resolve()))
  channel.publish('no such exchange', '', Buffer.from('x'))
  await closed
  // A new process would be told the same: /livez is not to ask for one.
  expect(await until('fail', 'channel_closed')).toMatchObject({
    cause: 'dependency',
    observed: { reply: { value: 404 } },
  })
})

test('a consumer whose handler hangs while messages wait is a warning, until it goes on', async () => {
  let goOn = (): void => {}
  let hangs = false
  const channel = await consumer((itself, message) => {
    if (hangs) goOn = () => acknowledge(itself, message)
    else acknowledge(itself, message)
  })
  for (let i = 0; i < 3; i++) channel.sendToQueue(queue, Buffer.from('goes'))
  await until('pass')
  hangs = true
  for (let i = 0; i < 3; i++) channel.sendToQueue(queue, Buffer.from('hangs'))
  expect(await until('warn', 'consumer_stuck')).toMatchObject({
    observed: { waiting: { unit: 'count' }, idle: { unit: 'ms' }, queue: { value: queue } },
  })
  hangs = false
  goOn()
  await until('pass')
}, 30_000)

test('a busy consumer is not asked: its messages say that it is well', async () => {
  const channel = await consumer(acknowledge)
  const sender = setInterval(() => channel.sendToQueue(queue, Buffer.from('x')), 20)
  try {
    await until('pass')
    const check = await health.until(
      'rabbitmq',
      ({ at, durationMs } = {} as never) => at !== undefined && durationMs !== undefined,
    )
    const asked = new Set<number | undefined>()
    for (let i = 0; i < 8; i++) asked.add((await health.nextRound('rabbitmq'))?.durationMs)
    expect(check?.status).toBe('pass')
    // One round in five asks, and only that one has a duration of its own.
    expect(asked.size).toBeLessThanOrEqual(3)
  } finally {
    clearInterval(sender)
  }
})

describe('a broker', () => {
  test('that is frozen is a timeout, then a missed heartbeat; the app connects again and it is well', async () => {
    const connection = await connect()
    await connection.createChannel()
    await until('pass')
    await server.freeze()
    try {
      await until('fail', 'timeout')
      await until('fail', 'heartbeat_missed')
    } finally {
      await server.thaw()
    }
    await connect()
    await until('pass')
    expect(health.registry.snapshot().checks).toHaveLength(1)
  }, 60_000)

  test('whose memory alarm is on fails by its own word as soon as the app sends, and is well after it', async () => {
    const channel = await (await connect()).createConfirmChannel()
    await channel.assertQueue(queue)
    await until('pass')
    await server.control('set_vm_memory_high_watermark', '0.0000001')
    try {
      channel.sendToQueue(queue, Buffer.from('x'))
      expect(await until('fail', 'blocked')).toMatchObject({
        cause: 'dependency',
        reason: expect.stringContaining('memory'),
      })
    } finally {
      await server.control('set_vm_memory_high_watermark', '0.6')
    }
    await until('pass')
    await channel.waitForConfirms()
  }, 60_000)

  test('that restarts: the library connects again by itself, and a consumer that does not is found', async () => {
    const connection = await connect({ recovery: { initialDelay: 50, maxDelay: 200 } })
    const channel = await connection.createChannel()
    channel.on('error', () => {})
    await channel.assertQueue(queue)
    await channel.consume(queue, () => {})
    await until('pass')
    const stopped = server.control('stop_app')
    await health.until('rabbitmq', is('fail'), 30_000)
    await stopped
    await server.control('start_app')
    await until('fail', 'consumer_gone')
    await (await connection.createChannel()).consume(queue, () => {})
    await until('pass')
    expect(health.registry.snapshot().checks).toHaveLength(1)
  }, 90_000)
})

test('a connection that could not be made fails, as long as the app tries', async () => {
  const refused = amqplib.connect('amqp://guest:wrong@127.0.0.1:1')
  await expect(refused).rejects.toThrow('ECONNREFUSED')
  expect(await until('fail', 'ECONNREFUSED')).toMatchObject({ reason: expect.not.stringContaining('127.0.0.1') })
  await expect(amqplib.connect(server.url.replace('guest@', 'wrong@'))).rejects.toThrow('ACCESS')
  await until('fail', 'auth_failed')
  await connect()
  await until('pass')
})
