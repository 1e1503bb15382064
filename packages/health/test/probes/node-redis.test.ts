import type { ProbeResult } from '@afterspan/core/internal'
import { beforeEach, describe, expect, test } from 'vitest'
import { probeConformance } from '../probe-conformance.ts'
import { identityOf, isBlocking, isSubscriber, type NodeRedisClient } from '../../src/probes/node-redis-client.ts'
import { nodeRedisHook } from '../../src/probes/node-redis.ts'
import type { FoundProbe } from '../../src/registry.ts'
import { settled } from '../fake-time.ts'

type Reply = (args: readonly string[]) => Promise<unknown>

let found: { readonly probe: FoundProbe; readonly madeAt: string | undefined }[]
let rejected: string[]
let RedisClient: ReturnType<typeof clientClass>
let RedisClientPool: ReturnType<typeof poolClass>
/** The probe itself does not keep them. */
let kept: unknown[]

/** A class as node-redis has it: create() gives an object of which the real client is the prototype. */
function clientClass() {
  return class RedisClient {
    isOpen = false
    isReady = false
    isPubSubActive = false
    readonly sent: string[] = []
    readonly store = new Map<string, string>()
    readonly _self = this
    reply: Reply | undefined
    readonly options: Record<string, unknown> | undefined
    constructor(options?: Record<string, unknown>) {
      this.options = options
    }
    static create(options?: Record<string, unknown>): RedisClient {
      return Object.create(new RedisClient(options)) as RedisClient
    }
    duplicate(): RedisClient {
      return new RedisClient(this._self.options)
    }
    async connect(): Promise<this> {
      this._self.isOpen = true
      this._self.isReady = true
      return this
    }
    async close(): Promise<void> {
      this._self.isOpen = this._self.isReady = false
    }
    async sendCommand(args: readonly string[]): Promise<unknown> {
      const [name, key, value] = args as [string, string, string]
      this._self.sent.push(name)
      if (this._self.reply) return this._self.reply(args)
      if (name === 'GET') return this._self.store.get(key) ?? null
      if (name === 'DEL') return Number(this._self.store.delete(key))
      this._self.store.set(key, value)
      return 'OK'
    }
  }
}

function poolClass() {
  return class RedisClientPool {
    isOpen = false
    clientsInUse = 0
    idleClients = 1
    tasksQueueLength = 0
    readonly _self = this
    readonly waiting: (() => void)[] = []
    readonly client = new RedisClient()
    static create(): RedisClientPool {
      return Object.create(new RedisClientPool()) as RedisClientPool
    }
    async connect(): Promise<this> {
      await this.client.connect()
      this._self.isOpen = true
      return this
    }
    async execute<T>(work: (client: unknown) => Promise<T>): Promise<T> {
      if (this._self.idleClients === 0) {
        this._self.tasksQueueLength++
        await new Promise<void>((resolve) => void this._self.waiting.push(resolve))
        this._self.tasksQueueLength--
      }
      return work(this._self.client)
    }
  }
}

beforeEach(() => {
  found = []
  rejected = []
  kept = []
  RedisClient = clientClass()
  RedisClientPool = poolClass()
  const hook = nodeRedisHook(
    (probe, madeAt) => found.push({ probe, madeAt }),
    (why) => rejected.push(why),
  )
  hook.patch({ default: RedisClient }, { version: '6.3.1', format: 'commonjs' })
  hook.patch({ default: RedisClient }, { version: '6.3.1', format: 'module' })
  hook.patch({ RedisClientPool }, { version: '6.3.1', format: 'commonjs' })
})

async function ready(options?: Record<string, unknown>): Promise<InstanceType<typeof RedisClient>> {
  const client = RedisClient.create(options)
  kept.push(client)
  return (await client.connect())._self
}

function check(at = 0, signal: AbortSignal = new AbortController().signal): Promise<ProbeResult> {
  return found[at]!.probe.check(signal)
}

const refuse =
  (message: string): Reply =>
  async () => {
    throw new Error(message)
  }
const forever: Reply = () => new Promise(() => {})

