import { createRequire } from 'node:module'
import type * as pg from 'pg'
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { createPostgresLedger, type PostgresLedgerSettings } from '../../src/ledger/postgres.ts'
import { POSTGRES_MIGRATIONS } from '../../src/ledger/postgres-schema.ts'
import type { LedgerStore } from '../../src/ledger/store.ts'
import { present, service } from '../../../testing/src/services.ts'
import { confirmed, ms, spanId, started, succeeded, tell, WEB, WORKER } from '../sample-events.ts'
import {
  aLedgerAnswers,
  aLedgerFinds,
  aLedgerKeeps,
  aLedgerKnowsTheOldestOpen,
  aLedgerPrunes,
  type CreateLedger,
} from './conformance.ts'
import { startCuttingProxy } from '../patrol/cutting-proxy.ts'
import { idsOf, NEVER, outboxRow, processRow, taskOf } from './rows.ts'

const { Client } = createRequire(import.meta.url)('pg') as typeof pg
const HERE = 'a'.repeat(32)
const THERE = 'b'.repeat(32)

let found: Awaited<ReturnType<typeof service<'postgres'>>>
let admin: pg.Client
let url: string
let databases = 0

beforeAll(async () => {
  found = await service('postgres')
  if ('missing' in found) return
  admin = new Client({ connectionString: found.url })
  await admin.connect()
}, 60_000)
afterAll(async () => {
  if ('missing' in found) return
  await admin.end()
  await found.stop()
})
beforeEach(async (context) => {
  const server = present(found, context)
  const name = `ledger_${++databases}`
  await admin.query(`CREATE DATABASE ${name}`)
  const address = new URL(server.url)
  address.pathname = `/${name}`
  url = address.href
})

async function ledger(more: Partial<PostgresLedgerSettings> = {}): Promise<LedgerStore> {
  const store = createPostgresLedger({ url, folder: HERE, ...more })
  await store.open()
  return store
}

async function ask<T extends pg.QueryResultRow>(text: string): Promise<T[]> {
  const client = new Client({ connectionString: url })
  await client.connect()
  try {
    return (await client.query<T>(text)).rows
  } finally {
    await client.end()
  }
}

const create: CreateLedger = async () => ({ store: await ledger(), reopen: () => ledger() })

describe('a ledger in PostgreSQL keeps', () => {
  aLedgerKeeps(create)
})
describe('a ledger in PostgreSQL answers', () => {
  aLedgerAnswers(create)
})
describe('a ledger in PostgreSQL finds', () => {
  aLedgerFinds(create)
  aLedgerKnowsTheOldestOpen(create)
})
describe('a ledger in PostgreSQL prunes', () => {
  aLedgerPrunes(create)
})

describe('two hosts with one ledger', () => {
  test('see the tasks of both, and each its own journals, processes, counters and outbox', async () => {
    const [here, there] = [await ledger(), await ledger({ folder: THERE })]
    await here.commit({
      tasks: [taskOf(1, 0, 10, ...tell(WEB, confirmed(11)))],
      processes: [processRow(WEB)],
      segments: [{ file: 'a', offset: 1 }],
      counters: [{ name: 'c', labels: {}, value: 1 }],
      outbox: [outboxRow(spanId(1), 5)],
    })
    await there.commit({ segments: [{ file: 'a', offset: 2 }], counters: [{ name: 'c', labels: {}, value: 5 }] })
    expect(idsOf(await there.find({ limit: 9 }))).toEqual(idsOf(await here.find({ limit: 9 })))
    expect(await there.processes()).toEqual([])
    expect([await here.segments(), await there.segments()]).toEqual([new Map([['a', 1]]), new Map([['a', 2]])])
    expect((await there.counters()).map(({ value }) => value)).toEqual([5])
    expect(await there.dueOutbox(ms(99), 9)).toEqual([])
    await there.commit({ forgottenSegments: ['a'] })
    expect(await here.segments()).toEqual(new Map([['a', 1]]))
    await Promise.all([here.close(), there.close()])
  })

  test('take turns: what one read is still so when it commits', async () => {
    const [here, there] = [await ledger(), await ledger({ folder: THERE })]
    await here.commit({ tasks: [taskOf(1, 0, 10)] })
    const [{ facts }] = (await here.find({ limit: 1 })) as [Awaited<ReturnType<LedgerStore['find']>>[number]]
    const addOne = (store: LedgerStore): Promise<void> =>
      store.exclusive(async (turn) => {
        const row = (await turn.tasks([facts.taskId])).get(facts.taskId)!
        await turn.commit({ tasks: [{ ...row, depth: row.depth + 1 }] })
      })
    await Promise.all(Array.from({ length: 20 }, (_, n) => addOne(n % 2 ? here : there)))
    expect((await here.find({ limit: 1 }))[0]!.depth).toBe(20)
    await Promise.all([here.close(), there.close()])
  })

  test('one takes over from the other when its lease has lapsed, and not before', async () => {
    const [here, there] = [
      await ledger({ renewMs: 0, leaseMs: 300 }),
      await ledger({ folder: THERE, renewMs: 0, leaseMs: 300 }),
    ]
    await there.commit({
      processes: [processRow(WORKER), processRow(WEB, { deadAt: ms(1) })],
      outbox: [outboxRow(spanId(1), 5)],
    })
    await there.lapsed()
    expect(await here.lapsed()).toEqual([])
    expect(await here.dueOutbox(ms(99), 9)).toEqual([])
    await expect
      .poll(async () => (await here.lapsed()).map(({ key }) => key), { timeout: 10_000, interval: 50 })
      .toEqual([WORKER])
    expect(await here.dueOutbox(ms(99), 9)).toHaveLength(1)
    await here.commit({ processes: [processRow(WORKER, { deadAt: ms(9) })] })
    expect(await here.lapsed()).toEqual([])
    await Promise.all([here.close(), there.close()])
  })

  test('nobody is taken over right after the database was away: every lease has lapsed then', async () => {
    const there = await ledger({ folder: THERE, renewMs: 0 })
    await there.commit({ processes: [processRow(WORKER)] })
    await there.lapsed()
    await there.close()
    await ask(`UPDATE afterspan.folder SET seen_at = now() - interval '1 hour'`)
    const here = await ledger({ renewMs: 0 })
    expect(await here.lapsed()).toEqual([])
    await here.close()
  })
})

