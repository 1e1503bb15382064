import { createRequire } from 'node:module'
import { join } from 'node:path'
import {
  faultyProxy,
  pollUntil,
  present,
  repositoryRoot,
  service,
  sharedService,
  type ServerOf,
} from '@afterspan/testing'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { nodeRedisHook } from '../../src/probes/node-redis.ts'
import { liveHealth, type LiveHealth } from '../live-health.ts'

interface Client {
  readonly isOpen: boolean
  connect(): Promise<unknown>
  destroy(): void
  on(event: 'error', listener: () => void): void
  sendCommand(args: readonly string[]): Promise<unknown>
}
type Create = (options: object, more?: object) => Client
interface Pool extends Client {
  execute<T>(work: (client: Client) => Promise<T>): Promise<T>
}

// Of the black-box tests; its classes are changed before its package exports them, as the preload does it.
const redis = createRequire(createRequire(join(repositoryRoot(), 'test/package.json')).resolve('redis'))
let health: LiveHealth
const hook = nodeRedisHook(
  (probe, madeAt) => health.registry.register(probe, madeAt),
  () => {},
  { monotonicMs: () => performance.now() },
  1000,
)
const { version } = redis('@redis/client/package.json') as { version: string }
for (const file of hook.files!) hook.patch(redis(`@redis/client/${file}`), { version, format: 'commonjs' })
const { createClient, createClientPool, createCluster } = redis('@redis/client') as {
  createClient: Create
  createClientPool: (options: object, more: object) => Pool
  createCluster: Create
}

const QUICK = { intervalMs: 300, timeoutMs: 400 }
const shared = sharedService('redis')
let server: ServerOf['redis']
let made: Client[]

beforeEach((context) => {
  server = shared(context)
  made = []
  health = liveHealth(QUICK)
})
afterEach(() => {
  for (const each of made) if (each.isOpen) each.destroy()
})

function kept<C extends Client>(client: C): C {
  client.on('error', () => {})
  made.push(client)
  return client
}
async function client(options: object = {}): Promise<Client> {
  const redisClient = kept(createClient({ url: server.url, ...options }))
  await redisClient.connect()
  return redisClient
}

const passes = (check: { status?: string } | undefined): boolean => check?.status === 'pass'
const coded =
  (code: string) =>
  (check: { status?: string; code?: string } | undefined): boolean =>
    check?.status === 'fail' && check.code === code

test('a client that is turned away says by what word, one that reaches nobody says why', async () => {
  const refused = kept(createClient({ url: server.url, database: 3, username: 'shop-prod', password: 'wrong' }))
  refused.connect().catch(() => {})
  expect(JSON.stringify(await health.until('redis', coded('WRONGPASS')))).not.toContain('shop')
  const nowhere = kept(createClient({ url: 'redis://127.0.0.1:1' }))
  nowhere.connect().catch(() => {})
  const unreached = await health.until('redis-2', (check) => check?.status === 'fail' && check.reason !== undefined)
  expect(unreached).toMatchObject({ code: 'not_connected', reason: expect.stringContaining('ECONNREFUSED') })
})

test('a client is found and asked, leaves no key behind, and a refused write has its own name', async () => {
  const app = await client()
  expect(await health.until('redis', passes)).toMatchObject({
    madeAt: expect.stringMatching(/node-redis\.server\.test\.ts:\d+$/),
  })
  await health.nextRound('redis')
  expect(await app.sendCommand(['KEYS', 'afterspan:*'])).toEqual([])
  await app.sendCommand(['REPLICAOF', '127.0.0.1', '1'])
  try {
    expect(await app.sendCommand(['PING'])).toBe('PONG')
    await health.until('redis', coded('READONLY'))
  } finally {
    await app.sendCommand(['REPLICAOF', 'NO', 'ONE'])
  }
  await health.until('redis', passes)
})

test('a client that the app closes while it connects, or while it tries in vain, has not given up', async () => {
  const connecting = kept(createClient({ url: server.url }))
  connecting.connect().catch(() => {})
  connecting.destroy()
  const nowhere = kept(createClient({ url: 'redis://127.0.0.1:1' }))
  nowhere.connect().catch(() => {})
  await health.until('redis-2', (check) => check?.status === 'fail')
  nowhere.destroy()
  await expect.poll(() => health.registry.snapshot().checks).toEqual([])
})

