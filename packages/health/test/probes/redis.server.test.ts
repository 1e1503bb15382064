import { once } from 'node:events'
import { createRequire } from 'node:module'
import { faultyProxy, pollUntil, present, service, sharedService, type ServerOf } from '@afterspan/testing'
import type { Cluster as ClusterType, Redis as RedisType, RedisOptions } from 'ioredis'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { redisHook } from '../../src/probes/redis.ts'
import type { FoundProbe } from '../../src/registry.ts'
import { liveHealth, type LiveHealth } from '../live-health.ts'

const { Redis, Cluster } = createRequire(import.meta.url)('ioredis') as {
  Redis: new (options: RedisOptions) => RedisType
  Cluster: new (nodes: readonly { readonly host: string; readonly port: number }[]) => ClusterType
}
const QUICK = { intervalMs: 300, timeoutMs: 400 }
const DEAD_MS = 1500
const SEEN_WITHIN_MS = 2000 + 1500 + 1000

let health: LiveHealth
let made: (RedisType | ClusterType)[]
const shared = sharedService('redis')
let server: ServerOf['redis']

// Once for this file: the hook changes the prototypes, and what it finds goes to the engine of the test that runs.
redisHook(
  (probe: FoundProbe, madeAt) => health.registry.register(probe, madeAt),
  { monotonicMs: () => performance.now() },
  () => {},
  DEAD_MS,
).patch(createRequire(import.meta.url)('ioredis'), { version: '6.0.0', format: 'commonjs' })

beforeEach((context) => {
  server = shared(context)
  made = []
  health = liveHealth(QUICK)
})
afterEach(async () => {
  // A client that is still closing would take the next test's into its check.
  await Promise.all(
    made.map(async (each) => {
      const isOpen = !['end', 'reconnecting'].includes(each.status)
      // Of its errors it may still tell: they are not what is waited for.
      const ended = isOpen ? new Promise<void>((resolve) => each.once('end', () => resolve())) : undefined
      each.disconnect()
      await ended
    }),
  )
})

function client(options: RedisOptions = {}): RedisType {
  const { host, port } = server
  const redis = new Redis({ host, port, ...options })
  redis.on('error', () => {})
  made.push(redis)
  return redis
}

const passes = (check: { status?: string } | undefined): boolean => check?.status === 'pass'
const fails = (check: { status?: string } | undefined): boolean => check?.status === 'fail'

test('a client is found and asked, and leaves no key behind', async () => {
  const app = client()
  expect(await health.until('redis', passes)).toMatchObject({
    madeAt: expect.stringMatching(/redis\.server\.test\.ts:\d+$/),
    observed: { clients: { value: 1 }, ready: { value: 1 } },
  })
  await health.nextRound('redis')
  expect(await app.keys('afterspan:*')).toEqual([])
})

test("a client that is turned away says by what word, one that reaches nobody says why; and its errors are the app's to hear", async () => {
  client({ username: 'shop-prod', password: 'wrong' })
  const refused = await health.until('redis', (check) => check?.code === 'WRONGPASS')
  expect(JSON.stringify(refused)).not.toContain('shop')
  const nowhere = client({ port: 1 })
  const [heard] = (await once(nowhere, 'error')) as [Error]
  expect(heard.message).toContain('ECONNREFUSED')
  expect(await health.until('redis-2', (check) => check?.reason?.includes('ECONNREFUSED') === true)).toMatchObject({
    status: 'fail',
    code: 'not_connected',
  })
})

test('a frozen server is a timeout within seconds, at most one check waits in it, and it is well again soon after', async () => {
  health = liveHealth()
  const app = client()
  await health.until('redis', passes)
  await server.freeze()
  const frozenAt = performance.now()
  try {
    expect(await health.until('redis', fails)).toMatchObject({ code: 'timeout' })
    expect(performance.now() - frozenAt).toBeLessThan(SEEN_WITHIN_MS)
    await health.nextRound('redis')
    await health.nextRound('redis')
    const { commandQueue, offlineQueue } = app as unknown as {
      commandQueue: { length: number }
      offlineQueue: { length: number }
    }
    expect([commandQueue.length, offlineQueue.length]).toEqual([3, 0])
  } finally {
    await server.thaw()
  }
  const thawedAt = performance.now()
  expect(await health.until('redis', passes)).toMatchObject({ abandoned: 0 })
  expect(performance.now() - thawedAt).toBeLessThan(4000)
}, 30_000)