test('tasks of one day are one table, which goes when the last of them has gone', async () => {
  const store = await ledger()
  await store.commit({ tasks: [taskOf(1, 0, 10)] })
  await ask(
    `CREATE TABLE afterspan.task_20200101 PARTITION OF afterspan.task FOR VALUES FROM ('2020-01-01') TO ('2020-01-02')`,
  )
  await store.prune({ before: NEVER, maxBytes: 1e12 })
  const tables = await ask<{ name: string }>(
    `SELECT relname AS name FROM pg_inherits JOIN pg_class ON oid = inhrelid WHERE inhparent = 'afterspan.task'::regclass`,
  )
  expect(tables.map(({ name }) => name)).toEqual([`task_${new Date().toISOString().slice(0, 10).replaceAll('-', '')}`])
  await store.close()
})

test('what is too old goes also where the ledger is too large to be weighed in time', async () => {
  const done = tell(WORKER, started(20, 1), succeeded(30, 1))
  const before = await ledger()
  await before.commit({ tasks: [taskOf(1, 0, 10, ...done)] })
  await before.close()
  // An average of its own, which the statement ends by.
  await ask(`CREATE FUNCTION public.late(bigint, integer) RETURNS bigint LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION 'too late' USING ERRCODE = '57014'; END $$;
    CREATE AGGREGATE public.avg(integer) (sfunc = public.late, stype = bigint, initcond = '0');
    CREATE ROLE weigher LOGIN SUPERUSER; ALTER ROLE weigher SET search_path = public, pg_catalog`)
  const store = await ledger({ url: Object.assign(new URL(url), { username: 'weigher' }).href })
  await store.commit({ tasks: [taskOf(2, 0, 1_000, ...done)] })
  await expect(store.prune({ before: ms(500), maxBytes: 1e12 })).rejects.toThrow('too late')
  expect(await ask('SELECT spawned_at FROM afterspan.task')).toEqual([{ spawned_at: 1_000 }])
  await store.close()
})

test('of a folder that has been silent for three months nothing is kept that nobody asks for', async () => {
  const [here, there] = [await ledger(), await ledger({ folder: THERE })]
  const counters = [{ name: 'afterspan_tasks', labels: { state: 'lost' }, value: 1 }]
  for (const store of [here, there]) {
    await store.commit({ counters, segments: [{ file: 'a', offset: 1 }] })
    await store.lapsed()
  }
  const left = (table: string): Promise<unknown> => ask(`SELECT folder FROM afterspan.${table} ORDER BY folder`)
  await ask(`UPDATE afterspan.folder SET seen_at = now() - interval '89 days' WHERE folder = '${THERE}'`)
  await here.prune({ before: ms(0), maxBytes: 1e12 })
  expect(await left('folder')).toEqual([{ folder: HERE }, { folder: THERE }])
  await ask(`UPDATE afterspan.folder SET seen_at = now() - interval '91 days' WHERE folder = '${THERE}'`)
  await here.prune({ before: ms(0), maxBytes: 1e12 })
  for (const table of ['folder', 'segment', 'counter'])
    expect([table, await left(table)]).toEqual([table, [{ folder: HERE }]])
  await Promise.all([here.close(), there.close()])
})

test('a task that goes on the day after stays one row', async () => {
  const store = await ledger()
  await store.commit({ tasks: [taskOf(1, 0, 10)] })
  await ask(
    `CREATE TABLE afterspan.task_20200101 PARTITION OF afterspan.task FOR VALUES FROM ('2020-01-01') TO ('2020-01-02')`,
  )
  await ask(`UPDATE afterspan.task SET day = '2020-01-01'`)
  await store.commit({ tasks: [taskOf(1, 0, 10, ...tell(WORKER, started(20, 1)))] })
  expect((await store.find({ limit: 9 })).map(({ derived }) => derived.state)).toEqual(['running'])
  await store.close()
})

