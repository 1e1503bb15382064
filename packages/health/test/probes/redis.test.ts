import { EventEmitter } from 'node:events'
import type { ProbeResult } from '@afterspan/core/internal'
import { beforeEach, describe, expect, test } from 'vitest'
import { probeConformance } from '../probe-conformance.ts'
import { identityOf, isUsable, type RedisClient } from '../../src/probes/redis-client.ts'
import { notConnected } from '../../src/probes/redis-refusal.ts'
import { redisHook } from '../../src/probes/redis.ts'
import type { FoundProbe } from '../../src/registry.ts'
import { settled } from '../fake-time.ts'

type Reply = () => Promise<unknown>

let found: { readonly probe: FoundProbe; readonly madeAt: string | undefined }[]
let rejected: string[]
let now = 0
let Redis: ReturnType<typeof redisClass>

/** A class as ioredis has it: the constructor sets the first status. */
function redisClass() {
  return class FakeRedis extends EventEmitter {
    status = 'wait'
    mode = 'normal'
    manuallyClosing = false
    readonly options: Record<string, unknown>
    readonly sent: string[] = []
    commandQueue = queueOf()
    store = new Map<string, string>()
    onSet: Reply | undefined
    constructor(options: Record<string, unknown> = {}) {
      super()
      this.options = { host: 'cache', port: 6379, db: 0, ...options }
      this.setStatus(options['lazyConnect'] ? 'wait' : 'connecting')
    }
    setStatus(status: string): void {
      this.status = status
    }
    duplicate(): FakeRedis {
      return new FakeRedis(this.options)
    }
    async set(key: string, value: string): Promise<unknown> {
      this.sent.push('set')
      if (this.onSet) return this.onSet()
      this.store.set(key, value)
      return 'OK'
    }
    async get(key: string): Promise<unknown> {
      this.sent.push('get')
      return this.store.get(key) ?? null
    }
    async del(key: string): Promise<unknown> {
      this.sent.push('del')
      return Number(this.store.delete(key))
    }
  }
}

function queueOf(...names: string[]): NonNullable<RedisClient['commandQueue']> {
  return { length: names.length, peekAt: (i) => ({ command: { name: names[i] } }) }
}

beforeEach(() => {
  found = []
  rejected = []
  Redis = redisClass()
  hook().patch(Redis, { version: '6.0.0', format: 'commonjs' })
})

function hook(): ReturnType<typeof redisHook> {
  return redisHook(
    (probe, madeAt) => found.push({ probe, madeAt }),
    { monotonicMs: () => now },
    (why) => rejected.push(why),
  )
}

function ready(options: Record<string, unknown> = {}): InstanceType<typeof Redis> {
  const client = new Redis(options)
  client.setStatus('ready')
  return client
}

function check(at = 0, signal: AbortSignal = new AbortController().signal): Promise<ProbeResult> {
  return found[at]!.probe.check(signal)
}

const refuse =
  (message: string, code?: string): Reply =>
  async () => {
    throw Object.assign(new Error(message), code ? { code } : {})
  }

describe('who is found', () => {
  test('one probe for each server and database, that knows who made its first client', () => {
    new Redis()
    new Redis()
    new Redis().duplicate()
    new Redis({ db: 1 })
    new Redis({ port: 6380 })
    expect(found.map(({ probe }) => [probe.name, probe.component, probe.criticality])).toEqual(
      Array.from({ length: 3 }, () => ['redis', 'redis', 'required']),
    )
    expect(found[0]!.madeAt).toMatch(/test\/probes\/redis\.test\.ts:\d+$/)
  })

  test('the exports are changed once, however often they come', () => {
    hook().patch({ default: Redis, Redis }, { version: '6.0.0', format: 'module' })
    new Redis()
    expect(found).toHaveLength(1)
  })

  test('what makes two clients the same is the server and the database, never a password', () => {
    const of = (given: object): string => identityOf({ status: 'wait', ...given } as RedisClient)
    const base = { host: 'cache', port: 6379, db: 0, password: 'hunter2' }
    const all = [
      of({ options: base }),
      of({ options: { ...base, db: 1 } }),
      of({ options: { ...base, host: 'other' } }),
      of({ options: { ...base, path: '/run/redis.sock' } }),
      of({ options: { ...base, sentinels: [{ host: 'a' }], name: 'main' } }),
      of({ options: { ...base, sentinels: [{ host: 'a' }], name: 'main', role: 'slave' } }),
      of({ isCluster: true, startupNodes: [{ host: 'a', port: 7000, password: 'hunter2' }] }),
      of({ isCluster: true, startupNodes: [{ host: 'a', port: 7001 }] }),
      of({ isCluster: true, startupNodes: ['redis://b:7000'] }),
    ]
    expect(new Set(all).size).toBe(all.length)
    expect(all.join()).not.toContain('hunter2')
    expect(of({ options: { ...base, connectionName: 'x' } })).toBe(all[0])
  })

  test('a version without setStatus is left alone, by a throw that the hooks catch', () => {
    expect(() => hook().patch(class Other {}, { version: '9.0.0', format: 'commonjs' })).toThrow(TypeError)
  })

  test('more than twenty servers are not probed, and that is said', () => {
    for (let port = 1; port <= 21; port++) new Redis({ port })
    expect(found).toHaveLength(20)
    expect(rejected).toEqual(['there are clients of 20 Redis servers already'])
  })
})

