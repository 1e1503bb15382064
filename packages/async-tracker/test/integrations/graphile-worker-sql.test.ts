// What becomes of jobs that an app adds by SQL, on a real PostgreSQL, with a function that stands in for the library's own.
import type { Client, Pool } from 'pg'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { present, service, type MissingServer, type ServerOf } from '../../../testing/src/services.ts'
import { graphileWorkerSql } from '../../src/integrations/graphile-worker-sql.ts'
import { addedJobs, mayAdd } from '../../src/integrations/graphile-worker/sql-jobs.ts'
import { createFakeKit } from './fake-kit.ts'
import { installed } from './installed.ts'

const SCHEMA = `create schema graphile_worker;
  create table graphile_worker.jobs (id bigint generated always as identity, task_id int, payload json);
  create function graphile_worker.add_job(identifier text, payload json default '{}') returns graphile_worker.jobs
    language sql as $$ insert into graphile_worker.jobs (task_id, payload) values (1, payload) returning * $$`
const ADD = `select graphile_worker.add_job('mail', '{"n": 1}')`

const fake = createFakeKit()
const { sent } = fake
let postgres: ServerOf['postgres'] | MissingServer
let pool: Pool

beforeAll(async () => {
  postgres = await service('postgres')
  if ('missing' in postgres) return
  graphileWorkerSql.patch(installed('pg', 'lib/client.js') as never, fake.kit)
  pool = new (installed('pg').Pool as typeof Pool)({ connectionString: postgres.url })
  // The server may end before the last connection has: one that is idle tells its pool.
  pool.on('connect', (client) => client.on('error', () => {}))
  pool.on('error', () => {})
  await pool.query(SCHEMA)
})
afterAll(async () => {
  if ('missing' in postgres) return
  await pool.end()
  await postgres.stop()
})
beforeEach((context) => {
  present(postgres, context)
  fake.clear()
})
afterEach(() => {
  if (fake.errors.length > 0) throw new AggregateError(fake.errors)
})

const states = (): unknown[] => sent.map(({ state }) => state)

/** Each statement by itself; one that fails does not end it. */
async function within(...statements: readonly string[]): Promise<void> {
  const client = await pool.connect()
  for (const text of statements) await client.query(text).catch(() => {})
  client.release()
}

describe('a job that was added by SQL', () => {
  test('is a task, found by its number, however it is asked for', async () => {
    const { rows } = await pool.query<{ readonly id: string }>(
      'select * from "graphile_worker"."add_job"(identifier => $1::text, payload => $2)',
      ['mail', '{}'],
    )
    const draft = { system: 'graphile-worker', destination: 'mail', isFoundById: true }
    expect(sent).toMatchObject([{ draft, state: 'confirmed', messageId: rows[0]!.id }])
    await pool.query({ text: 'select id from graphile_worker.add_job($1)', values: ["o'clock"] })
    await pool.query(`select graphile_worker.add_job('o''clock') from generate_series(1, 2)`)
    expect(sent.slice(1).map(({ draft: { name } }) => name)).toEqual(["o'clock", "o'clock", "o'clock"])
    await new Promise((resolve) => {
      pool.query(ADD, resolve)
    })
    expect(states()).toEqual(['confirmed', 'confirmed', 'confirmed', 'confirmed', 'confirmed'])
  })

  test.for<[how: string, outcome: readonly string[], statements: readonly string[]]>([
    ['committed', ['confirmed', 'confirmed'], ['begin', ADD, ADD, 'commit']],
    ['rolled back', ['rolled_back'], ['begin', ADD, 'ROLLBACK']],
    ['failed', ['rolled_back'], ['begin', ADD, 'select 1/0', 'commit']],
    ['committed in one text', ['confirmed'], [`begin; ${ADD}; commit`]],
    ['rolled back in one text', ['rolled_back'], [`begin; ${ADD}; rollback`]],
    ['gone back to before it', ['rolled_back'], ['begin', 'savepoint a', ADD, 'rollback to savepoint a', 'commit']],
    [
      'gone back to after it',
      ['confirmed', 'rolled_back', 'confirmed'],
      ['begin', ADD, 'savepoint a', ADD, 'rollback to a', ADD, 'release savepoint a', 'end'],
    ],
  ])('is what became of its transaction: %s', async ([, outcome, statements]) => {
    await within(...statements)
    expect(states()).toEqual(outcome)
  })

  test('is not the broker’s while its transaction is open, and never where its connection goes', async () => {
    const client = new (installed('pg').Client as typeof Client)((postgres as ServerOf['postgres']).url)
    await client.connect()
    await client.query('begin')
    await client.query(ADD)
    await client.query('select 1')
    expect(states()).toEqual(['spawned'])
    await client.end()
    await fake.until(() => sent[0]!.state === 'rolled_back')
  })

  test('by the library itself is told by its own calls', async () => {
    const text = `select * from "graphile_worker".add_job(
          identifier => $1::text,
          payload => $2::json,
          queue_name => $3::text
        );`
    await pool.query(text, ['mail', '{}', null]).catch(() => {})
    expect(mayAdd(text)).toBe(false)
    expect(sent).toEqual([])
  })

  test('and the app gets its own errors and answers', async () => {
    await expect(pool.query('select graphile_worker.add_job(1, 2, 3)')).rejects.toThrow(/does not exist/)
    await expect(pool.query(`select 'add_job(' as text`)).resolves.toMatchObject({ rows: [{ text: 'add_job(' }] })
    expect(sent).toEqual([])
  })
})

test('what cannot be told from others is no job', () => {
  const jobs = (text: string, ...rows: readonly object[]): unknown => addedJobs(text, [], { rows })
  expect(jobs(`select add_job('mail')`, { add_job: '(7,,1,{})' })).toEqual([{ id: '7', task: 'mail' }])
  expect(jobs(`select * from jobs.add_job('mail')`, { id: 7n, task_id: 1 })).toEqual([{ id: '7', task: 'mail' }])
  // TimescaleDB's, a name that is worked out, a number that may be anything's
  expect(jobs(`select add_job('user_defined_action', '1h')`, { add_job: 1000 })).toEqual([])
  expect(jobs(`select graphile_worker.add_job(kind) from orders`, { id: '7' })).toEqual([])
  expect(jobs(`select id from add_job('mail')`, { id: '7' })).toEqual([])
})