test('two that come first at once make the tables once', async () => {
  const stores = await Promise.all(Array.from({ length: 4 }, () => ledger()))
  await Promise.all(stores.map((store) => store.commit({ tasks: [taskOf(1, 0, 10)] })))
  expect(await stores[0]!.find({ limit: 9 })).toHaveLength(1)
  await Promise.all(stores.map((store) => store.close()))
})

test('a ledger of a newer version is refused', async () => {
  await (await ledger()).close()
  await ask('INSERT INTO afterspan.version VALUES (99)')
  await expect(ledger()).rejects.toThrow('newer version (99)')
})

test('a large ledger of an earlier version is brought up to date, however long that takes', async () => {
  await ask(['CREATE SCHEMA afterspan;', ...POSTGRES_MIGRATIONS.slice(0, 3)].join(''))
  // Each row that is touched takes long: as a million rows do.
  await ask(`CREATE TABLE afterspan.version (version integer NOT NULL); INSERT INTO afterspan.version VALUES (3);
    CREATE TABLE afterspan.task_20200101 PARTITION OF afterspan.task FOR VALUES FROM ('2020-01-01') TO ('2020-01-02');
    INSERT INTO afterspan.request VALUES ('r', 't', '/orders', 1, '{}');
    INSERT INTO afterspan.task (task_id, day, folder, trace_id, request_key, depth, state, spawned_at, row)
      VALUES ('1', '2020-01-01', 'f', 't', 'r', 0, 'succeeded', 1, '{}');
    CREATE FUNCTION afterspan.slow() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN PERFORM pg_sleep(1.5); RETURN NEW; END $$;
    CREATE TRIGGER slow BEFORE UPDATE ON afterspan.task FOR EACH ROW EXECUTE FUNCTION afterspan.slow()`)
  await ask('CREATE ROLE hasty LOGIN SUPERUSER; ALTER ROLE hasty SET statement_timeout = 500')
  const address = new URL(url)
  address.username = 'hasty'
  const store = await ledger({ url: address.href, queryMs: 500 })
  expect(await ask('SELECT route FROM afterspan.task')).toEqual([{ route: '/orders' }])
  await store.close()
})

test('an instance reads what the others of its service see, of the last fifteen seconds, and never itself', async () => {
  const [here, there] = [await ledger(), await ledger({ folder: THERE })]
  const vote = (store: LedgerStore, instance: string, down: readonly string[], of = 'shop'): Promise<unknown> =>
    store.vote!({ service: of, instance, down, up: ['redis'] })
  expect(await vote(here, 'one', [])).toEqual([])
  expect(await vote(there, 'two', ['postgresql'])).toEqual([{ down: [], up: ['redis'] }])
  expect(await vote(there, 'three', [], 'billing')).toEqual([])
  expect(await vote(here, 'one', ['postgresql'])).toEqual([{ down: ['postgresql'], up: ['redis'] }])
  await ask(`UPDATE afterspan.vote SET seen_at = now() - interval '20 s' WHERE instance = 'two'`)
  expect(await vote(here, 'one', [])).toEqual([])
  await ask(`UPDATE afterspan.vote SET seen_at = now() - interval '2 h' WHERE instance <> 'one'`)
  await vote(here, 'one', [])
  expect(await ask('SELECT instance FROM afterspan.vote')).toEqual([{ instance: 'one' }])
  await Promise.all([here.close(), there.close()])
})

test('a database that ends the connection in between is found again by the next use', async () => {
  const store = await ledger()
  await store.commit({ tasks: [taskOf(1, 0, 10)] })
  await ask(`SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'afterspan'`)
  await expect.poll(() => store.find({ limit: 9 }).catch(() => []), { timeout: 10_000 }).toHaveLength(1)
  await store.close()
})

test('a database that stands still in the middle of a change was waited for twice', async () => {
  const queryMs = 2_000
  const proxy = await startCuttingProxy((found as { port: number }).port)
  const address = new URL(url)
  address.port = String(proxy.port)
  const store = await ledger({ url: address.href, queryMs })
  // Timers come in the order in which they are due, however busy the machine is.
  const waitedTwice = new Promise<string>((resolve) => {
    proxy.silenceAfter('INSERT INTO afterspan.task', () => setTimeout(resolve, 1.9 * queryMs, 'waited twice'))
  })
  const change = store.commit({ tasks: [taskOf(1, 0, 10)] }).catch((error: Error) => error.message)
  expect(await Promise.race([change, waitedTwice])).toBe('Query read timeout')
  await store.commit({ tasks: [taskOf(1, 0, 10)] })
  expect(await store.find({ limit: 9 })).toHaveLength(1)
  await store.close()
  await proxy.close()
})
