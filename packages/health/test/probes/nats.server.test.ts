import { execFileSync } from 'node:child_process'
import { writeFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { dirname, join } from 'node:path'
import { present, service, tempDir, type ServerOf } from '@afterspan/testing'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { natsHooks } from '../../src/probes/nats.ts'
import { liveHealth, type LiveHealth } from '../live-health.ts'

interface Message {
  ack(): void
}
interface Consumer {
  consume(): Promise<AsyncIterable<Message> & { close(): Promise<unknown> }>
}
interface Client {
  readonly consumers: { get(stream: string, name: string): Promise<Consumer> }
  publish(subject: string, data: Uint8Array): Promise<unknown>
}
interface Manager {
  readonly consumers: {
    add(stream: string, config: object): Promise<unknown>
    delete(s: string, n: string): Promise<unknown>
  }
  readonly streams: { add(config: object): Promise<unknown>; purge(name: string): Promise<unknown> }
}
interface Connection {
  close(): Promise<void>
}
interface Joined {
  readonly connection: Connection
  readonly client: Client
  readonly manager: Manager
}

const require = createRequire(new URL('../../../../test/package.json', import.meta.url))
const QUICK = { intervalMs: 300, timeoutMs: 800 }
const CONSUMER = { durable_name: 'worker', ack_policy: 'explicit' }
/** A file of configuration: what is said there has no flag. */
const SMALL = 'jetstream { max_file_store: 1MB }\nlame_duck_duration: "30s"\nlame_duck_grace_period: "5s"\n'

let health: LiveHealth
let server: ServerOf['nats']
let made: Connection[]
let servers: ServerOf['nats'][]

const hooks = natsHooks(
  (probe, madeAt) => health.registry.register(probe, madeAt),
  { monotonicMs: () => performance.now() },
  () => {},
  { stuckMs: 1000, stuckStatus: 'warn', isPassive: true },
)
/** As the preload does it: each file as it is loaded. */
function patch(module: string, folder: string): void {
  const hook = hooks.find((each) => each.module === module)!
  for (const file of hook.files ?? []) hook.patch(require(join(folder, file)), { version: '3.4.0', format: 'commonjs' })
}

const LIBRARIES: Record<string, (url: string) => Promise<Joined>> = {
  async nats(url) {
    patch('nats', dirname(require.resolve('nats')))
    const connection = await require('nats').connect({ servers: url, reconnectTimeWait: 100, maxReconnectAttempts: -1 })
    return { connection, client: connection.jetstream(), manager: await connection.jetstreamManager() }
  },
  async '@nats-io/jetstream'(url) {
    const transport = require.resolve('@nats-io/transport-node')
    const core = createRequire(transport).resolve('@nats-io/nats-core')
    patch('@nats-io/nats-core', join(dirname(core), '..'))
    patch('@nats-io/jetstream', join(dirname(require.resolve('@nats-io/jetstream')), '..'))
    const { jetstream, jetstreamManager } = require('@nats-io/jetstream')
    const connection = await require(transport).connect({
      servers: url,
      reconnectTimeWait: 100,
      maxReconnectAttempts: -1,
    })
    return { connection, client: jetstream(connection), manager: await jetstreamManager(connection) }
  },
}

beforeEach(() => {
  made = []
  servers = []
  health = liveHealth(QUICK)
})
afterEach(async () => {
  await Promise.all(made.map((connection) => connection.close().catch(() => {})))
  await Promise.all(servers.map((each) => each.stop()))
})

const until = (status: string, code?: string): ReturnType<LiveHealth['until']> =>
  health.until('nats', (check) => check?.status === status && (code === undefined || check.code === code), 20_000)

describe.each(Object.keys(LIBRARIES))('%s', (library) => {
  async function join(): Promise<Joined> {
    const joined = await LIBRARIES[library]!(server.url)
    made.push(joined.connection)
    return joined
  }

  test('a server whose storage is full refuses what is published; it is well when it takes a message again', async (context) => {
    server = await started(context)
    const { client, manager } = await join()
    await manager.streams.add({ name: 'orders', subjects: ['orders.>'] })
    const big = (): Promise<unknown> => client.publish('orders.a', Buffer.alloc(100_000))
    await expect(
      (async () => {
        for (;;) await big()
      })(),
    ).rejects.toThrow(/503|insufficient/)
    await until('warn', 'storage_full')
    await expect(big()).rejects.toThrow(/503|insufficient/)
    await until('fail', 'storage_full')
    await manager.streams.purge('orders')
    await big()
    await until('pass')
  })

  test('a consumer that somebody else has deleted is gone; one that the app deletes is not', async (context) => {
    server = await started(context)
    const { client, manager } = await join()
    const { manager: other } = await LIBRARIES[library]!(server.url).then((joined) => {
      made.push(joined.connection)
      return joined
    })
    await manager.streams.add({ name: 'orders', subjects: ['orders.>'] })
    await manager.consumers.add('orders', CONSUMER)
    const messages = await (await client.consumers.get('orders', 'worker')).consume()
    void (async () => {
      for await (const message of messages) message.ack()
    })()
    await until('pass')
    await other.consumers.delete('orders', 'worker')
    await until('fail', 'consumer_gone')
    await manager.consumers.add('orders', CONSUMER)
    await until('pass')
    await manager.consumers.delete('orders', 'worker')
    expect((await health.nextRound('nats'))?.status).toBe('pass')
    expect((await health.nextRound('nats'))?.status).toBe('pass')
    await messages.close()
  })

  test('a loop that hangs in a message while others wait is stuck, until it goes on', async (context) => {
    server = await started(context)
    const { client, manager } = await join()
    await manager.streams.add({ name: 'orders', subjects: ['orders.>'] })
    await manager.consumers.add('orders', CONSUMER)
    const messages = await (await client.consumers.get('orders', 'worker')).consume()
    const gate = Promise.withResolvers<void>()
    void (async () => {
      for await (const message of messages) {
        await gate.promise
        message.ack()
      }
    })()
    for (let i = 0; i < 3; i++) await client.publish('orders.a', Buffer.from('x'))
    expect((await until('warn', 'consumer_stuck'))?.cause).toBe('self_recoverable')
    gate.resolve()
    await until('pass')
    await messages.close()
  })

  test('a server that is about to shut down is a warning, and not connected when it is gone', async (context) => {
    server = await started(context)
    await join()
    await until('pass')
    execFileSync('nats-server', ['--signal', `ldm=${server.pid}`])
    expect((await until('warn', 'server_leaving'))?.cause).toBe('dependency')
    await until('fail', 'not_connected')
  })
})

async function started(context: Parameters<typeof present>[1]): Promise<ServerOf['nats']> {
  const file = join(tempDir('nats'), 'nats.conf')
  writeFileSync(file, SMALL)
  const one = present(await service('nats', { args: ['-c', file] }), context)
  servers.push(one)
  return one
}