test('a frozen server is a timeout, nothing piles up, and it is well again soon after', async () => {
  const app = await client({ commandsQueueMaxLength: 4 })
  await health.until('redis', passes)
  await server.freeze()
  try {
    await health.until('redis', coded('timeout'))
    await health.nextRound('redis')
    await health.nextRound('redis')
    // Three of the probe's and this one: a fifth would be refused.
    const fourth = app.sendCommand(['PING'])
    await server.thaw()
    expect(await fourth).toBe('PONG')
  } finally {
    await server.thaw()
  }
  await health.until('redis', passes)
})

test('a connection that waits for a list is never asked, and its wait is not disturbed', async () => {
  const worker = await client()
  const waiting = worker.sendCommand(['BLPOP', 'jobs', '0'])
  expect(await health.until('redis', passes)).toMatchObject({ observed: { checked: { value: 'status' } } })
  const queue = await client()
  await health.until('redis', (check) => passes(check) && !check?.observed?.['checked'])
  await queue.sendCommand(['RPUSH', 'jobs', 'one'])
  expect(await waiting).toEqual(['jobs', 'one'])
})

test('a client that gave up reconnecting fails, one that the app destroys takes its check with it', async () => {
  const own = (await service('redis')) as ServerOf['redis']
  const app = await client({ url: own.url, socket: { reconnectStrategy: false } })
  await health.until('redis', passes)
  await own.stop()
  await health.until('redis', coded('client_ended'))
  const other = await client()
  await health.until('redis-2', passes)
  other.destroy()
  await health.until('redis-2', (check) => check === undefined)
  expect(app.isOpen).toBe(false)
}, 20_000)

test('a pool whose clients are all held is exhausted until one comes back', async () => {
  const pool = kept(createClientPool({ url: server.url }, { maximum: 1, acquireTimeout: 0 }))
  await pool.connect()
  await health.until('redis', passes)
  let free = (): void => {}
  const held = pool.execute(() => new Promise<void>((resolve) => (free = resolve)))
  expect(await health.until('redis', coded('pool_exhausted'))).toMatchObject({ observed: { inUse: { value: 1 } } })
  free()
  await held
  await health.until('redis', passes)
})

test('of a cluster every master is asked, and one that is frozen is told', async (context) => {
  const cluster = present(await service('redis-cluster'), context)
  try {
    const rootNodes = cluster.nodes.map(({ url }) => ({ url }))
    await kept(createCluster({ rootNodes })).connect()
    expect(await health.until('redis', passes)).toMatchObject({
      observed: { masters: { value: 3 }, mastersAnswered: { value: 3 } },
    })
    expect(health.registry.snapshot().checks.map(({ name }) => name)).toEqual(['redis'])
    await cluster.nodes[1]!.freeze()
    // First it does not answer; then the others find that its slots are served by nobody.
    await health.until('redis', (check) => coded('timeout')(check) || coded('CLUSTERDOWN')(check))
    await health.until('redis', coded('CLUSTERDOWN'))
    await cluster.nodes[1]!.thaw()
    await health.until('redis', passes, 20_000)
  } finally {
    await cluster.stop()
  }
}, 60_000)

test('a client whose link swallows for ever is one that only a restart brings back; while its server is gone it is not', async () => {
  const proxy = await faultyProxy(server)
  try {
    const app = await client({ url: `redis://127.0.0.1:${proxy.port}` })
    await health.until('redis', passes)
    await proxy.set('swallow')
    expect(await health.until('redis', coded('timeout'))).toMatchObject({ cause: 'dependency' })
    for (let i = 0; i < 4; i++)
      expect(await health.nextRound('redis')).toMatchObject({ status: 'fail', cause: 'dependency' })
    // New connections get through; the old one stays dead.
    await proxy.set('none')
    expect(await health.until('redis', (check) => check?.cause === 'self_wedged', 20_000)).toMatchObject({
      status: 'fail',
      code: 'timeout',
      reason: expect.stringMatching(/^a new client has been answered/),
    })
    await pollUntil(() => proxy.connections === 1, { what: 'nothing to be left of the new clients' })
    app.destroy()
    await app.connect()
    expect(await health.until('redis', passes)).toBeDefined()
    await health.nextRound('redis')
    expect(await app.sendCommand(['KEYS', 'afterspan:*control*'])).toEqual([])
  } finally {
    await proxy.stop()
  }
}, 60_000)