describe('which client may be asked', () => {
  const client = { status: 'ready', mode: 'normal', commandQueue: queueOf() } as unknown as RedisClient
  test.for([
    ['a ready one', {}, true],
    ['one that is about to be', { status: 'connect' }, false],
    ['a subscriber', { mode: 'subscriber' }, false],
    ['a monitor', { mode: 'monitor' }, false],
    ['a subscriber of ioredis 4', { mode: undefined, condition: { subscriber: {} } }, false],
    ['a normal one of ioredis 4', { mode: undefined, condition: { subscriber: false } }, true],
    ['one that has asked to subscribe', { commandQueue: queueOf('get', 'psubscribe') }, false],
    ['one that waits for a list', { commandQueue: queueOf('bzpopmin') }, false],
    ['one that waits for a list behind other commands', { commandQueue: queueOf('get', 'BLPOP') }, false],
    ['one that is only busy', { commandQueue: queueOf('get', 'set') }, true],
    ['a cluster', { isCluster: true, nodes: () => [client] }, true],
    [
      'a cluster of which one node waits',
      { isCluster: true, nodes: () => [client, { ...client, commandQueue: queueOf('xread') }] },
      false,
    ],
  ] as const)('%s', ([, given, expected]) => {
    expect(isUsable({ ...client, ...given } as RedisClient)).toBe(expected)
  })

  // Bull has one, and its app was told that Redis refuses SET.
  test('one that subscribed in the turn in which it was ready was asked', async () => {
    const client = new Redis()
    client.once('ready', () => void Promise.resolve().then(() => (client.commandQueue = queueOf('psubscribe'))))
    const checked = check()
    client.setStatus('ready')
    client.emit('ready')
    expect(await checked).toMatchObject({ status: 'pass', observed: { checked: { value: 'status' } } })
    expect(client.sent).toEqual([])
  })

  test('the one that never blocks, not the worker between two waits', async () => {
    const worker = ready()
    worker.commandQueue = queueOf('bzpopmin')
    const queue = ready()
    await check()
    worker.commandQueue = queueOf()
    await check()
    expect([worker.sent.length, queue.sent.length]).toEqual([0, 6])
  })

  test('where none may be asked, their states are all that is told', async () => {
    const worker = ready()
    worker.commandQueue = queueOf('bzpopmin')
    expect(await check()).toMatchObject({ status: 'pass', observed: { checked: { value: 'status' } } })
    expect(worker.sent).toEqual([])
  })
})

describe('the round trip', () => {
  test('is SET, GET and DEL in one go', async () => {
    const client = ready()
    expect(await check()).toEqual({
      status: 'pass',
      observed: { clients: { value: 1, unit: 'count' }, ready: { value: 1, unit: 'count' } },
    })
    expect(client.sent).toEqual(['set', 'get', 'del'])
    expect(client.store.size).toBe(0)
  })

  test.for([
    ["READONLY You can't write against a read only replica.", 'READONLY'],
    ["OOM command not allowed when used memory > 'maxmemory'.", 'OOM'],
    ['BUSY Redis is busy running a script. You can only call SCRIPT KILL or SHUTDOWN NOSAVE.', 'BUSY'],
    ['MISCONF Redis is configured to save RDB snapshots', 'MISCONF'],
    ['NOREPLICAS Not enough good replicas to write.', 'NOREPLICAS'],
    ["NOPERM User app has no permissions to run the 'set' command", 'NOPERM'],
    ['MOVED 866 10.0.0.7:6379', 'MOVED'],
    ['CLUSTERDOWN The cluster is down', 'CLUSTERDOWN'],
    ['LOADING Redis is loading the dataset in memory', 'LOADING'],
    ['ERR unknown command', 'error'],
    ['Command timed out', 'timeout'],
    ['Connection is closed.', 'connection_lost'],
    ['Reached the max retries per request limit (which is 20).', 'not_connected'],
  ] as const)('a refusal has its own name: %s', async ([message, code]) => {
    ready().onSet = refuse(message)
    const result = await check()
    expect(result).toMatchObject({ status: 'fail', code })
    for (const secret of ['10.0.0.7', ' app ']) expect(result.reason).not.toContain(secret)
  })

  test('a server that takes no more connections says so', () => {
    const error = new Error('ERR max number of clients reached')
    expect(notConnected(error, {})).toMatchObject({ status: 'fail', code: 'too_many_connections' })
  })

  test('a network error by its code', async () => {
    ready().onSet = refuse('read ECONNRESET', 'ECONNRESET')
    expect(await check()).toMatchObject({ status: 'fail', code: 'ECONNRESET' })
  })

  test('what is read must be what was written', async () => {
    const client = ready()
    client.get = async () => 'other'
    expect(await check()).toMatchObject({ status: 'fail', code: 'round_trip_mismatch' })
  })

  test('a user who is confined to other keys only warns', async () => {
    ready().onSet = refuse('NOPERM No permissions to access a key')
    expect(await check()).toMatchObject({ status: 'warn', code: 'NOPERM' })
  })

  test('in the middle of a transaction of the app nothing is judged', async () => {
    const client = ready()
    client.onSet = async () => 'QUEUED'
    expect(await check()).toMatchObject({ status: 'pass', observed: { checked: { value: 'status' } } })
  })
})

