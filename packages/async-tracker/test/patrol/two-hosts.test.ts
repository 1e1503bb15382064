// Two patrols of two ledger folders with one ledger in PostgreSQL: a promise on one host, its work on the other.
import { createRequire } from 'node:module'
import type * as pg from 'pg'
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest'
import { present, service, type MissingServer, type ServerOf } from '../../../testing/src/services.ts'
import { createPostgresLedger } from '../../src/ledger/postgres.ts'
import { makeReceipt } from '../../src/receipt.ts'
import {
  answered,
  confirmed,
  spawned,
  started,
  succeeded,
  TASK,
  taskIdOf,
  WEB,
  WORKER,
  workerRef,
} from '../sample-events.ts'
import { requestCounts } from './desk.ts'
import { Stage } from './stage.ts'

const { Client } = createRequire(import.meta.url)('pg') as typeof pg
const LEASE = { renewMs: 0, leaseMs: 400 }

let postgres: ServerOf['postgres'] | MissingServer
let databases = 0
let here: Stage
let there: Stage

beforeAll(async () => {
  postgres = await service('postgres')
}, 60_000)
afterAll(async () => {
  if (!('missing' in postgres)) await postgres.stop()
})
beforeEach(async (context) => {
  const server = present(postgres, context)
  const admin = new Client({ connectionString: server.url })
  await admin.connect()
  await admin.query(`CREATE DATABASE hosts_${++databases}`)
  await admin.end()
  const url = Object.assign(new URL(server.url), { pathname: `/hosts_${databases}` }).href
  here = new Stage(createPostgresLedger({ url, folder: 'a'.repeat(32), ...LEASE }))
  there = new Stage(createPostgresLedger({ url, folder: 'b'.repeat(32), ...LEASE }))
})

test('work that is done on another host is one task, lost by its silence and recovered by its return', async () => {
  const [web, worker] = [await here.patrol(), await there.patrol()]
  const state = async (): Promise<string | undefined> => (await here.ledger.tasks([TASK])).get(TASK)?.derived.state

  here.write(WEB, spawned(1), confirmed(2), answered(3, 1))
  there.write(WORKER, started(4, 1))
  await Promise.all([web.sweepOnce(), worker.sweepOnce()])
  expect(await state()).toBe('running')

  // The other host says no more: its patrol sweeps no longer.
  await expect.poll(async () => (await web.sweepOnce()).lost, { timeout: 10_000, interval: 50 }).toBe(1)
  const [row] = await here.ledger.find({ limit: 1 })
  expect(row).toMatchObject({
    derived: { state: 'lost' },
    facts: { attempts: [{ lost: { reason: 'lease_expired' } }] },
  })
  expect(here.spans()).toMatchObject([{ attributes: { 'afterspan.task.evidence': 'lease' } }])
  expect(await requestCounts(here.ledger)).toMatchObject({ false_success: 1 })

  there.write(WORKER, succeeded(5, 1))
  await worker.sweepOnce()
  expect(await state()).toBe('succeeded')
  expect(there.spans()).toEqual([])
  await Promise.all([web.close(), worker.close()])
})

test('a run on another host was that of an unknown worker', async () => {
  const [web, worker] = [await here.patrol(), await there.patrol()]
  here.write(WEB, spawned(1), confirmed(2), answered(3, 1))
  there.write(WORKER, started(4, 1), succeeded(5, 1))
  await Promise.all([web.sweepOnce(), worker.sweepOnce()])
  const receipt = await makeReceipt(TASK.slice(0, 32), {
    ledger: here.ledger,
    now: () => here.clock.now(),
    isStalled: () => false,
    processes: async (keys) => {
      await web.processes.find(keys, here.ledger)
      return web.processes
    },
  })
  expect(receipt.tasks).toMatchObject([{ attempts: [{ worker: workerRef(WORKER) }] }])
  await Promise.all([web.close(), worker.close()])
})

test('a host that was silent for a while lives on, and what dies on it afterwards is found, by itself and by the others', async () => {
  const [web, worker] = [await here.patrol(), await there.patrol()]
  const run = (task: number): void => {
    const taskId = taskIdOf(task)
    there.write(WORKER, spawned(1, { taskId }), started(2, task, { taskId }))
  }
  const state = async (task: number): Promise<string | undefined> =>
    (await here.ledger.tasks([taskIdOf(task)])).get(taskIdOf(task))?.derived.state
  const lostBySilence = (): Promise<void> =>
    expect.poll(async () => (await web.sweepOnce()).lost, { timeout: 10_000, interval: 50 }).toBe(1)
  run(20)
  await Promise.all([web.sweepOnce(), worker.sweepOnce()])
  await lostBySilence()

  // It is back, with a patrol that asks the ledger how far it was; the process never knew of all that.
  const again = await there.patrol()
  run(21)
  await again.sweepOnce()
  expect([await state(20), await state(21)]).toEqual(['lost', 'running'])
  expect(there.files()).toContain(`${WORKER}.000001.wal`)
  await lostBySilence()
  expect(await state(21)).toBe('lost')

  const oncemore = await there.patrol()
  run(22)
  there.seen.set(WORKER, 'dead')
  await oncemore.sweepOnce()
  expect(await state(22)).toBe('lost')
  await Promise.all([web.close(), worker.close()])
})
