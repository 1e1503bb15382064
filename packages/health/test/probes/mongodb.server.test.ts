// By both drivers' own means, against a stand-in that speaks their protocol: no server of MongoDB can be had here.
import { createRequire } from 'node:module'
import { join } from 'node:path'
import {
  pollUntil,
  repositoryRoot,
  startMongoDbStandIn,
  type Bson,
  type MongoDbStandIn,
  type MongoRole,
} from '@afterspan/testing'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import type { CheckState } from '../../src/snapshot.ts'
import type { FoundProbe } from '../../src/registry.ts'
import { mongodbHook } from '../../src/probes/mongodb.ts'
import { liveHealth, type LiveHealth } from '../live-health.ts'
import { probeConformance } from '../probe-conformance.ts'

interface Client {
  readonly topology?: { readonly description: { readonly type: string } }
  connect(): Promise<unknown>
  close(): Promise<void>
  db(name?: string): {
    collection(name: string): { findOne(filter: object): Promise<unknown> }
    command(command: object, options?: object): Promise<unknown>
  }
}
interface Driver {
  readonly MongoClient: new (url: string, options?: object) => Client
  readonly BSON: Bson
}

const fromTests = createRequire(join(repositoryRoot(), 'test/package.json'))
const DEAD_MS = 1000
const QUICK = { intervalMs: 150, timeoutMs: 250 }
/** A monitor asks as often as the driver lets it. */
const OPTIONS = { heartbeatFrequencyMS: 500 }

let health: LiveHealth
let probes: FoundProbe[]
let server: MongoDbStandIn
let made: Client[]

const DRIVERS = ['mongodb', 'mongodb-oldest'].map((name) => {
  const driver = fromTests(name) as Driver
  const { version } = fromTests(`${name}/package.json`) as { version: string }
  const hook = mongodbHook(
    (probe, madeAt) => {
      probes.push(probe)
      health?.registry.register(probe, madeAt)
    },
    { monotonicMs: () => performance.now() },
    () => {},
    {
      deadMs: DEAD_MS,
      onTrouble: () => {
        health?.registry.suspect('mongodb')
      },
    },
  )
  hook.patch(driver, { version, format: 'commonjs' })
  hook.patch(driver, { version, format: 'commonjs' })
  return { ...driver, version }
})

beforeEach(() => {
  made = []
  probes = []
  health = liveHealth(QUICK)
})
afterEach(async () => {
  server.thaw()
  // The driver waits for a primary to end its sessions there.
  if (server.role === 'secondary') server.role = 'primary'
  await Promise.all(made.map((each) => each.close()))
  await server.stop()
})

function until(status: string, code?: string): Promise<CheckState | undefined> {
  return health.until('mongodb', (check) => check?.status === status && check.code === code)
}

