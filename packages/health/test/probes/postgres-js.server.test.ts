import { createRequire } from 'node:module'
import { join } from 'node:path'
import { repositoryRoot, sharedService, type ServerOf } from '@afterspan/testing'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { postgresJsHook } from '../../src/probes/postgres-js.ts'
import { liveHealth, type LiveHealth } from '../live-health.ts'

interface Sql {
  (strings: TemplateStringsArray): Promise<readonly Record<string, unknown>[]>
  begin(work: (sql: Sql) => Promise<unknown>): Promise<unknown>
  end(given: { readonly timeout: number }): Promise<void>
  unsafe(text: string): Promise<readonly Record<string, unknown>[]>
}
// Of the black-box tests.
const real = createRequire(join(repositoryRoot(), 'test/package.json'))('postgres') as object
const QUICK = { intervalMs: 300, timeoutMs: 400 }

const shared = sharedService('postgres')
let server: ServerOf['postgres']
let health: LiveHealth
let made: Sql[]
let postgres: (url: string, options: object) => Sql

beforeEach((context) => {
  server = shared(context)
  made = []
  start()
})
afterEach(async () => {
  await Promise.all(made.map((sql) => sql.end({ timeout: 0 })))
})

function start(): void {
  health = liveHealth(QUICK)
  const { registry } = health
  const hook = postgresJsHook(
    (probe, madeAt) => registry.register(probe, madeAt),
    { monotonicMs: () => performance.now() },
    () => {},
  )
  postgres = hook.patch(real, { version: '3.4.9', format: 'commonjs' }) as typeof postgres
}
function pool(options: object = {}): Sql {
  const sql = postgres(server.url, { max: 2, onnotice: () => {}, ...options })
  made.push(sql)
  return sql
}

type Check = { status?: string; code?: string } | undefined
const passes = (check: Check): boolean => check?.status === 'pass'
const coded =
  (code: string) =>
  (check: Check): boolean =>
    check?.code === code

test('a pool is asked once the app has asked it, through its own connections', async () => {
  // Of one connection: postgres.js makes a second one where a question meets the app's first statement.
  const sql = pool({ connection: { application_name: 'js' }, max: 1 })
  expect(await health.until('postgresql', coded('not_connected'))).toMatchObject({
    status: 'warn',
    madeAt: expect.stringMatching(/postgres-js\.server\.test\.ts:\d+$/),
  })
  const backends = "select count(*)::int as n from pg_stat_activity where application_name = 'js'"
  expect(await pool().unsafe(backends)).toEqual([{ n: 0 }])
  await sql`select 1`
  await health.until('postgresql', passes)
  await health.nextRound('postgresql')
  expect(await sql.unsafe(backends)).toEqual([{ n: 1 }])
})

test('a frozen server is a timeout, is asked once, and is well again soon after', async () => {
  const sql = pool()
  await sql`select 1`
  await health.until('postgresql', passes)
  await server.freeze()
  try {
    await health.until('postgresql', coded('timeout'))
    await health.nextRound('postgresql')
    await health.nextRound('postgresql')
  } finally {
    await server.thaw()
  }
  await health.until('postgresql', passes)
  expect(await sql`select 2 as n`).toMatchObject([{ n: 2 }])
})

test('a pool whose connections are all in transactions is exhausted, and who waits in it is served in order', async () => {
  const sql = pool()
  await sql`select 1`
  await health.until('postgresql', passes)
  let free = (): void => {}
  const held = new Promise<void>((resolve) => (free = resolve))
  const transactions = [1, 2].map(() => sql.begin(() => held))
  expect(await health.until('postgresql', coded('pool_exhausted'))).toMatchObject({
    cause: 'self_recoverable',
    observed: { transactions: { value: 2 }, max: { value: 2 } },
  })
  const order: number[] = []
  const waiting = [1, 2, 3].map((n) => sql`select 1`.then(() => order.push(n)))
  await health.nextRound('postgresql')
  free()
  await Promise.all([...transactions, ...waiting])
  expect(order).toEqual([1, 2, 3])
  await health.until('postgresql', passes)
})

test('a server that refuses writes is told, a database that is not there by its code alone', async () => {
  const sql = pool({ connection: { default_transaction_read_only: 'on' } })
  await sql`select 1`
  await health.until('postgresql', coded('read_only'))
  start()
  const other = postgres(server.url.replace(/\/[^/]*$/, '/nowhere_prod'), { max: 1 })
  made.push(other)
  await expect(other`select 1`).rejects.toThrow('nowhere_prod')
  const check = await health.until('postgresql', coded('3D000'))
  expect(JSON.stringify(check)).not.toContain('nowhere')
})

test('a pool that closes its idle connections is let do so, and an ended one is no check', async () => {
  const sql = pool({ idle_timeout: 1, connection: { application_name: 'idle' } })
  await sql`select 1`
  await health.until('postgresql', passes)
  await health.until('postgresql', (check) => check?.observed?.['checked']?.value === 'status')
  const admin = pool()
  const backends = "select count(*)::int as n from pg_stat_activity where application_name = 'idle'"
  await expect.poll(() => admin.unsafe(backends), { timeout: 10_000 }).toEqual([{ n: 0 }])
  await sql.end({ timeout: 0 })
  await health.until('postgresql', (check) => check === undefined)
})

test('a connection that the probe alone has wanted does not end the process where the library’s own question on it is refused', async () => {
  const unhandled: unknown[] = []
  const hear = (error: unknown): void => void unhandled.push(error)
  const admin = (real as unknown as typeof postgres)(server.url, { max: 1, onnotice: () => {} })
  made.push(admin)
  const backends = "select pid from pg_stat_activity where usename = 'typeless'"
  await admin.unsafe('create role typeless login')
  const sql = postgres(server.url.replace('postgres@', 'typeless@'), { max: 1 })
  try {
    await sql`select 1`
    await health.until('postgresql', passes)
    const [first] = await admin.unsafe(backends)
    process.on('unhandledRejection', hear)
    // What the library reads on each new connection, and asks without anybody who hears of its failure.
    await admin.unsafe('revoke select on pg_catalog.pg_type from public')
    await admin.unsafe(`select pg_terminate_backend(${String(first!['pid'])})`)
    const another = async (): Promise<boolean> =>
      (await admin.unsafe(backends)).some(({ pid }) => pid !== first!['pid'])
    await expect.poll(another, { timeout: 10_000 }).toBe(true)
    await health.nextRound('postgresql')
    await health.until('postgresql', passes)
    expect(unhandled).toEqual([])
  } finally {
    await sql.end({ timeout: 0 })
    await admin.unsafe('grant select on pg_catalog.pg_type to public')
    await admin.unsafe('drop role typeless')
    process.off('unhandledRejection', hear)
  }
})