describe('a server that refuses writes', () => {
  const READONLY = refuse('READONLY no')
  test('is as it should be beside one that is writable', async () => {
    ready()
    ready({ host: 'other' }).onSet = READONLY
    expect(await check(1)).toMatchObject({ status: 'fail', code: 'READONLY' })
    await check(0)
    expect(await check(1)).toMatchObject({ status: 'pass', observed: { role: { value: 'read_only' } } })
  })
  test('fails where it could write before', async () => {
    ready()
    const second = ready({ host: 'other' })
    await check(0)
    await check(1)
    second.onSet = READONLY
    expect(await check(1)).toMatchObject({ status: 'fail', code: 'READONLY' })
  })
  test.for([{ host: 'cache-replica.internal' }, { readOnly: true }, { role: 'slave' }])(
    'is as it should be where it was asked for: %j',
    async (options) => {
      ready(options).onSet = READONLY
      expect(await check()).toMatchObject({ status: 'pass' })
    },
  )
})

describe('clients that are not connected', () => {
  test('one that is about to be is waited for', async () => {
    const client = new Redis()
    const result = check()
    await settled()
    client.setStatus('ready')
    client.emit('ready')
    expect(await result).toMatchObject({ status: 'pass' })
    expect(client.listenerCount('ready')).toBe(0)
  })

  test('a client that became ready while the check waited is counted as ready, not as none', async () => {
    const client = new Redis()
    const answer = check()
    client.setStatus('ready')
    client.emit('ready')
    expect(await answer).toMatchObject({ status: 'pass', observed: { ready: { value: 1 } } })
  })

  test('until the deadline', async () => {
    const client = new Redis()
    const controller = new AbortController()
    const result = check(0, controller.signal)
    controller.abort()
    expect(await result).toMatchObject({
      status: 'fail',
      code: 'not_connected',
      observed: { state: { value: 'connecting' } },
    })
    expect([client.listenerCount('ready'), client.sent.length]).toEqual([0, 0])
  })

  test.for(['reconnecting', 'close'])('%s fails at once, and nothing goes into its queue', async (status) => {
    const client = ready()
    client.setStatus(status)
    expect(await check()).toMatchObject({ status: 'fail', code: 'not_connected' })
    expect(client.sent).toEqual([])
  })

  test('one that was never asked to connect is not connected by the probe', async () => {
    const client = new Redis({ lazyConnect: true })
    expect(await check()).toMatchObject({ status: 'warn', code: 'not_connected' })
    expect(client.status).toBe('wait')
  })

  test('one that gave up is a finding; one that the app has closed is gone', async () => {
    const client = ready()
    client.setStatus('close')
    client.setStatus('end')
    expect(found[0]!.probe.isGone()).toBe(false)
    expect(await check()).toMatchObject({ status: 'fail', code: 'client_ended' })
    client.setStatus('connecting')
    client.setStatus('ready')
    expect(await check()).toMatchObject({ status: 'pass' })
    client.manuallyClosing = true
    client.setStatus('close')
    client.manuallyClosing = false
    client.setStatus('end')
    expect(found[0]!.probe.isGone()).toBe(true)
  })

  test('one that the app closes while it waits to reconnect is gone too', () => {
    const client = ready()
    client.setStatus('reconnecting')
    client.manuallyClosing = true
    expect(found[0]!.probe.isGone()).toBe(true)
  })

  test('a client that is made after all others were closed is found anew', () => {
    const client = ready()
    client.manuallyClosing = true
    client.setStatus('close')
    client.setStatus('end')
    ready()
    expect(found).toHaveLength(2)
    expect(found[1]!.probe.isGone()).toBe(false)
  })
})

const kept: unknown[] = []
function probeOf(change: (client: InstanceType<typeof Redis>) => void): FoundProbe {
  const client = ready({ host: 'cache.internal' })
  change(client)
  kept.push(client) // the probe itself does not keep it
  return found.at(-1)!.probe
}
probeConformance('redis', {
  well: () => probeOf(() => {}),
  sick: () =>
    probeOf((client) => {
      client.onSet = () => Promise.reject(new Error("READONLY You can't write to cache.internal as user shop"))
    }),
  silent: () => probeOf((client) => client.setStatus('connecting')),
  secrets: ['cache.internal', 'shop'],
})
