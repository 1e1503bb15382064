// What may happen to a ledger in PostgreSQL while a patrol writes to it, on a real server: it is said, the journals wait, and
// afterwards each task is there, once.
import { randomBytes } from 'node:crypto'
import { appendFileSync, chmodSync, mkdirSync, writeFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { join } from 'node:path'
import type * as pg from 'pg'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import type { EpochMs, JournalEvent, TaskId } from '@afterspan/core/internal'
import { present, service, type MissingServer, type ServerOf } from '../../../testing/src/services.ts'
import { tempDir } from '../../../testing/src/temp-dir.ts'
import { journalDir, segmentFile } from '../../src/journal/segment.ts'
import { TASKS_COUNTER } from '../../src/patrol/counting.ts'
import { PatrolService } from '../../src/patrol/service.ts'
import { recordOf } from '../journal/bytes.ts'
import { confirmed, hex, opened, spanId, spawned, started, succeeded, WORKER } from '../sample-events.ts'
import { startCuttingProxy, type CuttingProxy } from './cutting-proxy.ts'

const { Client } = createRequire(import.meta.url)('pg') as typeof pg
const TASKS = 40

let found: ServerOf['postgres'] | MissingServer
let admin: pg.Client
let database: string
let url: string
let databases = 0

beforeAll(async () => {
  // Who comes by the right password only, and everybody else as before.
  const rules = join(tempDir('pg-hba'), 'pg_hba.conf')
  writeFileSync(rules, 'host all locked 127.0.0.1/32 scram-sha-256\nhost all all 127.0.0.1/32 trust\n')
  chmodSync(join(rules, '..'), 0o755)
  chmodSync(rules, 0o644)
  found = await service('postgres', { args: ['-c', `hba_file=${rules}`] })
  if ('missing' in found) return
  admin = new Client({ connectionString: found.url })
  await admin.connect()
  await admin.query("CREATE ROLE ledger LOGIN; CREATE ROLE locked LOGIN PASSWORD 'right'")
}, 60_000)
afterAll(async () => {
  if ('missing' in found) return
  await admin.end()
  await found.stop()
})
beforeEach(async (context) => {
  const server = present(found, context)
  database = `faults_${++databases}`
  await admin.query(`CREATE DATABASE ${database} OWNER ledger`)
  url = addressOf(server.url, 'ledger')
})

function addressOf(server: string, user: string, password = '', port?: number): string {
  const address = new URL(server)
  Object.assign(address, {
    username: user,
    password,
    pathname: `/${database}`,
    ...(port ? { port: String(port) } : {}),
  })
  return address.href
}

/** In the ledger's own database, as its superuser. */
async function inside(
  text: string,
  connectionString = addressOf((found as ServerOf['postgres']).url, 'postgres'),
): Promise<pg.QueryResult> {
  const client = new Client({ connectionString })
  client.on('error', () => {})
  await client.connect()
  try {
    return await client.query(text)
  } finally {
    await client.end()
  }
}

const endConnections = (): Promise<unknown> =>
  admin.query(`SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '${database}'`)

class Host {
  readonly dir = tempDir('pg-faults')
  readonly said: string[] = []
  readonly service: PatrolService
  written = 0

  constructor(ledgerUrl = url) {
    const clock = { now: () => Date.now() as EpochMs, monotonicMs: () => performance.now(), every: () => () => {} }
    const settings = {
      dir: this.dir,
      otlp: undefined,
      serviceName: 'shop',
      retentionDays: 14,
      maxBytes: 1e9,
      ledgerUrl,
    }
    this.service = new PatrolService(settings, clock, (code, message) => this.said.push(`${code}: ${message}`))
    mkdirSync(journalDir(this.dir))
    this.#append(recordOf(opened(WORKER)))
  }

  /** Written down by its app, as it is. */
  writes(...events: readonly JournalEvent[]): void {
    this.#append(...events.map((event) => recordOf(event)))
  }

  /** Written down by an app that does not know of databases: promises, runs of what was promised here or elsewhere, or both. */
  work(what: 'promises' | 'runs' | 'both' = 'both'): void {
    for (let i = 0; i < TASKS; i++) {
      const taskId = hex(++this.written, 48) as TaskId
      const now = Date.now()
      if (what !== 'runs') this.#append(recordOf(spawned(now, { taskId })))
      if (what === 'promises') continue
      this.#append(recordOf(started(now, this.written, { taskId })), recordOf(succeeded(now, this.written, { taskId })))
    }
  }
  async tick(): Promise<boolean> {
    return (await this.service.tick()) !== undefined
  }
  async kept(): Promise<number> {
    return (await this.tick()) ? (await this.service.ledger!.countsByState()).succeeded : -1
  }
  #append(...records: readonly Buffer[]): void {
    appendFileSync(join(journalDir(this.dir), segmentFile({ key: WORKER, number: 1 })), Buffer.concat(records))
  }
}

