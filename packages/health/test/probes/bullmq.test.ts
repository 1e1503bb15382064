import type { ProbeResult } from '@afterspan/core/internal'
import { beforeEach, expect, test, vi } from 'vitest'
import { bullmqHook, type Queue } from '../../src/probes/bullmq.ts'
import { judgeQueue, type QueueAnswer, type QueueThresholds } from '../../src/probes/queue-judgement.ts'
import type { FoundProbe } from '../../src/registry.ts'
import { probeConformance } from '../probe-conformance.ts'

const THRESHOLDS: QueueThresholds = { status: 'warn', mostWaiting: 0, oldestMs: 900_000 }

class FakeQueue implements Queue {
  readonly name = 'mail'
  closing: unknown
  readonly asked: string[] = []
  counts: Readonly<Record<string, number>> = {}
  workers = 1
  /** Jobs at work, the newest first, and those of them that a worker holds. */
  atWork: string[] = []
  locked: string[] = []
  readonly client = Promise.resolve({
    lrange: async () => this.atWork,
    exists: async (key: string) => Number(this.locked.some((id) => key === `bull:mail:${id}:lock`)),
  })
  readonly backend?: NonNullable<Queue['backend']>
  toKey(type: string): string {
    return `bull:mail:${type}`
  }
  answer = async (): Promise<void> => {}
  constructor() {
    this.waitUntilReady()
  }
  waitUntilReady(): void {}
  async getJobCounts(): Promise<Readonly<Record<string, number>>> {
    this.asked.push('counts')
    await this.answer()
    return this.counts
  }
  async getJobs(): Promise<readonly { timestamp: number; delay: number }[]> {
    this.asked.push('oldest')
    return [{ timestamp: Date.now() - 60_000, delay: 20_000 }]
  }
  async getWorkers(): Promise<readonly object[]> {
    return Array.from({ length: await this.getWorkersCount() }, () => ({}))
  }
  async getWorkersCount(): Promise<number> {
    this.asked.push('workers')
    return this.workers
  }
  async isPaused(): Promise<boolean> {
    return false
  }
}

let found: { readonly probe: FoundProbe; readonly madeAt: string | undefined }[]
let rejected: string[]
let Made: typeof FakeQueue
const kept: FakeQueue[] = []

beforeEach(() => {
  found = []
  rejected = []
  Made = class extends FakeQueue {}
  Object.defineProperty(Made.prototype, 'waitUntilReady', { value: () => {}, writable: true })
  const hook = bullmqHook(
    (probe, madeAt) => found.push({ probe, madeAt }),
    (why) => rejected.push(why),
    THRESHOLDS,
  )
  for (let i = 0; i < 2; i++) hook.patch({ Queue: Made }, { version: '6.7.0', format: 'commonjs' })
})

function queue(): FakeQueue {
  const made = new Made()
  kept.push(made) // the probe itself does not keep it
  return made
}
function check(signal = new AbortController().signal): Promise<ProbeResult> {
  return found.at(-1)!.probe.check(signal)
}

test('a queue is found as it is made, once, with the place, and goes when the app closes it', () => {
  const made = queue()
  made.waitUntilReady()
  expect(found).toHaveLength(1)
  expect(found[0]!.madeAt).toMatch(/bullmq\.test\.ts:\d+$/)
  made.closing = Promise.resolve()
  expect(found[0]!.probe.isGone()).toBe(true)
})

test('what costs more is asked only where jobs wait, and for workers where none is at work', async () => {
  const made = queue()
  await check()
  made.counts = { waiting: 2, active: 1 }
  expect(await check()).toMatchObject({ status: 'pass', observed: { waiting: { value: 2 }, oldest: { unit: 'ms' } } })
  made.counts = { waiting: 1, prioritized: 1 }
  made.workers = 0
  expect(await check()).toMatchObject({ status: 'warn', code: 'no_worker', observed: { workers: { value: 0 } } })
  expect(made.asked).toEqual(['counts', 'counts', 'oldest', 'counts', 'oldest', 'workers'])
})

