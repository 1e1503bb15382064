import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { createRequire } from 'node:module'
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import { pollUntil, service, sharedService, type ServerOf } from '@afterspan/testing'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import type pg from 'pg'
import { postgresqlHook } from '../../src/probes/postgresql.ts'
import { liveHealth, type LiveHealth } from '../live-health.ts'

const here = createRequire(import.meta.url)
const { Client } = here('pg') as typeof pg
const RealPool = createRequire(here.resolve('pg'))('pg-pool') as object

/** How long a pool gives nothing until it is asked about at the server. */
const DEAD_MS = 1000
const QUICK = { intervalMs: 300, timeoutMs: 400 }
/** With the defaults a frozen server must be seen within this time: one interval, one deadline, and what a busy machine adds. */
const SEEN_WITHIN_MS = 2000 + 1500 + 1000

const shared = sharedService('postgres')
let server: ServerOf['postgres']
let health: LiveHealth
let pools: pg.Pool[]
let Pool: new (options: pg.PoolConfig, client: typeof Client) => pg.Pool

beforeEach((context) => {
  server = shared(context)
  pools = []
  startHealth(QUICK)
})
afterEach(async () => {
  await Promise.all(pools.map((pool) => pool.end()))
})

/** The hook and the engine anew: what was found before is not known to them. */
function startHealth(settings: { readonly intervalMs?: number; readonly timeoutMs?: number }, statement = ''): void {
  health = liveHealth(settings)
  const { registry } = health
  const hook = postgresqlHook(
    (probe, madeAt) => registry.register(probe, madeAt),
    { monotonicMs: () => performance.now() },
    () => {},
    { deadMs: DEAD_MS, timeoutMs: settings.timeoutMs ?? 1500, statement },
  )
  Pool = hook.patch(RealPool, { version: '3.14.0', format: 'commonjs' }) as typeof Pool
}

function pool(options: pg.PoolConfig = {}): pg.Pool {
  const { host, port, user, database } = server
  const made = new Pool({ host, port, user, database, max: 3, ...options }, Client)
  pools.push(made)
  return made
}

const passes = (check: { status?: string } | undefined): boolean => check?.status === 'pass'
const fails = (check: { status?: string } | undefined): boolean => check?.status === 'fail'

test('a pool that was never used is asked through a client of its own, which goes back', async () => {
  const app = pool()
  expect(await health.until('postgresql', passes)).toMatchObject({
    madeAt: expect.stringMatching(/postgresql\.server\.test\.ts:\d+$/),
  })
  await health.nextRound('postgresql')
  await health.nextRound('postgresql')
  expect([app.totalCount, app.idleCount, app.waitingCount]).toEqual([1, 1, 0])
})

test('a frozen server is a timeout within seconds, and is well again soon after; no client is left over', async () => {
  startHealth({}) // as it is by default
  const app = pool()
  await Promise.all([app.query('select 1'), app.query('select 2'), app.query('select 3')])
  await health.until('postgresql', passes)
  await server.freeze()
  const frozenAt = performance.now()
  try {
    expect(await health.until('postgresql', fails)).toMatchObject({ code: 'timeout', cause: 'dependency' })
    expect(performance.now() - frozenAt).toBeLessThan(SEEN_WITHIN_MS)
    // Idle clients go first, one a round; then a connection that nobody answers is broken off each time.
    await health.until('postgresql', (check) => check?.observed?.['connections']?.value === 0, 20_000)
    await health.nextRound('postgresql')
    expect(app.totalCount).toBeLessThanOrEqual(1)
  } finally {
    await server.thaw()
  }
  const thawedAt = performance.now()
  await health.until('postgresql', passes)
  expect(performance.now() - thawedAt).toBeLessThan(5000)
  expect(await app.query('select 4 as n')).toMatchObject({ rows: [{ n: 4 }] })
  await health.nextRound('postgresql')
  expect([app.totalCount, app.idleCount, app.waitingCount]).toEqual([1, 1, 0])
}, 60_000)

test('an exhausted pool is told as such; who waits in it keeps his place and is served in order', async () => {
  const app = pool({ max: 2 })
  await health.until('postgresql', passes)
  const taken = [await app.connect(), await app.connect()]
  const served: number[] = []
  const waiting = [1, 2, 3].map(async (n) => {
    const client = await app.connect()
    served.push(n)
    client.release()
  })
  expect(await health.until('postgresql', fails)).toMatchObject({
    code: 'pool_exhausted',
    cause: 'self_recoverable',
    observed: {
      connections: { value: 2 },
      idle: { value: 0 },
      max: { value: 2 },
      heldAt: { value: expect.stringMatching(/postgresql\.server\.test\.ts:\d+$/) },
      longestHeld: { unit: 'ms' },
    },
  })
  await health.until('postgresql', (check) => Number(check?.observed?.['oldestWaiter']?.value) > 500)
  expect(app.waitingCount).toBeLessThanOrEqual(4) // the three, and at most one of the probe
  for (const client of taken) client.release()
  await Promise.all(waiting)
  expect(served).toEqual([1, 2, 3])
  await health.until('postgresql', passes)
  await health.nextRound('postgresql')
  expect([app.totalCount, app.idleCount, app.waitingCount]).toEqual([2, 2, 0])
}, 20_000)