/** So many tasks, and of all hosts together as many that were counted as having succeeded. */
async function expectOnce(tasks: number, address?: string): Promise<void> {
  const { rows } = await inside('SELECT count(*)::int AS n FROM afterspan.task', address)
  expect(rows).toEqual([{ n: tasks }])
  const { rows: counted } = await inside(
    `SELECT sum(value)::int AS n FROM afterspan.counter WHERE name = '${TASKS_COUNTER}' AND labels LIKE '%succeeded%'`,
    address,
  )
  expect(counted).toEqual([{ n: tasks }])
}

/** All that was written is in the ledger; then it is there once, and counted once. */
async function expectCaughtUp(here: Host, address?: string): Promise<void> {
  await expect.poll(() => here.kept(), { timeout: 20_000, interval: 100 }).toBe(here.written)
  await here.tick()
  await expectOnce(here.written, address)
}

const hosts: Host[] = []
const proxies: CuttingProxy[] = []
afterEach(async () => {
  for (const { service: patrol } of hosts.splice(0)) await patrol.stop()
  for (const proxy of proxies.splice(0)) await proxy.close()
})
function host(ledgerUrl?: string): Host {
  const made = new Host(ledgerUrl)
  hosts.push(made)
  return made
}

const raising = (code: string): string => `
  CREATE FUNCTION afterspan.fault() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION 'fault' USING ERRCODE = '${code}'; END $$;
  CREATE TRIGGER fault BEFORE INSERT OR UPDATE ON afterspan.counter FOR EACH ROW EXECUTE FUNCTION afterspan.fault()`
const RAISING_NO_MORE = 'DROP FUNCTION afterspan.fault CASCADE'

describe('a database that fails in use is waited for, with nothing lost or doubled', () => {
  test.for<[string, string, string, RegExp]>([
    ['its disk is full', raising('53100'), RAISING_NO_MORE, /fault/],
    ['it gives up a transaction for another', raising('40001'), RAISING_NO_MORE, /fault/],
    ['it finds a deadlock', raising('40P01'), RAISING_NO_MORE, /fault/],
    ['it shuts down in the middle of a batch', raising('57P01'), RAISING_NO_MORE, /fault/],
    [
      'rights were taken away',
      'REVOKE ALL ON afterspan.segment FROM ledger',
      'GRANT ALL ON afterspan.segment TO ledger',
      /permission denied/,
    ],
    [
      'it has become a standby that only reads',
      'ALTER ROLE ledger SET default_transaction_read_only = on',
      'ALTER ROLE ledger RESET default_transaction_read_only',
      /read-only/,
    ],
    [
      'it ends statements at once',
      `ALTER ROLE ledger SET statement_timeout = '1ms'; CREATE FUNCTION afterspan.slow() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN PERFORM pg_sleep(1); RETURN NULL; END $$; CREATE TRIGGER slow AFTER INSERT ON afterspan.task EXECUTE FUNCTION afterspan.slow()`,
      'DROP FUNCTION afterspan.slow CASCADE; ALTER ROLE ledger RESET statement_timeout',
      /statement timeout/,
    ],
    [
      'it takes no more connections',
      'ALTER ROLE ledger CONNECTION LIMIT 0',
      'ALTER ROLE ledger CONNECTION LIMIT -1',
      /too many connections/,
    ],
    ['all its tables are gone', 'DROP SCHEMA afterspan CASCADE', 'SELECT 1', /does not exist/],
  ])('%s', async ([, fault, healed, reason]) => {
    const here = host()
    here.work()
    await expectCaughtUp(here)
    await inside(fault)
    await endConnections()
    here.work()
    await expect
      .poll(async () => (await here.tick()) || here.said.some((line) => reason.test(line)), { timeout: 10_000 })
      .toBe(true)
    expect(here.said.filter((line) => !/^AFS_PATROL_FAILED: a sweep failed and is tried again: \S/.test(line))).toEqual(
      [],
    )
    here.work()
    await inside(healed)
    await endConnections()
    await expectCaughtUp(here)
    here.work()
    await expectCaughtUp(here)
  })
})

