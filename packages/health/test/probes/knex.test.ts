import { EventEmitter } from 'node:events'
import { beforeEach, expect, test } from 'vitest'
import type { ProbeResult } from '@afterspan/core/internal'
import { knexHook } from '../../src/probes/knex.ts'
import type { FoundProbe } from '../../src/registry.ts'
import { settled } from '../fake-time.ts'
import { probeConformance } from '../probe-conformance.ts'

type Reply = () => Promise<{ rows: readonly Record<string, unknown>[] }>
const WRITABLE: Reply = async () => ({ rows: [{ in_recovery: 'false', read_only: 'off' }] })
const SILENT: Reply = () => new Promise(() => {})

let now = 0
let found: FoundProbe[] = []
let reply: Reply = WRITABLE
let connects: () => Promise<void> = async () => {}
let dialled: Connection[] = []
/** The probe itself does not keep them. */
const kept: unknown[] = []

class Connection {
  isOpen = true
  readonly connection = { stream: { destroy: () => void (this.isOpen = false) } }
  query(): ReturnType<Reply> {
    return reply()
  }
  connect(): Promise<void> {
    dialled.push(this)
    return connects()
  }
  async end(): Promise<void> {
    this.isOpen = false
  }
  on(): void {}
}

/** As tarn's, as far as it is used. */
class Pool extends EventEmitter {
  destroyed = false
  readonly min = 0
  readonly max = 2
  readonly idleTimeoutMillis = 30_000
  readonly free: { resource: Connection }[] = []
  readonly used: { resource: Connection }[] = []
  readonly pending: { id: number; resolve(connection: Connection): void }[] = []
  #ids = 0
  acquire(): { promise: Promise<Connection>; abort(): void } {
    const id = ++this.#ids
    this.emit('acquireRequest', id)
    const { promise, resolve, reject } = Promise.withResolvers<Connection>()
    const one = this.free.pop()
    const take = (connection: Connection): void => {
      this.used.push({ resource: connection })
      this.emit('acquireSuccess', id, connection)
      resolve(connection)
    }
    if (one) take(one.resource)
    else this.pending.push({ id, resolve: take })
    const abort = (): void => {
      const at = this.pending.findIndex((each) => each.id === id)
      if (at < 0) return
      this.pending.splice(at, 1)
      this.emit('acquireFail', id)
      reject(new Error('aborted'))
    }
    return { promise, abort }
  }
  release(connection: Connection): void {
    this.emit('release', connection)
    this.used.splice(
      this.used.findIndex(({ resource }) => resource === connection),
      1,
    )
    const next = this.pending.shift()
    if (next) next.resolve(connection)
    else this.free.push({ resource: connection })
  }
  _destroy(connection: Connection): void {
    connection.isOpen = false
  }
  _tryAcquireOrCreate(): void {}
  numFree(): number {
    return this.free.length
  }
  numUsed(): number {
    return this.used.length
  }
}

class Client {
  readonly driverName: string
  readonly driver = { Client: Connection }
  readonly connectionSettings = { host: 'db.internal' }
  pool: Pool | undefined
  constructor(driverName = 'pg') {
    this.driverName = driverName
    this.initializePool()
  }
  initializePool(): void {
    this.pool = new Pool()
  }
}
const hook = knexHook(
  (probe) => found.push(probe),
  { monotonicMs: () => now },
  () => {},
)
hook.patch(Client, { version: '3.3.0', format: 'commonjs' })
hook.patch(Client, { version: '3.3.0', format: 'commonjs' })

beforeEach(() => {
  found = []
  dialled = []
  reply = WRITABLE
  connects = async () => {}
})

/** Of an app that has used one connection, and put it back. */
function used(): { pool: Pool; check(): Promise<ProbeResult>; late(): Promise<ProbeResult> } {
  const client = new Client()
  kept.push(client)
  const pool = client.pool!
  pool.free.push({ resource: new Connection() })
  void pool.acquire()
  pool.release(pool.used[0]!.resource)
  const probe = found.at(-1)!
  return {
    pool,
    check: () => probe.check(new AbortController().signal),
    async late() {
      const controller = new AbortController()
      const answer = probe.check(controller.signal)
      await settled()
      controller.abort()
      return answer
    },
  }
}

test('a pool of Knex is found, and one that was destroyed goes', () => {
  const client = new Client()
  kept.push(client)
  expect(found).toHaveLength(1)
  client.pool!.destroyed = true
  expect(found[0]!.isGone()).toBe(true)
})