describe('refusals of a server that answers PING', () => {
  test.for([
    ['READONLY', ['REPLICAOF', '127.0.0.1', '1'], ['REPLICAOF', 'NO', 'ONE']],
    ['OOM', ['CONFIG', 'SET', 'maxmemory', '1'], ['CONFIG', 'SET', 'maxmemory', '0']],
    ['NOREPLICAS', ['CONFIG', 'SET', 'min-replicas-to-write', '1'], ['CONFIG', 'SET', 'min-replicas-to-write', '0']],
  ] as const)('%s', async ([code, [command, ...args], [undo, ...undoArgs]]) => {
    const app = client()
    await health.until('redis', passes)
    await app.call(command, ...args)
    try {
      expect(await app.ping()).toBe('PONG')
      expect(await health.until('redis', fails)).toMatchObject({ code })
    } finally {
      await app.call(undo, ...undoArgs)
    }
    await health.until('redis', passes)
  })

  test('NOPERM for a user who may not write; a warning for one who is confined to other keys', async () => {
    const admin = client({ db: 1 })
    await admin.call('ACL', 'SETUSER', 'reading', 'on', '>secret', '~*', '+@all', '-set')
    await admin.call('ACL', 'SETUSER', 'confined', 'on', '>secret', '~app:*', '+@all')
    const closed = once(admin, 'end')
    await admin.quit()
    await closed
    health = liveHealth(QUICK)
    client({ username: 'reading', password: 'secret', db: 2 })
    client({ username: 'confined', password: 'secret', db: 3 })
    const answered = (check: { status?: string } | undefined): boolean => check?.status !== undefined
    expect(await health.until('redis', answered)).toMatchObject({ status: 'fail', code: 'NOPERM' })
    expect(await health.until('redis-2', answered)).toMatchObject({ status: 'warn', code: 'NOPERM' })
  })
})

test('a server that has no room for one more says so, though its clients hear a reset', async (context) => {
  const other = present(await service('redis'), context)
  try {
    const app = client({ port: other.port })
    const admin = client({ port: other.port, db: 1 }) // another check: it stays connected
    await health.until('redis', passes)
    await admin.config('SET', 'maxclients', 1)
    await admin.call('CLIENT', 'KILL', 'TYPE', 'normal', 'SKIPME', 'yes')
    expect(await health.until('redis', (check) => check?.code === 'too_many_connections')).toMatchObject({
      status: 'fail',
      cause: 'dependency',
    })
    await admin.config('SET', 'maxclients', 100)
    await health.until('redis', passes)
    await pollUntil(
      async () =>
        String(await app.client('LIST'))
          .trim()
          .split('\n').length === 2,
      {
        what: 'the connections to be those of the app and the operator',
      },
    )
    for (const each of [app, admin]) each.disconnect()
  } finally {
    await other.stop()
  }
}, 30_000)

test('a connection that waits for a list is never asked, and its wait is not disturbed', async () => {
  const worker = client()
  const waiting = worker.blpop('jobs', 0)
  await health.until('redis', passes)
  const queue = client()
  await health.until('redis', (check) => check?.observed?.['ready']?.value === 2)
  await health.nextRound('redis')
  expect((worker as unknown as { commandQueue: { length: number } }).commandQueue.length).toBe(1)
  await queue.rpush('jobs', 'one')
  expect(await waiting).toEqual(['jobs', 'one'])
})

test('a subscriber beside it is passed over, a closed client leaves, the last one takes the check with it', async () => {
  const subscriber = client({ protocol: 2 })
  await subscriber.subscribe('news')
  const app = client()
  await health.until('redis', (check) => passes(check) && check?.observed?.['clients']?.value === 2)
  await subscriber.quit()
  await health.until('redis', (check) => check?.observed?.['clients']?.value === 1)
  await app.quit()
  expect(await health.until('redis', (check) => check === undefined)).toBeUndefined()
})

test('a client that the app closes while it connects, or that BullMQ calls ended, has not given up', async () => {
  client().disconnect()
  const cluster = new Cluster([{ host: server.host, port: server.port }])
  cluster.on('error', () => {})
  cluster.disconnect()
  const ended = client()
  ended.disconnect()
  ended.status = 'end'
  const own = client()
  await health.until('redis', passes)
  await own.quit()
  await expect.poll(() => health.registry.snapshot().checks).toEqual([])
})