test('a sentinel statement is told by its code, writes nothing, and leaves no backend that waits for a lock', async () => {
  const admin = pool()
  await admin.query('create table if not exists sentinel (at timestamptz)')
  startHealth(QUICK, 'insert into sentinel values (now());')
  pool({ application_name: 'probed' })
  await health.until('postgresql', passes)
  const locker = await admin.connect()
  try {
    await locker.query('begin; lock table sentinel in access exclusive mode')
    await health.until('postgresql', (check) => check?.code === '55P03')
    await health.nextRound('postgresql')
    await locker.query('rollback')
  } finally {
    locker.release(true)
  }
  await health.until('postgresql', passes)
  const { rows } = await admin.query(
    "select count(*)::int as n from pg_stat_activity where application_name = 'probed'",
  )
  expect(rows).toEqual([{ n: 1 }])
  expect((await admin.query('select * from sentinel')).rows).toEqual([])
  await admin.query('drop table sentinel')
  expect(await health.until('postgresql', fails)).toMatchObject({ code: '42P01' })
})

test('a pool whose clients were never given back is dead, once the server says that none of them works', async () => {
  const app = pool({ max: 2 })
  const taken = [await app.connect(), await app.connect()]
  const waiting = app.query('select 1')
  expect(await health.until('postgresql', (check) => check?.code === 'pool_dead')).toMatchObject({
    status: 'fail',
    cause: 'self_wedged',
    observed: { heldAt: { value: expect.stringMatching(/postgresql\.server\.test\.ts:\d+$/) } },
  })
  for (const client of taken) client.release()
  await waiting
  await health.until('postgresql', passes)
}, 20_000)

test('a pool that waits for a statement of its own is not dead', async () => {
  const app = pool({ max: 1 })
  const busy = app.query('select pg_sleep(6)')
  const waiting = app.query('select 1')
  await health.until('postgresql', (check) => check?.code === 'pool_exhausted')
  // Longer than it takes to find a dead one.
  const working = performance.now()
  while (performance.now() - working < 4500)
    expect(await health.nextRound('postgresql')).toMatchObject({ cause: 'self_recoverable' })
  await Promise.all([busy, waiting])
  await health.until('postgresql', passes)
}, 30_000)

test('a pool with a connection timeout of its own is judged alike', async () => {
  const app = pool({ max: 1, connectionTimeoutMillis: 300 })
  const client = await app.connect()
  expect(await health.until('postgresql', fails)).toMatchObject({ code: 'pool_exhausted' })
  expect(app.waitingCount).toBeLessThanOrEqual(1)
  client.release()
  await health.until('postgresql', passes)
})

test('a role that may only read is told', async () => {
  const admin = pool()
  await admin.query('drop role if exists reader')
  await admin.query('create role reader login')
  await admin.query('alter role reader set default_transaction_read_only = on')
  // Another registry: beside the writable pool of the administrator it would be a replica by design.
  startHealth(QUICK)
  pool({ user: 'reader' })
  expect(await health.until('postgresql', (check) => check?.status !== undefined)).toMatchObject({
    status: 'fail',
    code: 'read_only',
  })
})

test('a database that is not there is told by its code, its name is not', async () => {
  pool({ database: 'nowhere_prod' })
  const check = await health.until('postgresql', fails)
  expect(check).toMatchObject({ code: '3D000' })
  expect(JSON.stringify(check)).not.toContain('nowhere')
})

test('an ended pool is no longer a check', async () => {
  const app = pool()
  await health.until('postgresql', passes)
  await app.end()
  pools = []
  expect(await health.until('postgresql', (check) => check === undefined)).toBeUndefined()
})

test('a pool that was dropped is collected, and its check goes', async () => {
  setFlagsFromString('--expose-gc')
  const collect = runInNewContext('gc') as () => void
  const gone = new WeakRef(pool({ idleTimeoutMillis: 1 }))
  pools = []
  await health.until('postgresql', passes)
  await pollUntil(() => (collect(), gone.deref() === undefined), { intervalMs: 100, what: 'the pool is collected' })
  expect(await health.until('postgresql', (check) => check === undefined)).toBeUndefined()
}, 15_000)

describe('with a server of its own', () => {
  test('a server that is killed is told, the app lives on without a listener, and a new one is found', async () => {
    const first = (await service('postgres')) as ServerOf['postgres']
    const { host, port, user, database } = first
    const app = new Pool({ host, port, user, database }, Client)
    await health.until('postgresql', passes)
    await first.stop()
    // The connection that only the probe had is closed by the server: without a listener that would end the process.
    const down = await health.until('postgresql', fails)
    expect(['ECONNREFUSED', '57P01', 'connection_lost']).toContain(down?.code)
    await health.until('postgresql', (check) => check?.code === 'ECONNREFUSED')
    const second = (await service('postgres', { port })) as ServerOf['postgres']
    try {
      await health.until('postgresql', passes)
      expect([app.totalCount, app.waitingCount]).toEqual([1, 0])
    } finally {
      await app.end()
      await second.stop()
    }
  }, 60_000)
})

test('a script that forgot to end its pool still leaves by itself', async () => {
  const { host, port, user, database } = server
  const fixture = new URL('../fixtures/forgotten-pool.mjs', import.meta.url)
  const sources = new URL('../fixtures/ts-is-esm.mjs', import.meta.url)
  const child = spawn(process.execPath, ['--import', sources.pathname, fixture.pathname], {
    env: { ...process.env, POOL: JSON.stringify({ host, port, user, database, idleTimeoutMillis: 1000 }) },
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  let said = ''
  child.stdout.on('data', (chunk: Buffer) => (said += chunk.toString()))
  const deadline = setTimeout(() => child.kill('SIGKILL'), 15_000)
  const [code] = (await once(child, 'close')) as [number | null]
  clearTimeout(deadline)
  expect({ code, said }).toEqual({ code: 0, said: expect.stringMatching(/^asked by the app\n(?:pass\n){2,}$/) })
}, 20_000)
