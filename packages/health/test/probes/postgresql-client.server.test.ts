import { createRequire } from 'node:module'
import { faultyProxy, pollUntil, sharedService, type ServerOf } from '@afterspan/testing'
import { afterEach, beforeEach, expect, test } from 'vitest'
import type pg from 'pg'
import { postgresqlClientHook } from '../../src/probes/postgresql-client.ts'
import { liveHealth, type LiveHealth } from '../live-health.ts'

const { Client } = createRequire(import.meta.url)('pg') as typeof pg
const QUICK = { intervalMs: 200, timeoutMs: 300 }
const DEAD_MS = 1200

const shared = sharedService('postgres')
let server: ServerOf['postgres']
let health: LiveHealth
let made: pg.Client[]

// Once for this file: the hook changes the prototype, and what it finds goes to the engine of the test that runs.
postgresqlClientHook(
  (probe, madeAt) => health.registry.register(probe, madeAt),
  { monotonicMs: () => performance.now() },
  () => {},
  DEAD_MS,
).patch({ Client }, { version: '8.23.1', format: 'commonjs' })

beforeEach((context) => {
  server = shared(context)
  made = []
  health = liveHealth(QUICK)
})
afterEach(async () => {
  for (const client of made)
    (client as unknown as { connection: { stream: { destroy(): void } } }).connection.stream.destroy()
})

type Is = Parameters<LiveHealth['until']>[1]
const passes: Is = (check) => check?.status === 'pass'
const isWedged: Is = (check) => check?.cause === 'self_wedged'

/** Each test its own: clients of one server, database and user are one check. */
async function client(application_name: string, port = server.port): Promise<pg.Client> {
  const { host, user, database } = server
  const one = new Client({ host, port, user, database, application_name })
  one.on('error', () => {})
  made.push(one)
  await one.connect()
  return one
}

function countOf(admin: pg.Client, name: string): Promise<number> {
  const text = 'select count(*)::int as n from pg_stat_activity where application_name = $1'
  return admin.query(text, [name]).then(({ rows }) => (rows as { n: number }[])[0]!.n)
}

test('a client that is lost is one that only a restart brings back, once the app has missed it and a new one has worked for as long', async () => {
  const proxy = await faultyProxy(server)
  try {
    const app = await client('lost', proxy.port)
    await health.until('postgresql', passes)
    await proxy.set('refuse')
    await health.until('postgresql', (check) => check?.code === 'connection_lost')
    await proxy.set('none')
    // Nobody has wanted anything of it.
    for (let i = 0; i < 12; i++) expect(await health.nextRound('postgresql')).toMatchObject({ cause: 'dependency' })
    await expect(app.query('select 1')).rejects.toThrow('not queryable')
    expect(await health.until('postgresql', isWedged, 20_000)).toMatchObject({
      status: 'fail',
      code: 'connection_lost',
      reason: expect.stringMatching(/^a new client has been answered for \d+ ms/),
    })
    await pollUntil(() => proxy.connections === 0, { what: 'nothing to be left of the new clients' })
    await client('lost', proxy.port)
    expect(await health.until('postgresql', passes)).toMatchObject({ observed: { open: { value: 1 } } })
  } finally {
    await proxy.stop()
  }
}, 60_000)

test('a server that is gone is no reason for a restart, however long the app asks for it', async () => {
  const proxy = await faultyProxy(server)
  try {
    const app = await client('gone', proxy.port)
    await health.until('postgresql', passes)
    await proxy.set('refuse')
    await health.until('postgresql', (check) => check?.code === 'connection_lost')
    await expect(app.query('select 1')).rejects.toThrow('not queryable')
    const goneAt = performance.now()
    while (performance.now() - goneAt < 3 * DEAD_MS)
      expect(await health.nextRound('postgresql')).toMatchObject({ status: 'fail', cause: 'dependency' })
  } finally {
    await proxy.stop()
  }
}, 60_000)

test('a client whose link swallows for ever is one that only a restart brings back; one that works at a statement is not', async () => {
  const admin = await client('admin')
  const proxy = await faultyProxy(server)
  health = liveHealth(QUICK)
  try {
    const app = await client('swallowed', proxy.port)
    await health.until('postgresql', passes)
    const slow = app.query('select pg_sleep(6)')
    const behind = app.query('select 1')
    await health.until('postgresql', (check) => check?.code === 'timeout')
    const slowAt = performance.now()
    while (performance.now() - slowAt < 2 * DEAD_MS) {
      expect(await health.nextRound('postgresql')).toMatchObject({ cause: 'dependency' })
    }
    await Promise.all([slow, behind])
    await health.until('postgresql', passes)

    await proxy.set('swallow')
    await health.until('postgresql', (check) => check?.code === 'timeout')
    // New connections get through; the old one stays dead.
    await proxy.set('none')
    void app.query('select 1').catch(() => {})
    expect(await health.until('postgresql', isWedged, 20_000)).toMatchObject({ status: 'fail', code: 'timeout' })
    expect(await countOf(admin, 'swallowed')).toBeLessThanOrEqual(2)
    await pollUntil(() => proxy.connections === 1, { what: 'nothing to be left of the new clients' })
    const other = await client('swallowed', proxy.port)
    const warned = await health.until('postgresql', (check) => check?.status === 'warn')
    expect(warned).toMatchObject({ code: 'connection_lost', cause: 'self_recoverable' })
    await app.end()
    expect(await health.until('postgresql', passes)).toBeDefined()
    await other.end()
  } finally {
    await proxy.stop()
  }
}, 60_000)

test('a client that is at the only statement of the app is asked about beside it: a report is well, an answer that was lost is not', async () => {
  const proxy = await faultyProxy(server)
  try {
    const app = await client('beside', proxy.port)
    await health.until('postgresql', passes)
    const report = app.query('select pg_sleep(4)')
    const seen = await health.until('postgresql', (check) => check?.observed?.['checked']?.value === 'beside')
    expect(seen).toMatchObject({ status: 'pass' })
    await report
    await health.until('postgresql', (check) => check?.observed?.['checked'] === undefined)

    void app.query('select pg_sleep(1)').catch(() => {})
    await proxy.set('swallow')
    expect(await health.until('postgresql', (check) => check?.status === 'fail', 20_000)).toMatchObject({
      code: 'timeout',
      cause: 'dependency',
    })
    // The server is there again; what it had answered is lost.
    await proxy.set('none')
    const lost = await health.until('postgresql', (check) => check?.code === 'connection_lost', 20_000)
    expect(lost).toMatchObject({ status: 'fail' })
    expect(await health.until('postgresql', isWedged, 20_000)).toMatchObject({ code: 'connection_lost' })
    await pollUntil(() => proxy.connections === 1, { what: 'nothing to be left of the new clients' })
  } finally {
    await proxy.stop()
  }
}, 60_000)