test('the connection is cut after a commit, before its answer: what was committed is not committed again', async () => {
  const proxy = await startCuttingProxy((found as ServerOf['postgres']).port)
  proxies.push(proxy)
  const here = host(addressOf((found as ServerOf['postgres']).url, 'ledger', '', proxy.port))
  await here.tick()
  for (const word of ['COMMIT', 'INSERT INTO afterspan.task', 'INSERT INTO afterspan.counter', 'COMMIT']) {
    here.work()
    const before = proxy.cuts
    proxy.cutAfter(word)
    await expect.poll(async () => (await here.tick()) && proxy.cuts > before, { timeout: 10_000 }).toBe(true)
    await expectCaughtUp(here)
  }
  expect(proxy.cuts).toBe(4)
  expect(here.said.length).toBeGreaterThan(0)
})

test('connections that are ended again and again while it catches up lose and double nothing', async () => {
  const here = host()
  for (let round = 0; round < 10; round++) {
    here.work()
    await Promise.all([here.tick(), endConnections()])
  }
  await expectCaughtUp(here)
  expect(here.said.filter((line) => !line.startsWith('AFS_PATROL_FAILED: '))).toEqual([])
})

test('two hosts that catch up at once, promises here and runs there, lose and double nothing either', async () => {
  const [here, there] = [host(), host()]
  for (let round = 0; round < 10; round++) {
    here.work('promises')
    there.work('runs')
    await Promise.all([here.tick(), there.tick(), ...(round % 3 === 2 ? [endConnections()] : [])])
  }
  const done = async (): Promise<number> => {
    await Promise.all([here.tick(), there.tick()])
    const { rows } = await inside(
      "SELECT count(*)::int AS n FROM afterspan.task WHERE state = 'succeeded' AND row LIKE '%\"spawned\":%'",
    )
    return (rows[0] as { n: number }).n
  }
  await expect.poll(done, { timeout: 20_000, interval: 100 }).toBe(here.written)
  await expectOnce(here.written)
})

test('texts that are longer than an index takes do not stop the sweep, and are found by the whole of them', async () => {
  const here = host()
  const [text, other] = [randomBytes(2_000).toString('hex'), randomBytes(2_000).toString('hex')]
  const at = Date.now()
  const description = { system: 'redis-streams', destination: text, name: text }
  const stray = (hex(9, 32) + spanId(7)) as TaskId
  here.writes(
    spawned(at, { ...description, route: text }),
    confirmed(at, { messageId: text, description }),
    started(at, 7, { taskId: stray, messageId: text, description }),
    succeeded(at, 7, { taskId: stray }),
  )
  expect([await here.tick(), here.said]).toEqual([true, []])
  const find = here.service.ledger!.find({ route: text, limit: 10 })
  expect(await find).toMatchObject([{ derived: { state: 'succeeded' }, facts: { spawned: { route: text } } }])
  expect(await here.service.ledger!.find({ route: `${text.slice(0, 300)}${other}`, limit: 10 })).toEqual([])
  const counted = (await here.service.ledger!.counters()).filter(({ value }) => value > 0)
  expect(counted).toMatchObject([{ labels: { destination: `${text.slice(0, 199)}…`, state: 'succeeded' } }])
})