test('a client that gave up reconnecting fails', async () => {
  const own = (await service('redis')) as ServerOf['redis']
  const app = new Redis({ host: own.host, port: own.port, retryStrategy: () => null })
  app.on('error', () => {})
  made.push(app)
  await health.until('redis', passes)
  await own.stop()
  expect(await health.until('redis', (check) => check?.code === 'client_ended')).toMatchObject({ status: 'fail' })
}, 20_000)

test('a server that is killed is told, nothing piles up, and a new one is found', async () => {
  const first = (await service('redis')) as ServerOf['redis']
  const { host, port } = first
  const app = new Redis({ host, port, maxRetriesPerRequest: null })
  app.on('error', () => {})
  made.push(app)
  await health.until('redis', passes)
  await first.stop()
  await health.until('redis', fails)
  for (let i = 0; i < 5; i++) await health.nextRound('redis')
  expect((app as unknown as { offlineQueue: { length: number } }).offlineQueue.length).toBe(0)
  const second = (await service('redis', { port })) as ServerOf['redis']
  try {
    await health.until('redis', passes, 15_000)
  } finally {
    await second.stop()
  }
}, 30_000)

test('a cluster is one check; the connections that it makes for itself are none', async (context) => {
  const cluster = present(await service('redis-cluster'), context)
  try {
    const app = new Cluster(cluster.nodes.map(({ host, port }) => ({ host, port })))
    app.on('error', () => {})
    made.push(app)
    await health.until('redis', passes)
    expect(await health.nextRound('redis')).toMatchObject({
      observed: { masters: { value: 3 }, mastersAnswered: { value: 3 } },
    })
    expect(health.registry.snapshot().checks.map(({ name }) => name)).toEqual(['redis'])
    await app.quit()
  } finally {
    await cluster.stop()
  }
}, 60_000)

test('a client that has given up is one that only a restart brings back, once a new one has worked for as long; its server gone it is not', async (context) => {
  const other = present(await service('redis'), context)
  try {
    const app = client({ port: other.port, retryStrategy: () => null })
    await health.until('redis', passes)
    await other.stop()
    expect(await health.until('redis', (check) => check?.code === 'client_ended')).toMatchObject({
      cause: 'dependency',
    })
    for (let i = 0; i < 6; i++)
      expect(await health.nextRound('redis')).toMatchObject({ status: 'fail', cause: 'dependency' })
    const back = present(await service('redis', { port: other.port }), context)
    try {
      const wedged = await health.until('redis', (check) => check?.cause === 'self_wedged', 20_000)
      expect(wedged).toMatchObject({
        code: 'client_ended',
        reason: expect.stringMatching(/^a new client has been answered/),
      })
      await app.connect()
      expect(await health.until('redis', passes)).toBeDefined()
      // Nothing is left of the new ones.
      expect(
        String(await app.client('LIST'))
          .trim()
          .split('\n'),
      ).toHaveLength(1)
      expect(await app.keys('afterspan:*control*')).toEqual([])
    } finally {
      app.disconnect()
      await back.stop()
    }
  } finally {
    await other.stop()
  }
}, 60_000)

test('a client whose link swallows for ever is one that only a restart brings back, and no longer when it is made anew', async () => {
  const proxy = await faultyProxy(server)
  try {
    const app = client({ port: proxy.port })
    await health.until('redis', passes)
    await proxy.set('swallow')
    expect(await health.until('redis', fails)).toMatchObject({ code: 'timeout', cause: 'dependency' })
    // New connections get through; the old one stays dead.
    await proxy.set('none')
    const isWedged: Parameters<LiveHealth['until']>[1] = (check) => check?.cause === 'self_wedged'
    expect(await health.until('redis', isWedged, 20_000)).toMatchObject({ status: 'fail', code: 'timeout' })
    await pollUntil(() => proxy.connections === 1, { what: 'nothing to be left of the new clients' })
    app.disconnect(true)
    expect(await health.until('redis', passes)).toMatchObject({ status: 'pass' })
  } finally {
    await proxy.stop()
  }
}, 60_000)
