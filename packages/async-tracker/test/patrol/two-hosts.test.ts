// Two patrols of two ledger folders with one ledger in PostgreSQL: a promise on one host, its work on the other.
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest'
import { present, service, type MissingServer, type ServerOf } from '../../../testing/src/services.ts'
import { createPostgresLedger } from '../../src/ledger/postgres.ts'
import { answered, confirmed, spawned, started, succeeded, TASK, WEB, WORKER } from '../sample-events.ts'
import { requestCounts } from './desk.ts'
import { Stage } from './stage.ts'

const LEASE = { renewMs: 0, leaseMs: 400 }

let postgres: ServerOf['postgres'] | MissingServer
let here: Stage
let there: Stage

beforeAll(async () => {
  postgres = await service('postgres')
}, 60_000)
afterAll(async () => {
  if (!('missing' in postgres)) await postgres.stop()
})
beforeEach((context) => {
  const { url } = present(postgres, context)
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