test('the table of today is made again where somebody has dropped it', async () => {
  const here = host()
  here.work()
  await expectCaughtUp(here)
  const { rows } = await inside(
    "SELECT inhrelid::regclass AS name FROM pg_inherits WHERE inhparent = 'afterspan.task'::regclass",
  )
  for (const { name } of rows as { name: string }[]) await inside(`DROP TABLE ${name}`)
  here.work()
  const kept = async (): Promise<unknown> => {
    await here.tick()
    return (await inside('SELECT count(*)::int AS n FROM afterspan.task')).rows
  }
  await expect.poll(kept, { timeout: 20_000, interval: 100 }).toEqual([{ n: TASKS }])
})

test('a wrong password is said, and the right one is taken without a restart', async () => {
  await admin.query(`ALTER DATABASE ${database} OWNER TO locked`)
  const here = host(addressOf((found as ServerOf['postgres']).url, 'locked', 'of-tomorrow'))
  here.work()
  expect(await here.tick()).toBe(false)
  expect(here.said).toEqual([
    expect.stringMatching(/^AFS_PATROL_FAILED: .*password authentication failed for user "locked"$/),
  ])
  expect(here.said.join()).not.toContain('of-tomorrow')
  await admin.query("ALTER ROLE locked PASSWORD 'of-tomorrow'")
  await expectCaughtUp(here)
})

test('a server that is not there yet is waited for', async () => {
  const proxy = await startCuttingProxy((found as ServerOf['postgres']).port)
  await proxy.close()
  const here = host(addressOf((found as ServerOf['postgres']).url, 'ledger', '', proxy.port))
  here.work()
  expect(await here.tick()).toBe(false)
  expect(here.said).toEqual([expect.stringMatching(/^AFS_PATROL_FAILED: .*ECONNREFUSED/)])
})

test(
  'a server that is killed in the middle of a batch, or one of its processes, and goes on elsewhere loses and doubles nothing',
  { timeout: 90_000 },
  async (context) => {
    const data = join(tempDir('pg-data'), 'data')
    chmodSync(join(data, '..'), 0o755)
    let server = present(await service('postgres', { data }), context)
    const proxy = await startCuttingProxy(server.port)
    proxies.push(proxy)
    const address = server.url.replace(`:${server.port}/`, `:${proxy.port}/`)
    const here = host(address)
    here.work()
    await expectCaughtUp(here, address)
    const atWord = async (word: string, act: () => Promise<unknown>): Promise<void> => {
      here.work()
      let acted: Promise<unknown> | undefined
      proxy.cutAfter(word, () => {
        acted = act()
      })
      await expect.poll(async () => (await here.tick()) || acted !== undefined, { timeout: 10_000 }).toBe(true)
      await acted
      here.work()
    }

    for (const word of ['INSERT INTO afterspan.task', 'COMMIT']) {
      await atWord(word, () => server.kill())
      expect(await here.tick()).toBe(false)
      await server.stop()
      server = present(await service('postgres', { data }), context)
      proxy.leadTo(server.port)
      await expectCaughtUp(here, address)
    }
    // As by the kernel, for want of memory: the server ends all its other connections, and recovers.
    const { rows } = await inside("SELECT pid FROM pg_stat_activity WHERE application_name = 'afterspan'", address)
    await atWord('INSERT INTO afterspan.counter', async () => {
      for (const { pid } of rows as { pid: number }[]) process.kill(pid, 'SIGKILL')
    })
    await expectCaughtUp(here, address)
    expect(here.said.filter((line) => !line.startsWith('AFS_PATROL_FAILED: '))).toEqual([])
    await server.stop()
  },
)
