import type { ProbeResult } from '@afterspan/core/internal'
import { beforeEach, expect, test } from 'vitest'
import { sequelizeHook } from '../../src/probes/sequelize.ts'
import type { FoundProbe } from '../../src/registry.ts'
import { settled } from '../fake-time.ts'
import { probeConformance } from '../probe-conformance.ts'

/** As sequelize-pool's, as far as it is used. */
class Pool {
  readonly maxSize = 2
  readonly #pending: ((connection: object | undefined) => void)[] = []
  readonly #used = new Set<object>()
  get available(): number {
    return 0
  }
  get size(): number {
    return this.#used.size
  }
  get waiting(): number {
    return this.#pending.length
  }
  acquire(): Promise<object> {
    const { promise, reject, resolve } = Promise.withResolvers<object>()
    this.#pending.push((connection) => {
      if (connection) resolve(connection)
      else reject(new Error('ResourceRequest timed out'))
    })
    if (this.#used.size < this.maxSize) this.#hand({})
    return promise
  }
  release(connection: object): void {
    this.#used.delete(connection)
    if (this.#pending.length > 0) this.#hand({})
  }
  destroy(connection: object): void {
    this.release(connection)
  }
  timeOut(): void {
    this.#pending.shift()?.(undefined)
  }
  #hand(connection: object): void {
    this.#used.add(connection)
    this.#pending.shift()?.(connection)
  }
}
class ConnectionManager {
  pool: Pool | { read: Pool; write: Pool } | undefined
  constructor(isReplicated = false) {
    this.initPools(isReplicated)
  }
  initPools(isReplicated: boolean): void {
    this.pool = isReplicated ? { read: new Pool(), write: new Pool() } : new Pool()
  }
  async getConnection(): Promise<object> {
    return (this.pool as Pool).acquire()
  }
}

let now = 0
let found: { readonly probe: FoundProbe; readonly madeAt: string | undefined }[] = []
/** The probe itself does not keep them. */
const kept: ConnectionManager[] = []
const hook = sequelizeHook(
  (probe, madeAt) => found.push({ probe, madeAt }),
  { monotonicMs: () => now },
  () => {},
)
for (let i = 0; i < 2; i++) hook.patch(ConnectionManager, { version: '6.37.8', format: 'commonjs' })
beforeEach(() => {
  found = []
})

function made(isReplicated = false): ConnectionManager {
  const manager = new ConnectionManager(isReplicated)
  kept.push(manager)
  return manager
}
const check = (): Promise<ProbeResult> => found[0]!.probe.check(new AbortController().signal)

/** Both connections are in use, and one more is wanted. */
async function full(): Promise<{
  readonly pool: Pool
  readonly taken: readonly object[]
  readonly waiting: Promise<unknown>
}> {
  const pool = made().pool as Pool
  const taken = [await pool.acquire(), await pool.acquire()]
  const waiting = pool.acquire().catch((error: unknown) => error)
  await settled()
  return { pool, taken, waiting }
}

test('a pool is found as Sequelize makes it, where it does, and goes when it is closed; with replication there are two', () => {
  const manager = made()
  expect(found).toMatchObject([
    { madeAt: expect.stringMatching(/sequelize\.test\.ts:\d+$/), probe: { name: 'sequelize' } },
  ])
  expect(found[0]!.probe.isGone()).toBe(false)
  manager.getConnection = async () => {
    throw new Error('closed')
  }
  expect(found[0]!.probe.isGone()).toBe(true)
  made(true)
  expect(found).toHaveLength(3)
})

test('a pool in use is well; one for which the app waits long is a warning, then exhausted, with who holds what', async () => {
  const { pool, taken, waiting } = await full()
  expect(await check()).toMatchObject({
    status: 'pass',
    observed: { connections: { value: 2 }, waiting: { value: 1 } },
  })
  now += 1000
  expect(await check()).toMatchObject({ status: 'warn', code: 'pool_saturated' })
  now += 500
  expect(await check()).toMatchObject({
    status: 'fail',
    code: 'pool_exhausted',
    cause: 'self_recoverable',
    observed: {
      oldestWaiter: { value: 1500 },
      longestHeld: { value: 1500 },
      heldAt: { value: expect.stringMatching(/sequelize\.test\.ts:\d+$/) },
    },
  })
  pool.release(taken[0]!)
  await waiting
  expect(await check()).toMatchObject({ status: 'pass', observed: { waiting: { value: 0 } } })
})

test('who gives up waiting frees nothing: the pool stays exhausted until a connection comes back', async () => {
  const { pool, taken, waiting } = await full()
  now += 1500
  expect(await check()).toMatchObject({ status: 'fail', code: 'pool_exhausted' })
  pool.timeOut()
  await waiting
  now += 60_000
  expect(await check()).toMatchObject({ status: 'fail', code: 'pool_exhausted', observed: { waiting: { value: 0 } } })
  pool.destroy(taken[0]!)
  expect(await check()).toMatchObject({ status: 'pass' })
})

probeConformance('a pool of Sequelize', {
  well: () => {
    made()
    return found.at(-1)!.probe
  },
  sick: async () => {
    await full()
    now += 1500
    return found.at(-1)!.probe
  },
})