test('of one with another driver it is told how long the app waits in it, and nothing is asked', async () => {
  const client = new Client('mysql2')
  kept.push(client)
  const pool = client.pool!
  const [probe] = found
  const check = (): Promise<ProbeResult> => probe!.check(new AbortController().signal)
  expect(probe).toMatchObject({ name: 'knex', component: 'knex' })
  expect(await check()).toMatchObject({ status: 'pass', observed: { max: { value: 2 } } })
  pool.free.push({ resource: new Connection() }, { resource: new Connection() })
  for (let i = 0; i < 3; i++) void pool.acquire()
  now += 1500
  expect(await check()).toMatchObject({
    status: 'fail',
    code: 'pool_exhausted',
    observed: { waiting: { value: 1 }, oldestWaiter: { value: 1500 }, longestHeld: { value: 1500 } },
  })
  pool.release(pool.used[0]!.resource)
  expect(await check()).toMatchObject({ status: 'pass', observed: { waiting: { value: 0 } } })
  client.pool!.destroyed = true
  expect(probe!.isGone()).toBe(true)
})

test('nothing is asked before the app has asked, nor where that would keep a connection that the pool lets go', async () => {
  const client = new Client()
  kept.push(client)
  const signal = new AbortController().signal
  expect(await found[0]!.check(signal)).toMatchObject({ status: 'warn', code: 'not_connected' })
  const { check, pool } = used()
  expect(await check()).toMatchObject({ status: 'pass', observed: { idle: { value: 1 }, max: { value: 2 } } })
  now += 20_000
  reply = SILENT
  expect(await check()).toMatchObject({ status: 'pass', observed: { checked: { value: 'status' } } })
  expect([pool.free.length, pool.used.length, dialled.length]).toEqual([1, 0, 0])
})

test('a connection that does not answer leaves the pool, and is not put back for Knex to complain of', async () => {
  const { pool, late } = used()
  reply = SILENT
  const [only] = pool.free
  expect(await late()).toMatchObject({ status: 'fail', code: 'timeout', cause: 'dependency' })
  expect([pool.free, pool.used, only!.resource.isOpen]).toEqual([[], [], false])
})

test('an exhausted pool says how long the app waits and holds, and the probe gives its place up', async () => {
  const { pool, late, check } = used()
  pool.free.push({ resource: new Connection() })
  void pool.acquire()
  void pool.acquire()
  void pool.acquire()
  now += 2500
  expect(await late()).toMatchObject({
    status: 'fail',
    code: 'pool_exhausted',
    cause: 'self_recoverable',
    observed: { waiting: { value: 1 }, oldestWaiter: { value: 2500 }, longestHeld: { value: 2500 } },
  })
  expect(pool.pending).toHaveLength(1)
  pool.release(pool.used[0]!.resource)
  pool.release(pool.used[0]!.resource)
  expect(await check()).toMatchObject({ status: 'pass', observed: { waiting: { value: 0 } } })
})

test('where the pool would have to dial, a connection beside it is asked: what tarn dials it waits for', async () => {
  const { pool, check, late } = used()
  pool.free.pop()
  expect(await check()).toMatchObject({ status: 'pass' })
  connects = () => new Promise(() => {})
  expect(await late()).toMatchObject({ status: 'fail', code: 'timeout' })
  connects = async () => {
    throw Object.assign(new Error('connect ECONNREFUSED 10.0.0.7:5432'), { code: 'ECONNREFUSED' })
  }
  expect(await check()).toMatchObject({ status: 'fail', code: 'ECONNREFUSED' })
  expect([pool.pending.length, dialled.map(({ isOpen }) => isOpen)]).toEqual([0, [false, false, false]])
})

test('a connection that the app left in a broken transaction is a warning, and does not go back', async () => {
  const { pool, check } = used()
  const { resource } = pool.free[0]!
  reply = async () => {
    throw Object.assign(new Error('current transaction is aborted'), { code: '25P02' })
  }
  expect(await check()).toMatchObject({ status: 'warn', code: '25P02', cause: 'self_recoverable' })
  expect(resource.isOpen).toBe(false)
})

probeConformance('knex', {
  well: () => (used(), found.at(-1)!),
  sick() {
    reply = async () => {
      throw Object.assign(new Error('database "shop" does not exist on db.internal'), { code: '3D000' })
    }
    used()
    return found.at(-1)!
  },
  silent() {
    reply = SILENT
    used()
    return found.at(-1)!
  },
  secrets: ['db.internal', 'shop'],
})