describe('who is found', () => {
  test('one probe for each server and database, that knows who made its first client', async () => {
    const first = await ready()
    kept.push(first.duplicate(), RedisClient.create({ url: 'redis://localhost:6379/0' }))
    kept.push(RedisClient.create({ url: 'redis://localhost:6379/1' }), RedisClient.create({ socket: { port: 6380 } }))
    expect(found.map(({ probe }) => [probe.name, probe.component, probe.criticality])).toEqual(
      Array.from({ length: 3 }, () => ['redis', 'redis', 'required']),
    )
    expect(found[0]!.madeAt).toMatch(/node-redis\.test\.ts:\d+$/)
    expect(await check()).toMatchObject({ observed: { clients: { value: 3 }, ready: { value: 1 } } })
  })

  test('what makes two clients the same is the server and the database, never a password', () => {
    const socket = { host: 'cache', port: 6379 }
    const all = [
      identityOf('client', { url: 'redis://shop:hunter2@cache:6379' }),
      identityOf('client', { url: 'redis://shop:hunter2@cache:6379/1' }),
      identityOf('client', { socket: { path: '/run/redis.sock' } }),
      identityOf('pool', { socket }),
      identityOf('cluster', { rootNodes: [{ url: 'redis://:hunter2@a:7000' }] }),
      identityOf('cluster', { rootNodes: [{ socket: { host: 'a', port: 7001 } }] }),
      identityOf('sentinel', { name: 'main', sentinelRootNodes: [{ host: 'a', port: 26_379 }] }),
    ]
    expect(new Set(all).size).toBe(all.length)
    expect(all.join()).not.toContain('hunter2')
    expect(identityOf('client', { socket, database: 1 })).toBe(all[1])
  })

  test('a file without such a class is left alone, by a throw that the hooks catch', () => {
    const hook = nodeRedisHook(
      () => {},
      () => {},
    )
    expect(() => hook.patch({}, { version: '6.3.1', format: 'commonjs' })).toThrow(TypeError)
  })

  test('more than twenty servers are not probed, and that is said', () => {
    for (let port = 1; port <= 21; port++) kept.push(RedisClient.create({ socket: { port } }))
    expect(found).toHaveLength(20)
    expect(rejected).toEqual(['there are clients of 20 Redis servers already'])
  })
})

describe('which client may be asked', () => {
  test.for([
    [['BLPOP', 'jobs', '0'], true],
    [['blpop', 'jobs', '0'], true],
    [['XREAD', 'BLOCK', '0', 'STREAMS', 's', '$'], true],
    [['XREAD', 'STREAMS', 's', '0'], false],
    [['GET', 'a'], false],
    ['GET', false],
  ] as const)('%j blocks: %s', ([args, expected]) => {
    expect(isBlocking(args)).toBe(expected)
  })

  test('a subscriber takes other commands from RESP3 on', () => {
    const subscriber = { isPubSubActive: true } as NodeRedisClient
    expect([isSubscriber(subscriber, 2), isSubscriber(subscriber, 3)]).toEqual([true, false])
    expect(isSubscriber({ ...subscriber, options: { RESP: 2 } }, 3)).toBe(true)
  })

  test('the one that never blocks, not the worker between two waits', async () => {
    const worker = await ready()
    const queue = await ready()
    await worker.sendCommand(['BLPOP', 'jobs', '0'])
    await check()
    expect([worker.sent, queue.sent]).toEqual([['BLPOP'], ['SET', 'GET', 'DEL']])
  })

  test('where none may be asked, their states are all that is told, and a wait that fails is the app’s to see', async () => {
    const worker = await ready()
    let end = (_error: Error): void => {}
    worker.reply = () => new Promise((_resolve, reject) => (end = reject))
    const waiting = worker.sendCommand(['BLPOP', 'jobs', '0'])
    expect(await check()).toMatchObject({ status: 'pass', observed: { checked: { value: 'status' } } })
    expect(worker.sent).toEqual(['BLPOP'])
    end(new Error('UNBLOCKED'))
    await expect(waiting).rejects.toThrow('UNBLOCKED')
  })
})

describe('the round trip', () => {
  test('is SET, GET and DEL in one go', async () => {
    const client = await ready()
    expect(await check()).toEqual({
      status: 'pass',
      observed: { clients: { value: 1, unit: 'count' }, ready: { value: 1, unit: 'count' } },
    })
    expect(client.sent).toEqual(['SET', 'GET', 'DEL'])
    expect(client.store.size).toBe(0)
  })

  test.for([
    ["READONLY You can't write against a read only replica.", 'READONLY'],
    ['CLUSTERDOWN The cluster is down', 'CLUSTERDOWN'],
    ['Socket closed unexpectedly', 'connection_lost'],
    ['The client is offline', 'not_connected'],
    ['ERR unknown command', 'error'],
  ] as const)('a refusal has its own name: %s', async ([message, code]) => {
    const client = await ready()
    client.reply = refuse(message)
    expect(await check()).toMatchObject({ status: 'fail', code })
  })
})

