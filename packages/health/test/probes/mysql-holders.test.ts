import { expect, test } from 'vitest'
import { experiment, MysqlHolders } from '../../src/probes/mysql-holders.ts'
import type { Asked, Done, MysqlConnection, MysqlPool } from '../../src/probes/mysql-pool.ts'

let now = 0

class FakeConnection implements MysqlConnection {
  readonly threadId: number | null
  _command: unknown = undefined
  readonly _commands = { length: 0 }
  constructor(threadId: number | null = null) {
    this.threadId = threadId
  }
  query(): void {}
  release(): void {}
  destroy(): void {}
}
function queueOf(all: readonly unknown[]) {
  return {
    get length() {
      return all.length
    },
    get: (index: number) => all[index],
  }
}
class FakePool implements MysqlPool {
  readonly all: FakeConnection[] = []
  readonly free: FakeConnection[] = []
  readonly _allConnections = queueOf(this.all)
  readonly _freeConnections = queueOf(this.free)
  readonly config = { connectionLimit: 4, connectionConfig: { host: 'db.internal' } }
  onRelease = (): void => {}
  readonly holders = new MysqlHolders(this, () => now, 60_000)
  on(_event: 'release', listener: () => void): void {
    this.onRelease = listener
  }
  getConnection(done: Done): void {
    this.wishes.push(this.holders.asks(done, this.getConnection))
  }
  readonly wishes: Done[] = []
  handOut(): FakeConnection {
    const connection = this.free.pop() ?? new FakeConnection(this.all.length + 1)
    if (!this.all.includes(connection)) this.all.push(connection)
    this.wishes.shift()!(null, connection)
    return connection
  }
}

test('who waits is known until it has a connection or none, and the one who holds one longest by where it took it', () => {
  const pool = new FakePool()
  const { holders } = pool
  pool.getConnection(() => {})
  now += 500
  expect([holders.tickets.oldestWaiterMs(), holders.longestHeld()]).toEqual([500, undefined])
  const first = pool.handOut()
  now += 100
  // the place is noted only where half of the pool is in use
  expect([holders.tickets.oldestWaiterMs(), holders.longestHeld()]).toEqual([0, { ms: 100 }])
  pool.getConnection(() => {})
  const second = pool.handOut()
  now += 100
  pool.free.push(first)
  pool.onRelease()
  expect(holders.tickets.stillMs).toBe(0)
  expect(holders.longestHeld()).toEqual({ ms: 100, at: expect.stringMatching(/mysql-holders\.test\.ts:\d+$/) })
  pool.all.splice(pool.all.indexOf(second), 1)
  expect(holders.longestHeld()).toBeUndefined()
  pool.getConnection(() => {})
  pool.wishes.shift()!(new Error('Pool is closed.'))
  expect([holders.tickets.oldestWaiterMs(), holders.longestHeld()]).toEqual([0, undefined])
})

test('what the probe itself asks is neither waiting nor holding', () => {
  const { holders } = new FakePool()
  const done: Done = () => {}
  expect(holders.tickets.unwatched(() => holders.asks(done, done))).toBe(done)
  expect(holders.tickets.oldestWaiterMs()).toBe(0)
})

const made: Control[] = []
class Control extends FakeConnection {
  static rows: readonly object[] | Error = []
  isDestroyed = false
  readonly config: { readonly host?: string; readonly pool?: unknown }
  constructor({ config }: { config: unknown }) {
    super(900)
    this.config = config as Control['config']
    made.push(this)
  }
  on(): void {}
  override query(_sql?: Asked, done?: (error: unknown, rows?: unknown) => void): void {
    queueMicrotask(() => (Control.rows instanceof Error ? done!(Control.rows) : done!(null, Control.rows)))
  }
  override destroy(): void {
    this.isDestroyed = true
  }
}

test.for([
  ['nothing of what is held does anything', { held: 1, active: [] }, true],
  ['a statement of one that is held runs', { held: 1, active: [1] }, false],
  ['none is held, and none comes', { held: 0, active: [] }, true],
] as const)('a pool of which %s: a restart would help is %s', async ([, { held, active }, expected]) => {
  const pool = new FakePool()
  for (let i = 0; i < held; i++) {
    pool.getConnection(() => {})
    pool.handOut()._command = {}
  }
  Control.rows = [900, ...active].map((id) => ({ id, own: 900 }))
  expect(await experiment(pool, () => Control)).toBe(expected)
  expect(made.at(-1)).toMatchObject({ isDestroyed: true, config: { host: 'db.internal', pool: undefined } })
})

test('a server that takes no other connection is the trouble itself', async () => {
  Control.rows = new Error('Too many connections')
  await expect(experiment(new FakePool(), () => Control)).rejects.toThrow('Too many connections')
  expect(made.at(-1)!.isDestroyed).toBe(true)
  expect(await experiment(new FakePool(), () => undefined)).toBe(false)
})
