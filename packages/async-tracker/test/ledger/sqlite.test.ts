import { mkdirSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { basename, join } from 'node:path'
import type { DatabaseSync } from 'node:sqlite'
import { beforeAll, describe, expect, test, vi } from 'vitest'
import { MIGRATIONS } from '../../src/ledger/schema.ts'
import { findSql } from '../../src/ledger/sqlite-find.ts'
import { OF_REQUEST } from '../../src/ledger/sqlite-write.ts'
import { createSqliteLedger } from '../../src/ledger/sqlite.ts'
import type { TaskQuery } from '../../src/ledger/store.ts'
import { tempDir } from '../../../testing/src/temp-dir.ts'
import { failed, ms, started, succeeded, taskIdOf, tell, WEB, WORKER } from '../sample-events.ts'
import {
  aLedgerAnswers,
  aLedgerFinds,
  aLedgerKeeps,
  aLedgerKnowsTheOldestOpen,
  aLedgerPrunes,
  type CreateLedger,
} from './conformance.ts'
import { NEVER, outboxRow, requestRow, taskOf } from './rows.ts'

const { DatabaseSync: Database } = createRequire(import.meta.url)('node:sqlite') as typeof import('node:sqlite')

const create: CreateLedger = async () => {
  const dir = tempDir('sqlite')
  const openIt = async (): Promise<ReturnType<typeof createSqliteLedger>> => {
    const store = createSqliteLedger(dir)
    await store.open()
    return store
  }
  return { store: await openIt(), reopen: openIt }
}

describe('a ledger in SQLite keeps', () => {
  aLedgerKeeps(create)
})
describe('a ledger in SQLite answers', () => {
  aLedgerAnswers(create)
})
describe('a ledger in SQLite finds', () => {
  aLedgerFinds(create)
  aLedgerKnowsTheOldestOpen(create)
})
describe('a ledger in SQLite prunes', () => {
  aLedgerPrunes(create)
})

function inspect<T>(dir: string, use: (db: DatabaseSync) => T): T {
  const db = new Database(join(dir, 'ledger.db'))
  try {
    return use(db)
  } finally {
    db.close()
  }
}
async function filled(tasks: number, dir = tempDir('sqlite')): Promise<string> {
  const store = createSqliteLedger(dir)
  await store.open()
  await store.commit({
    tasks: Array.from({ length: tasks }, (_, n) => taskOf(n, 0, n, ...tell(WORKER, started(n, 1), succeeded(n, 1)))),
    requests: Array.from({ length: tasks }, (_, n) => requestRow(n, n)),
  })
  await store.close()
  return dir
}

test('nobody else may read the file, whatever the umask', async () => {
  const before = process.umask(0)
  try {
    const dir = tempDir('sqlite')
    const store = createSqliteLedger(dir)
    await store.open()
    await store.commit({ tasks: [taskOf(1, 0, 1)] })
    const files = readdirSync(dir)
    expect(files.sort()).toEqual(['ledger.db', 'ledger.db-wal'])
    for (const file of files) expect([file, statSync(join(dir, file)).mode & 0o077]).toEqual([file, 0])
    await store.close()
  } finally {
    process.umask(before)
  }
})

test('the file grows smaller when tasks are pruned', async () => {
  const dir = await filled(3_000)
  const before = statSync(join(dir, 'ledger.db')).size
  const store = createSqliteLedger(dir)
  await store.open()
  while ((await store.prune({ before: NEVER, maxBytes: 0 })) > 0);
  await store.close()
  expect(statSync(join(dir, 'ledger.db')).size).toBeLessThan(before / 4)
})

test('while it is open, nobody else gets in, so that nobody needs the shared memory file', async () => {
  const dir = await filled(1)
  const store = createSqliteLedger(dir)
  await store.open()
  expect(() => inspect(dir, (db) => db.prepare('SELECT * FROM task').all())).toThrow('database is locked')
  expect(readdirSync(dir)).not.toContain('ledger.db-shm')
  await store.close()
})

test('a ledger of a newer version is refused, and left as it is', async () => {
  const dir = await filled(3)
  inspect(dir, (db) => db.exec('PRAGMA user_version = 999'))
  const store = createSqliteLedger(dir)
  await expect(store.open()).rejects.toThrow('newer version (999)')
  await expect(store.open()).rejects.toThrow('newer version (999)')
  expect(readdirSync(dir)).toEqual(['ledger.db'])
  const count = inspect(dir, (db) =>
    db.prepare('SELECT count(*) AS tasks, user_version FROM task, pragma_user_version').get(),
  )
  expect(count).toEqual({ tasks: 3, user_version: 999 })
})

describe('a damaged ledger is set aside, and a new one is begun', () => {
  const isDatabase = (bytes: Buffer): boolean => bytes.subarray(0, 15).toString() === 'SQLite format 3'

  test.for<[string, (bytes: Buffer) => Buffer]>([
    ['it is no database', () => Buffer.from('not a database at all, but long enough to look like one'.repeat(20))],
    ['its first bytes are wrong', (bytes) => Buffer.concat([Buffer.alloc(16, 0x41), bytes.subarray(16)])],
    ['it is all zeros', (bytes) => Buffer.alloc(bytes.length)],
    ['it is cut off', (bytes) => bytes.subarray(0, 5_000)],
  ])('%s', async ([, damage]) => {
    const dir = await filled(300)
    const damaged = damage(readFileSync(join(dir, 'ledger.db')))
    writeFileSync(join(dir, 'ledger.db'), damaged)
    const aside: string[] = []
    const store = createSqliteLedger(dir, (file) => aside.push(file))
    await store.open()
    expect(aside).toHaveLength(1)
    expect(readFileSync(aside[0]!).equals(damaged)).toBe(true)
    expect(await store.find({ limit: 9 })).toEqual([])
    await store.commit({ tasks: [taskOf(1, 0, 1)] })
    await store.close()
    expect(isDatabase(readFileSync(join(dir, 'ledger.db')))).toBe(true)
  })

  test('again and again: the newest three are kept, and a disk is not filled with them', async () => {
    const dir = tempDir('sqlite')
    const aside: string[] = []
    for (let n = 0; n < 6; n++) {
      writeFileSync(join(dir, 'ledger.db'), `no database ${n}`)
      const store = createSqliteLedger(dir, (file) => aside.push(basename(file)))
      await store.open()
      await store.close()
      await expect.poll(() => Date.now()).toBeGreaterThan(Number(aside.at(-1)!.split('-').at(-1)))
    }
    const kept = readdirSync(dir).filter((file) => file.includes('damaged'))
    expect(kept.toSorted()).toEqual(aside.slice(-3))
  })

  test('an empty file is a new ledger, and no damage', async () => {
    const dir = tempDir('sqlite')
    writeFileSync(join(dir, 'ledger.db'), '')
    const store = createSqliteLedger(dir, () => expect.unreachable())
    await store.open()
    await store.commit({ tasks: [taskOf(1, 0, 1)] })
    expect(await store.find({ limit: 9 })).toHaveLength(1)
    await store.close()
  })

  test('damage that only shows in use: the next opening begins anew', async () => {
    const dir = await filled(2_000)
    const bytes = readFileSync(join(dir, 'ledger.db'))
    writeFileSync(join(dir, 'ledger.db'), bytes.fill(0x41, 3 * 4096))
    const aside: string[] = []
    const store = createSqliteLedger(dir, (file) => aside.push(file))
    await store.open()
    await expect(store.find({ limit: 9_999 })).rejects.toThrow('malformed')
    expect({ isDamaged: store.isDamaged, aside }).toEqual({ isDamaged: true, aside: [] })
    await store.close()
    await store.open()
    expect(store.isDamaged).toBe(false)
    expect(aside).toEqual([expect.stringContaining('ledger.db.damaged-')])
    expect(await store.find({ limit: 9 })).toEqual([])
    await store.close()
  })
})

test('what a killed patrol had committed is there, although it never closed the ledger', async () => {
  const dir = tempDir('sqlite')
  const killed = createSqliteLedger(dir)
  await killed.open()
  await killed.commit({ tasks: [taskOf(1, 0, 1)], counters: [{ name: 'c', labels: {}, value: 3 }] })
  const copy = tempDir('sqlite')
  for (const file of readdirSync(dir)) writeFileSync(join(copy, file), readFileSync(join(dir, file)))
  await killed.close()
  const store = createSqliteLedger(copy)
  await store.open()
  expect((await store.tasks([taskIdOf(0, 1)])).size).toBe(1)
  expect(await store.counters()).toEqual([{ name: 'c', labels: {}, value: 3 }])
  await store.close()
})

test('failures were removed to make room for what waits for a collector that is away', async () => {
  const store = createSqliteLedger(tempDir('sqlite'))
  await store.open()
  const outbox = Array.from({ length: 1_000 }, (_, n) =>
    outboxRow(n.toString(16).padStart(16, '0'), n, { body: new Uint8Array([600, 1_300, 6_000][n % 3]!) }),
  )
  await store.commit({
    tasks: Array.from({ length: 200 }, (_, n) => taskOf(n, 0, n, ...tell(WEB, failed(9, 1)))),
    outbox,
  })
  expect(await store.prune({ before: NEVER, maxBytes: 1_000_000 })).toBe(0)
  await store.commit({ tasks: Array.from({ length: 3_000 }, (_, n) => taskOf(n, 0, n, ...tell(WEB, failed(9, 1)))) })
  expect(await store.prune({ before: NEVER, maxBytes: 1_000_000 })).toBeGreaterThan(0)
  await store.close()
})

test('a full disk is told as such, nothing of the change is left, and a smaller one is taken', async () => {
  const dir = await filled(10)
  const exec = vi.spyOn(Database.prototype, 'exec')
  const store = createSqliteLedger(dir)
  await store.open()
  const db = exec.mock.contexts[0] as DatabaseSync
  exec.mockRestore()
  const before = await store.countsByState()
  // SQLite's own limit stands in for the disk's. It rolls back by itself, so that a second ROLLBACK would hide the reason.
  db.exec('PRAGMA max_page_count = 60')
  const tasks = Array.from({ length: 1_000 }, (_, n) => taskOf(n, 1, n))
  await expect(store.commit({ tasks })).rejects.toThrow('database or disk is full')
  expect(await store.countsByState()).toEqual(before)
  expect(store.isDamaged).toBe(false)
  await store.commit({ tasks: tasks.slice(0, 5) })
  expect(await store.countsByState()).toMatchObject({ pending: 5, succeeded: 10 })
  await store.close()
})

test('a ledger of an earlier version is brought up to date, with all that is in it', async () => {
  const dir = tempDir('sqlite')
  for (let version = 1; version < MIGRATIONS.length; version++) {
    const old = join(dir, String(version))
    mkdirSync(old)
    inspect(old, (db) => {
      db.exec(`${MIGRATIONS.slice(0, version).join('')} PRAGMA user_version = ${version};`)
      db.exec(`INSERT INTO outbox (span_id, task_id, body, tries, next_at) VALUES ('s', NULL, x'0102', 3, 5)`)
    })
    const store = createSqliteLedger(old)
    await store.open()
    const rows = await store.dueOutbox(ms(10), 10)
    expect(rows.map((row) => ({ ...row, body: [...row.body] }))).toEqual([
      { spanId: 's', body: [1, 2], tries: 3, nextAt: 5 },
    ])
    await store.close()
    expect(inspect(old, (db) => db.prepare('PRAGMA user_version').get())).toEqual({ user_version: MIGRATIONS.length })
  }
})

test('tasks in a ledger of the version before are found, go on and go, each way that they are asked for', async () => {
  const dir = tempDir('sqlite')
  const old = [taskOf(1, 0, 1), taskOf(1, 1, 2, ...tell(WORKER, started(3, 1), succeeded(4, 1)))]
  inspect(dir, (db) => {
    db.exec(`${MIGRATIONS.slice(0, 6).join('')} PRAGMA user_version = 6;`)
    const insert = db.prepare(
      'INSERT INTO task (task_id, trace_id, request_key, depth, state, owner, spawned_at, settled_at, row) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)',
    )
    for (const row of old) {
      const { facts, derived, requestKey, depth } = row
      const traceId = facts.taskId.slice(0, 32)
      const owner = derived.state === 'pending' ? WEB : null
      const at = facts.spawned!.at
      insert.run(
        facts.taskId,
        traceId,
        requestKey!,
        depth,
        derived.state,
        owner,
        at,
        derived.settledAt ?? null,
        JSON.stringify(row),
      )
    }
  })
  const store = createSqliteLedger(dir)
  await store.open()
  const [open, done] = old.map(({ facts }) => facts.taskId)
  expect([...(await store.tasks([open!, done!])).values()]).toEqual(old)
  expect(await store.find({ traceId: open!.slice(0, 32), limit: 9 })).toEqual(old.toReversed())
  expect(await store.oldestOpen(9)).toEqual(old.slice(0, 1))
  expect(await store.openTasksOf([WEB])).toEqual([open])
  expect((await store.tasksOfRequests([requestRow(1, 0).key])).map(({ taskId }) => taskId)).toEqual([open, done])
  const gone = taskOf(1, 0, 1, ...tell(WORKER, started(5, 2), succeeded(6, 2)))
  await store.commit({ tasks: [gone], requests: [requestRow(1, 7)] })
  expect(await store.find({ route: '/orders', limit: 9 })).toEqual([old[1], gone])
  expect(await store.prune({ before: ms(5), maxBytes: 1e9 })).toBe(1)
  expect(await store.find({ limit: 9 })).toEqual([gone])
  await store.close()
})

describe('however much has settled, it is not read', () => {
  const dir = tempDir('sqlite')
  const planOf = (sql: string, values: readonly (string | number)[] = []): string =>
    inspect(dir, (db) =>
      db
        .prepare(`EXPLAIN QUERY PLAN ${sql}`)
        .all(...values)
        .map((row) => row['detail'])
        .join('\n'),
    )
  beforeAll(() => {
    inspect(dir, (db) => db.exec(MIGRATIONS.join('')))
  })

  test.each<[string, TaskQuery]>([
    ['all', { limit: 9 }],
    ['of a state', { states: ['failed'], limit: 9 }],
    ['of some states', { states: ['failed', 'lost'], limit: 9 }],
    ['since', { since: ms(5), limit: 9 }],
    ['by route', { route: '/a', limit: 9 }],
    ['by route, state and time', { route: '/a', states: ['cancelled', 'lost'], since: ms(5), limit: 9 }],
    ['of a trace', { traceId: 'a', limit: 9 }],
    ['of a trace and more', { traceId: 'a', states: ['lost'], route: '/a', since: ms(5), limit: 9 }],
  ])('when tasks are looked for: %s', (_, query) => {
    const { sql, values } = findSql(query)
    const plan = planOf(sql, values)
    expect(plan).not.toMatch(/SCAN (?!found)/)
    // Sorted is what was found, and what one trace has: never what a state has.
    expect(plan.split('USE TEMP B-TREE').length - 1).toBeLessThanOrEqual(query.traceId ? 3 : 1)
    const index = query.traceId
      ? /autoindex_task|task_elsewhere/
      : query.route
        ? /INDEX task_route/
        : /INDEX task_state/
    const steps = plan.split('\n').filter((step) => step.startsWith('SEARCH') && !step.includes('INTEGER PRIMARY KEY'))
    expect(steps.filter((step) => !index.test(step))).toEqual([])
    expect(steps.length).toBeGreaterThan(0)
  })

  test('when the tasks of a request are asked for', () => {
    const plan = /^SEARCH task USING INDEX task_request \(<expr>=\?\)$/
    expect(planOf(`SELECT task_id FROM task WHERE ${OF_REQUEST('?1')}`, ['a'])).toMatch(plan)
    expect(planOf(`UPDATE task SET route = ?2 WHERE ${OF_REQUEST('?1')} AND route IS NULL`, ['a', '/a'])).toMatch(plan)
    const left = `DELETE FROM request WHERE key = ? AND NOT EXISTS (SELECT 1 FROM task WHERE ${OF_REQUEST('request.key')})`
    expect(planOf(left, ['a'])).toContain('SEARCH task USING INDEX task_request')
  })

  test('when tasks are counted', () => {
    expect(planOf('SELECT count(*) AS n FROM task WHERE state = ?')).toContain('USING COVERING INDEX task_state')
  })
})
