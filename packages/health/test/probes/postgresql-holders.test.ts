import { EventEmitter } from 'node:events'
import { beforeEach, describe, expect, test } from 'vitest'
import { postgresqlHook } from '../../src/probes/postgresql.ts'
import { PoolHolders } from '../../src/probes/postgresql-holders.ts'
import type { PgPool } from '../../src/probes/postgresql-pooled-client.ts'
import type { FoundProbe } from '../../src/registry.ts'
import { fakeTime } from '../fake-time.ts'

type Row = Record<string, unknown>
type Callback = (error: unknown, client?: Client, release?: (destroy?: boolean) => void) => void

class Client extends EventEmitter {
  readonly asked: string[] = []
  answer: (text: string) => Row | Error = () => ({ in_recovery: 'false', read_only: 'off', used: 3, usable: 97 })
  async query(text: string): Promise<{ rows: Row[] }> {
    this.asked.push(text)
    const answer = this.answer(text)
    if (answer instanceof Error) throw answer
    return { rows: [answer] }
  }
}

/** A pool with `free` clients, of which connect() gives one with or without a callback, as pg-pool's does. */
class Pool extends EventEmitter {
  free: Client[]
  readonly queue: Callback[] = []
  readonly options: { readonly max: number }
  constructor({ max = 2 } = {}) {
    super()
    this.options = { max }
    this.free = Array.from({ length: max }, () => new Client())
  }
  get totalCount(): number {
    return this.options.max
  }
  get idleCount(): number {
    return this.free.length
  }
  get waitingCount(): number {
    return this.queue.length
  }
  connect(callback?: Callback): unknown {
    if (!callback)
      return new Promise((resolve, reject) => {
        Pool.prototype.connect.call(this, (error, client) => (error ? reject(error as Error) : resolve(client)))
      })
    this.queue.push(callback)
    this.serve()
    return undefined
  }
  serve(): void {
    if (this.free.length === 0) return
    const callback = this.queue.shift()
    const client = callback && this.free.shift()
    if (client) callback(undefined, client, (destroy) => this.giveBack(client, destroy))
  }
  giveBack(client: Client, destroy = false): void {
    this.free.push(client)
    this.emit('release', destroy, client)
    this.serve()
  }
}

const time = fakeTime()
const watched = (pool: Pool): PoolHolders => new PoolHolders(pool as never as PgPool, () => time.clock.monotonicMs())

describe('who waits, and who holds', () => {
  test('the oldest waiter is as old as its wish, not as our looking', async () => {
    const pool = new Pool({ max: 1 })
    const holders = watched(pool)
    const first = (await pool.connect()) as Client
    const second = pool.connect() as Promise<Client>
    await time.advance(2000)
    expect(holders.tickets.oldestWaiterMs()).toBe(2000)
    pool.giveBack(first)
    pool.giveBack(await second)
    expect([holders.tickets.oldestWaiterMs(), holders.longestHeld()]).toEqual([0, undefined])
  })

  test('the longest held client is told with the place that took it, where the pool was tight', async () => {
    const pool = new Pool({ max: 4 })
    const holders = watched(pool)
    const plenty = (await pool.connect()) as Client
    await time.advance(500)
    expect(holders.longestHeld()).toEqual({ ms: 500 })
    await pool.connect()
    await time.advance(100)
    pool.giveBack(plenty)
    expect(holders.longestHeld()).toEqual({
      ms: 100,
      at: expect.stringMatching(/postgresql-holders\.test\.ts:\d+$/),
    })
  })

  test('a pool that is merely busy pays for few places', async () => {
    const pool = new Pool({ max: 1 })
    const holders = watched(pool)
    const places: boolean[] = []
    for (let i = 0; i < 50; i++) {
      const client = (await pool.connect()) as Client
      places.push(holders.longestHeld()?.at !== undefined)
      pool.giveBack(client)
    }
    expect(places.filter(Boolean)).toHaveLength(20)
    await time.advance(1000)
    await pool.connect()
    expect(holders.longestHeld()?.at).toBeDefined()
  })

  test('what the probe itself asks for is neither', () => {
    const pool = new Pool({ max: 1 })
    const holders = watched(pool)
    holders.tickets.unwatched(() => pool.connect(() => {}))
    expect([holders.tickets.oldestWaiterMs(), holders.longestHeld()]).toEqual([0, undefined])
  })

  test('a connect that fails fails for the app as ever, and waits no longer', async () => {
    class Broken extends Pool {
      override connect(callback?: Callback): unknown {
        callback?.(new Error('no'))
        return callback ? undefined : Promise.reject(new Error('no'))
      }
    }
    const pool = new Broken()
    const holders = watched(pool)
    await expect(pool.connect()).rejects.toThrow('no')
    pool.connect((error) => expect(error).toEqual(new Error('no')))
    await time.advance(1000)
    expect([holders.tickets.oldestWaiterMs(), holders.longestHeld()]).toEqual([0, undefined])
  })
})

describe('what is asked', () => {
  let found: FoundProbe[]
  beforeEach(() => {
    found = []
  })
  function probed(statement = ''): Client {
    const hook = postgresqlHook(
      (probe) => found.push(probe),
      time.clock,
      () => {},
      { deadMs: 60_000, timeoutMs: 1000, statement },
    )
    class Own extends Pool {}
    const made = new (hook.patch(Own, { version: '3.14.0', format: 'commonjs' }) as typeof Pool)({ max: 1 })
    kept.push(made)
    return made.free[0]!
  }
  const kept: unknown[] = []
  const check = () => found[0]!.check(new AbortController().signal)

  test('a statement of the app’s own is run in a transaction that is rolled back, with bounds of the server’s', async () => {
    const client = probed('insert into health values (1); ')
    expect(await check()).toMatchObject({ status: 'pass' })
    expect(client.asked[1]).toBe(
      'begin; set local lock_timeout = 700; set local statement_timeout = 900; insert into health values (1); rollback',
    )
    client.answer = (text) =>
      text.startsWith('begin') ? Object.assign(new Error('no'), { code: '53100' }) : { in_recovery: 'false' }
    expect(await check()).toMatchObject({ status: 'fail', code: '53100' })
  })

  test('the slots of the server are asked every ten seconds, and warn before they are gone', async () => {
    const client = probed()
    client.answer = () => ({ in_recovery: 'false', read_only: 'off', used: 95, usable: 97 })
    expect(await check()).toMatchObject({ status: 'warn', code: 'slots_near_limit' })
    expect(await check()).toMatchObject({ observed: { slotsUsed: { value: 95 }, slotsUsable: { value: 97 } } })
    await time.advance(10_000)
    await check()
    expect(client.asked.filter((text) => text.includes('max_connections'))).toHaveLength(2)
  })

  test('a server that does not tell its slots is not asked again', async () => {
    const client = probed()
    client.answer = (text) => (text.includes('max_connections') ? new Error('no') : { in_recovery: 'false' })
    expect(await check()).toMatchObject({ status: 'pass' })
    await time.advance(60_000)
    await check()
    expect(client.asked.filter((text) => text.includes('max_connections'))).toHaveLength(1)
  })
})