describe.each(DRIVERS)('a client of mongodb $version', ({ MongoClient, BSON, version }) => {
  const begin = async (role?: MongoRole): Promise<void> => {
    server = await startMongoDbStandIn(BSON, role)
  }
  const client = (path = '/shop', options: object = {}): Client => {
    const one = new MongoClient(
      `${server.url.replace('mongodb://', `mongodb://${USER.exec(path)?.[0] ?? ''}`)}${path.replace(USER, '')}`,
      {
        ...OPTIONS,
        ...options,
      },
    )
    made.push(one)
    return one
  }

  // Of a new one: whether it tells when its pool was asked, and when it was used. What both say of their servers is tried with it alone.
  const tells = version !== '6.0.0'

  test('is found by its first operation, and reads where the app may', async () => {
    await begin()
    const it = client('/shop')
    await it.db().command({ ping: 1 })
    const check = await until('pass')
    expect(check).toMatchObject({
      component: 'mongodb',
      madeAt: expect.stringMatching(/mongodb\.server\.test\.ts:\d+$/),
      observed: { roundTrip: { unit: 'ms' }, connections: { unit: 'count' }, topology: { value: 'Single' } },
    })
    expect(server.asked).toContain('shop.find')
    expect(probes).toHaveLength(1)
  })

  test('that names its database only in code is asked in that one', async () => {
    await begin()
    const it = client('')
    it.db('admin')
    await it.db('orders').command({ ping: 1 })
    it.db('audit')
    await until('pass')
    expect(new Set(server.asked)).toEqual(new Set(['orders.ping', 'orders.find']))
  })

  test('whose server swallows every byte fails at the deadline, with one command at most on its way', async () => {
    await begin()
    const it = client()
    await it.connect()
    await until('pass')
    server.freeze('find')
    await until('fail', 'timeout')
    await health.nextRound('mongodb')
    // Two of monitors, and for the pool: what was asked, and what takes the place of one that was given up.
    expect(server.connections()).toBeLessThanOrEqual(4)
    server.thaw()
    await until('pass')
    await pollUntil(async () => server.connections() <= 3, { timeoutMs: 10_000, what: 'no connection to be left' })
  })

  test.runIf(tells)('whose server is gone says how it is refused, and is well when it is back', async () => {
    await begin()
    const it = client('/shop?replicaSet=rs0')
    server.role = 'primary'
    await it.connect()
    await until('pass')
    await server.stop()
    expect(await until('fail', 'ECONNREFUSED')).toMatchObject({ cause: 'dependency' })
    await server.start()
    await until('pass')
  })

  test.runIf(tells).for<[string, (it: MongoDbStandIn) => unknown, string]>([
    ['that is gone', (it) => it.stop(), 'ECONNREFUSED'],
    ['that is no primary any more', (it) => (it.role = 'secondary'), 'no_primary'],
  ])('hears from its driver of a server %s, long before the next round', async ([, break_, code]) => {
    health = liveHealth({ intervalMs: 600_000, timeoutMs: 400 })
    await begin('primary')
    await client('/shop?replicaSet=rs0').connect()
    await until('pass')
    await break_(server)
    expect(await until('fail', code)).toMatchObject({ cause: 'dependency' })
    if (code === 'ECONNREFUSED') await server.start()
  })

  test.runIf(tells)('whose set has no primary fails; one that reads from others only warns', async () => {
    await begin('primary')
    const it = client('/shop?replicaSet=rs0')
    await it.connect()
    await until('pass')
    server.role = 'secondary'
    expect(await until('fail', 'no_primary')).toMatchObject({ cause: 'dependency' })
    health = liveHealth(QUICK)
    await client('/shop?replicaSet=rs0&readPreference=secondaryPreferred').connect()
    await until('warn', 'no_primary')
  })

  test.runIf(tells)(
    'directly to a member that steps down is read-only; one that was a secondary from the first, and is meant to be, is well',
    async () => {
      await begin('primary')
      await client('/shop?directConnection=true').connect()
      await until('pass')
      server.role = 'secondary'
      await until('fail', 'read_only')
      health = liveHealth(QUICK)
      await client('/shop?directConnection=true&readPreference=secondary').connect()
      expect(await until('pass')).toMatchObject({ observed: { role: { value: 'read_only' } } })
      await client('/shop?directConnection=true').connect()
      expect(await health.until('mongodb-2', (check) => check?.status === 'pass')).toBeDefined() // another one writes
    },
  )

  test('with a user who may not read is asked otherwise; one who may not any more is not well', async () => {
    await begin()
    server.refuse('find', { code: 13, codeName: 'Unauthorized', errmsg: 'not authorized on shop to execute command' })
    const it = client('reader:hush@/shop?authMechanism=PLAIN')
    await it.connect()
    await until('pass')
    expect(server.asked.slice(-1)).toEqual(['admin.ping'])

    health = liveHealth(QUICK)
    server.refuse('find', undefined)
    await client('writer:hush@/shop?authMechanism=PLAIN').connect()
    await until('pass')
    server.refuse('find', { code: 13, codeName: 'Unauthorized' })
    await until('fail', 'no_permission')
    server.refuse('find', { code: 10107, codeName: 'NotWritablePrimary' })
    await until('fail', 'no_primary')
  })

  test.runIf(tells)('that never said who it is, to a server that wants to know, is refused like the app', async () => {
    await begin()
    server.refuse('find', { code: 13, codeName: 'Unauthorized', errmsg: 'command find requires authentication' })
    await client().connect()
    expect(await until('fail', 'no_permission')).toMatchObject({ cause: 'dependency' })
  })

  test('with a wrong password says so, without a word of it', async () => {
    await begin()
    server.refuse('saslStart', { code: 18, codeName: 'AuthenticationFailed', errmsg: 'Authentication failed.' })
    const it = client('writer:hush@/shop?authMechanism=PLAIN', { serverSelectionTimeoutMS: 1000 })
    await expect(it.db('shop').command({ ping: 1 })).rejects.toThrow('Authentication failed.')
    const check = await until('fail', 'auth_failed')
    expect(JSON.stringify(check)).not.toMatch(/hush|writer|127\.0\.0\.1/)
  })

  test('whose pool has nothing left says so, and since when the app waits', async () => {
    await begin()
    server.freeze('aggregate')
    const it = client('/shop', { maxPoolSize: 1 })
    await it.connect()
    await until('pass')
    const busy = it.db().command({ aggregate: 1 })
    const check = await until('fail', 'pool_exhausted')
    expect(check).toMatchObject({ cause: 'self_recoverable', observed: { max: { value: 1 }, idle: { value: 0 } } })
    const waiting = it.db().command({ ping: 1 })
    if (tells) await health.until('mongodb', (state) => Number(state?.observed?.['oldestWaiter']?.value) >= 300)
    server.thaw()
    await Promise.all([busy, waiting])
    await until('pass')
    // What was given up in the queue has gone from there.
    await health.until('mongodb', (state) => state?.observed?.['waiting']?.value === 0)
  })

  test('that could not connect, and does not try again, is told as long as the app asks it for something', async () => {
    await begin()
    await server.stop()
    const it = client('/shop', { serverSelectionTimeoutMS: 600 })
    await expect(it.db().collection('orders').findOne({})).rejects.toThrow('ECONNREFUSED')
    const check = await until('fail', 'ECONNREFUSED')
    await server.start()
    await health.nextRound('mongodb')
    await expect(it.db().collection('orders').findOne({})).rejects.toThrow('Topology is closed')
    expect((await health.nextRound('mongodb'))?.status).toBe('fail')
    expect(check?.reason ?? (await until('fail', 'ECONNREFUSED'))?.reason).toMatch(/ECONNREFUSED/)
    expect(probes[0]!.isGone()).toBe(false)
    // The app makes another one in its place.
    await client('/shop').connect()
    expect(probes[0]!.isGone()).toBe(true)
    expect(probes).toHaveLength(2)
    await it.connect()
    expect(probes).toHaveLength(3)
  })

  test('that could not connect, and that the app goes on asking, is one that only a restart brings back', async () => {
    await begin()
    await server.stop()
    const it = client('/shop', { serverSelectionTimeoutMS: 300 })
    await expect(it.db().collection('orders').findOne({})).rejects.toThrow('ECONNREFUSED')
    await until('fail', 'ECONNREFUSED')
    for (let i = 0; i < 12; i++) expect(await health.nextRound('mongodb')).toMatchObject({ cause: 'dependency' })
    await server.start()
    expect(await health.until('mongodb', (check) => check?.cause === 'self_wedged')).toMatchObject({
      status: 'fail',
      code: 'ECONNREFUSED',
      reason: expect.stringMatching(/^a new client has been answered for \d+ ms/),
    })
    expect(server.asked).toContain('shop.find')
    await pollUntil(async () => server.connections() === 0, { what: 'nothing to be left of the new clients' })
    await it.connect()
    await until('pass')
  })

  test('whose server swallows everything is none that a restart would bring back', async () => {
    await begin()
    await client().connect()
    await until('pass')
    server.freeze()
    await until('fail', 'timeout')
    const frozenAt = performance.now()
    while (performance.now() - frozenAt < 3 * DEAD_MS) {
      const check = await health.nextRound('mongodb')
      expect(check).toMatchObject({ status: 'fail' })
      expect(check?.cause).not.toBe('self_wedged')
    }
  })

  test('that the app closes goes, and comes back with its next connect()', async () => {
    await begin()
    const it = client()
    await it.connect()
    await until('pass')
    await it.close()
    await health.until('mongodb', (check) => check === undefined)
    await it.connect()
    await until('pass')
    await it.connect()
    expect(probes).toHaveLength(2)
  })

  test('whose app got its answers needs no question, where the driver tells when', async () => {
    await begin()
    const it = client()
    await it.connect()
    await until('pass')
    const [probe] = probes
    const isSeen = async (): Promise<boolean> => {
      await it.db().command({ aggregate: 1 })
      return probe!.seesWell!() === tells
    }
    await pollUntil(isSeen, { timeoutMs: 10_000, what: 'an answer to count, where it can' })
    server.freeze()
    await expect.poll(() => probe!.seesWell!(), { timeout: 10_000 }).toBe(false)
  })

  probeConformance(`a client of mongodb ${version}`, {
    well: async () => {
      await begin()
      await client().connect()
      return probes[0]!
    },
    sick: async () => {
      await begin()
      server.refuse('find', { code: 18, errmsg: 'Authentication failed of writer at mongo.internal:27017' })
      await client().connect()
      return probes[0]!
    },
    silent: async () => {
      await begin()
      await client().connect()
      server.freeze()
      return probes[0]!
    },
    secrets: ['mongo.internal', '127.0.0.1', 'shop'],
  })
})

const USER = /^\w+:\w+@/