describe('clients that are not connected', () => {
  test('one that is about to be is waited for, until the deadline', async () => {
    const client = RedisClient.create()
    kept.push(client)
    Object.assign(client._self, { isOpen: true })
    const first = new AbortController()
    const given = check(0, first.signal)
    first.abort()
    expect(await given).toMatchObject({ code: 'not_connected', observed: { state: { value: 'connecting' } } })
    const answer = check()
    await settled()
    await client.connect()
    expect(await answer).toMatchObject({ status: 'pass', observed: { ready: { value: 1 } } })
  })

  test('one that was connected before fails at once, and nothing goes into its queue', async () => {
    const client = await ready()
    await check()
    client._self.isReady = false
    expect(await check()).toMatchObject({ status: 'fail', code: 'not_connected' })
    expect(client.sent).toHaveLength(3)
  })

  test('one that was never asked to connect is not connected by the probe', async () => {
    const client = RedisClient.create()
    expect(await check()).toMatchObject({ status: 'warn', code: 'not_connected' })
    expect(client.isOpen).toBe(false)
  })

  test('one that gave up is a finding; one that the app has closed is gone, and back when it connects', async () => {
    const client = await ready()
    client._self.isOpen = client._self.isReady = false
    expect(await check()).toMatchObject({ status: 'fail', code: 'client_ended' })
    await client.close()
    expect(found[0]!.probe.isGone()).toBe(true)
    await client.connect()
    expect(found[0]!.probe.isGone()).toBe(false)
  })
})

describe('a pool', () => {
  async function pool(): Promise<InstanceType<typeof RedisClientPool>> {
    const made = RedisClientPool.create()
    kept.push(made)
    return made.connect()
  }

  test('is asked through one of its clients', async () => {
    const made = await pool()
    expect(await check()).toMatchObject({ status: 'pass', observed: { idle: { value: 1 }, inUse: { value: 0 } } })
    expect(made.client.sent).toEqual(['SET', 'GET', 'DEL'])
  })

  test('that has no client to give is exhausted, and the probe waits in its queue once', async () => {
    const made = await pool()
    Object.assign(made._self, { idleClients: 0, clientsInUse: 2 })
    for (let i = 0; i < 3; i++) {
      const controller = new AbortController()
      const answer = check(0, controller.signal)
      await settled()
      controller.abort()
      expect(await answer).toMatchObject({ status: 'fail', code: 'pool_exhausted', cause: 'self_recoverable' })
    }
    expect(made.tasksQueueLength).toBe(1)
    Object.assign(made._self, { idleClients: 1, clientsInUse: 0 })
    made.waiting.pop()!()
    await settled()
    expect(made.client.sent).toEqual([])
    expect(await check()).toMatchObject({ status: 'pass' })
  })
})

async function probeOf(change: (client: InstanceType<typeof RedisClient>) => void): Promise<FoundProbe> {
  change(await ready({ url: 'redis://shop:hunter2@cache.internal' }))
  return found.at(-1)!.probe
}
probeConformance('node-redis', {
  well: () => probeOf(() => {}),
  sick: () =>
    probeOf((client) => {
      client.reply = refuse("READONLY You can't write to cache.internal as user shop")
    }),
  silent: () =>
    probeOf((client) => {
      client._self.isReady = false
    }),
  secrets: ['cache.internal', 'shop', 'hunter2'],
})

test('a master of a cluster that does not answer is told at the deadline, and not asked again before it has', async () => {
  const { RedisMasters } = await import('../../src/probes/redis-masters.ts')
  const masters = new RedisMasters()
  const asked: string[] = []
  let values = new Map<string, string>()
  const door = {
    set: async (key: string, value: string) => {
      asked.push(key)
      if (key === 'b') return forever([])
      values.set(key, value)
      return 'OK'
    },
    get: async (key: string) => values.get(key),
    del: async () => 1,
  }
  const keys = new Map([
    ['first', 'a'],
    ['second', 'b'],
  ])
  const server = { wasWritable: false, hint: false }
  for (let i = 0; i < 2; i++) {
    const controller = new AbortController()
    const given = { signal: controller.signal, observed: {}, anotherIsWritable: () => false }
    const answer = masters.check(door, keys, server, given)
    await settled()
    controller.abort()
    expect(await answer).toMatchObject({
      status: 'fail',
      code: 'timeout',
      observed: { masters: { value: 2 }, mastersAnswered: { value: 1 } },
    })
  }
  values = new Map()
  expect(asked).toEqual(['a', 'b', 'a'])
})
