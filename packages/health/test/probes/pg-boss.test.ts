import type { ProbeResult } from '@afterspan/core/internal'
import { beforeEach, expect, test } from 'vitest'
import { pgBossHook } from '../../src/probes/pg-boss.ts'
import { worstQueue, type QueueThresholds } from '../../src/probes/queue-judgement.ts'
import type { FoundProbe } from '../../src/registry.ts'
import { probeConformance } from '../probe-conformance.ts'

const THRESHOLDS: QueueThresholds = { status: 'warn', mostWaiting: 0, oldestMs: 900_000 }
const IDLE = { name: 'mail', waiting: 0, oldest_ms: null as number | null, active: 0, stalled: 0 }

class FakeBoss {
  readonly asked: { readonly text: string; readonly values: unknown[] }[] = []
  rows: object[] = [IDLE]
  answer = async (): Promise<void> => {}
  schema: string | undefined = 'pgboss'
  getDb(): object {
    return {
      config: { schema: this.schema },
      executeSql: async (text: string, values: unknown[]) => {
        this.asked.push({ text, values })
        await this.answer()
        return { rows: this.rows }
      },
    }
  }
  async start(): Promise<this> {
    return this
  }
  async stop(): Promise<void> {}
  async send(..._given: unknown[]): Promise<string> {
    return 'id'
  }
  async work(..._given: unknown[]): Promise<void> {}
}

let found: { readonly probe: FoundProbe; readonly madeAt: string | undefined }[]
let rejected: string[]
let now: number
let Made: typeof FakeBoss
const kept: FakeBoss[] = []

beforeEach(() => {
  found = []
  rejected = []
  now = 0
  Made = class extends FakeBoss {}
  for (const method of ['start', 'stop', 'send', 'work'] as const)
    Object.defineProperty(Made.prototype, method, { value: FakeBoss.prototype[method], writable: true })
  const hook = pgBossHook(
    (probe, madeAt) => found.push({ probe, madeAt }),
    { monotonicMs: () => now },
    (why) => rejected.push(why),
    THRESHOLDS,
  )
  for (let i = 0; i < 2; i++) hook.patch({ PgBoss: Made }, { version: '12.38.0', format: 'module' })
})

function made(): FakeBoss {
  const boss = new Made()
  kept.push(boss) // the probe itself does not keep it
  return boss
}
async function started(): Promise<FakeBoss> {
  const boss = made()
  await boss.start()
  await boss.send('mail', {})
  return boss
}
function check(signal = new AbortController().signal): Promise<ProbeResult> {
  return found.at(-1)!.probe.check(signal)
}

test('an instance is found when it starts, once, with the place, and goes when it stops', async () => {
  const boss = made()
  await boss.start()
  await boss.start()
  expect(found).toHaveLength(1)
  expect(found[0]!.madeAt).toMatch(/pg-boss\.test\.ts:\d+$/)
  await boss.stop()
  expect(found[0]!.probe.isGone()).toBe(true)
  await boss.start()
  expect([found.length, found[1]!.probe.isGone()]).toEqual([2, false])
})

test('one whose schema nobody knows, since the app has brought the database, is left alone', async () => {
  const boss = made()
  boss.schema = undefined
  await boss.start()
  expect(found).toEqual([])
})

test('it is asked for the queues that the app has named, and for none before', async () => {
  const boss = made()
  await boss.start()
  expect(await check()).toEqual({ status: 'pass' })
  await boss.work('mail', {}, async () => {})
  await boss.send({ name: 'orders', data: {} })
  await check()
  expect(boss.asked.map(({ values }) => values)).toEqual([[['mail', 'orders']]])
  expect(boss.asked[0]!.text).toContain('"pgboss".job')
})

test('a question that takes long is not asked again soon, and its answer stands', async () => {
  const boss = await started()
  boss.rows = [{ ...IDLE, waiting: 1, oldest_ms: 900_001 }]
  boss.answer = async () => void (now += 1000)
  for (let i = 0; i < 3; i++) expect(await check()).toMatchObject({ status: 'warn', code: 'waiting_too_long' })
  expect(boss.asked).toHaveLength(1)
  now += 20_000
  await check()
  expect(boss.asked).toHaveLength(2)
})

test('jobs beyond their time that nobody takes back are told of', async () => {
  const boss = await started()
  boss.rows = [IDLE, { ...IDLE, name: 'orders', active: 3, stalled: 2 }]
  expect(await check()).toMatchObject({
    status: 'warn',
    code: 'jobs_stalled',
    observed: { queue: { value: 'orders' }, active: { value: 3 }, stalled: { value: 2 } },
  })
})

test('a version whose jobs do not wait for others is asked without that', async () => {
  const boss = await started()
  boss.answer = async () => {
    if (boss.asked.at(-1)!.text.includes('blocked')) throw Object.assign(new Error('no such column'), { code: '42703' })
  }
  expect(await check()).toMatchObject({ status: 'pass' })
  expect(boss.asked.map(({ text }) => text.includes('blocked'))).toEqual([true, false])
})

test('a database that is not open is no trouble of the queues, and one that refuses is', async () => {
  const boss = await started()
  boss.answer = async () => {
    throw new Error('Database not opened. Call start() before using pg-boss, or again after stop().')
  }
  expect(await check()).toEqual({ status: 'pass' })
  boss.answer = async () => {
    throw Object.assign(new Error('permission denied for table job'), { code: '42501' })
  }
  expect(await check()).toMatchObject({ status: 'fail', code: '42501' })
})

test('a database that is silent has one question on its way, not one for each round', async () => {
  const boss = await started()
  boss.answer = () => new Promise(() => {})
  for (let i = 0; i < 2; i++)
    expect(await check(AbortSignal.abort())).toMatchObject({ status: 'fail', code: 'timeout' })
  expect(boss.asked).toHaveLength(1)
})

test('of several queues the worst is told, and of those that are alike the one in which a job waits longest', () => {
  const told = (given: Record<string, object>): unknown =>
    worstQueue(
      new Map(Object.entries(given).map(([name, more]) => [name, { waiting: 0, active: 0, ...more }])),
      THRESHOLDS,
    ).observed?.['queue']?.value
  expect(told({ a: { oldestMs: 5 }, b: { oldestMs: 9 }, c: {} })).toBe('b')
  expect(told({ a: { stalled: 1 }, b: { oldestMs: 800_000 } })).toBe('a')
  expect(told({ b: { oldestMs: 800_000 }, a: { stalled: 1 } })).toBe('a')
  expect(told({})).toBeUndefined()
})

test('more than twenty are said and left alone', async () => {
  for (let i = 0; i < 21; i++) await started()
  expect([found.length, rejected]).toEqual([20, ['there are 20 instances of pg-boss already']])
})

probeConformance('pg-boss', {
  well: async () => {
    await started()
    return found.at(-1)!.probe
  },
  sick: async () => {
    const boss = await started()
    boss.answer = async () => {
      throw Object.assign(new Error('connect ECONNREFUSED db.internal:5432'), { code: 'ECONNREFUSED' })
    }
    return found.at(-1)!.probe
  },
  silent: async () => {
    const boss = await started()
    boss.answer = () => new Promise(() => {})
    return found.at(-1)!.probe
  },
  secrets: ['db.internal'],
})