test.for(['5', '6'])(
  'a job at work of BullMQ %s that nobody holds, and nobody takes back, is told of with the workers',
  async (version) => {
    const made = queue()
    const now = vi.spyOn(performance, 'now').mockReturnValue(0)
    made.counts = { active: 2 }
    made.atWork = ['2', '1']
    made.locked = ['2']
    made.workers = 0
    if (version === '6') Object.assign(made, { client: undefined, backend: { client: made.client } })
    expect(await check()).toMatchObject({ status: 'pass', observed: { unlocked: { value: 1 } } })
    now.mockReturnValue(74_000)
    expect(await check()).toMatchObject({ status: 'pass' })
    now.mockReturnValue(76_000)
    expect(await check()).toMatchObject({
      status: 'warn',
      code: 'jobs_stalled',
      observed: { stalled: { value: 1 }, workers: { value: 0 }, active: { value: 2 } },
    })
    expect(made.asked).toEqual(['counts', 'counts', 'counts', 'workers'])
    // Another waits, and the one at work is nobody's: that is said before it is known to be stalled.
    now.mockReturnValue(0)
    Object.assign(made, { counts: { waiting: 1, active: 1 }, atWork: ['3'] })
    expect(await check()).toMatchObject({ status: 'warn', code: 'no_worker' })
    Object.assign(made, { counts: { active: 2 }, atWork: ['2', '1'] })
    made.locked = ['1', '2']
    expect(await check()).toMatchObject({ status: 'pass' })
    made.locked = ['2']
    expect(await check()).toMatchObject({ status: 'pass' })
    now.mockRestore()
  },
)

test('a server that is silent has one question on its way, not one for each round', async () => {
  const made = queue()
  made.answer = () => new Promise(() => {})
  expect(await check(AbortSignal.abort())).toMatchObject({ status: 'fail', code: 'timeout' })
  expect(await check(AbortSignal.abort())).toMatchObject({ status: 'fail', code: 'timeout' })
  expect(made.asked).toEqual(['counts'])
})

test('more than twenty are said and left alone', () => {
  for (let i = 0; i < 21; i++) queue()
  expect([found.length, rejected]).toEqual([20, ['there are 20 queues of BullMQ already']])
})

test.for<[string, Partial<QueueAnswer>, Partial<QueueThresholds>, string, string | undefined]>([
  ['many jobs', { waiting: 5000 }, {}, 'pass', undefined],
  ['more jobs than may wait', { waiting: 11 }, { mostWaiting: 10 }, 'warn', 'too_many_waiting'],
  ['an old job', { waiting: 1, oldestMs: 900_001 }, {}, 'warn', 'waiting_too_long'],
  ['an old job of an app that does not mind', { waiting: 1, oldestMs: 900_001 }, { oldestMs: 0 }, 'pass', undefined],
  ['a paused queue', { waiting: 1, isPaused: true }, {}, 'warn', 'queue_paused'],
  ['a paused queue in which nothing waits', { isPaused: true }, {}, 'pass', undefined],
  ['jobs whose worker is gone', { active: 1, stalled: 1, workers: 0 }, {}, 'warn', 'jobs_stalled'],
  ['nobody to run them', { waiting: 1, workers: 0 }, {}, 'warn', 'no_worker'],
  ['nobody to run them, which is to be a fail', { waiting: 1, workers: 0 }, { status: 'fail' }, 'fail', 'no_worker'],
])('%s', ([, answer, thresholds, status, code]) => {
  const all = { waiting: 0, active: 0, delayed: 0, isPaused: false, ...answer }
  const result = judgeQueue(all, 'orders.mail', { ...THRESHOLDS, ...thresholds })
  expect([result.status, result.code]).toEqual([status, code])
})

probeConformance('bullmq', {
  well: () => {
    queue()
    return found.at(-1)!.probe
  },
  sick: () => {
    queue().answer = async () => {
      throw new Error('Connection is closed: redis.internal:6379')
    }
    return found.at(-1)!.probe
  },
  silent: () => {
    queue().answer = () => new Promise(() => {})
    return found.at(-1)!.probe
  },
  secrets: ['redis.internal'],
})
