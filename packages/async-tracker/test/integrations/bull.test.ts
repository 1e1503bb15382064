// What the integration of Bull asks of the kit, on a real Redis, in the oldest and the newest version.
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'
import { present, service, type MissingServer, type ServerOf } from '../../../testing/src/services.ts'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { bull } from '../../src/integrations/bull.ts'
import { createFakeKit, type Run } from './fake-kit.ts'
import { installed } from './installed.ts'

const fake = createFakeKit()
const { sent, runs, settled } = fake
let redis: ServerOf['redis'] | MissingServer
let queues = 0

beforeAll(async () => {
  redis = await service('redis')
})
afterAll(async () => {
  if (!('missing' in redis)) await redis.stop()
})

describe.each(['bull', 'bull-oldest'])('%s', (library) => {
  const Queue = installed(library)
  const open: { close(doNotWait?: boolean): Promise<void> }[] = []
  const createQueue = (options: object = {}, name = `q${++queues}`): any => {
    const { host, port } = redis as ServerOf['redis']
    const queue = new Queue(name, { redis: { host, port }, ...options })
    open.push(queue)
    return queue
  }

  beforeAll(() => {
    bull.patch(Queue, fake.kit)
    bull.patch(Queue, fake.kit) // as when it is loaded twice
  })
  beforeEach((context) => {
    present(redis, context)
    fake.clear()
  })
  afterEach(async () => {
    for (const each of open.splice(0).reverse()) await each.close(true)
    if (fake.errors.length > 0) throw new AggregateError(fake.errors)
  })

  describe('sending', () => {
    test('a job is one task, and neither its data nor its options show it', async () => {
      const queue = createQueue()
      const data = Object.freeze({ order: 7 })
      const job = await queue.add('pay', data, Object.freeze({ priority: 1 }))
      expect(sent).toMatchObject([
        { draft: { system: 'bull', destination: queue.name, name: 'pay' }, state: 'confirmed', messageId: job.id },
      ])
      expect(job.data).toEqual(data)
      const stored = await queue.getJob(job.id)
      expect(stored.data).toEqual(data)
      for (const each of [job, stored]) expect(Object.keys(each.opts)).not.toContain('afterspan')
      const [text] = await queue.client.hmget(queue.toKey(job.id), 'opts')
      expect(JSON.parse(text).afterspan).toEqual({ traceparent: sent[0]!.traceparent })
      await queue.add([1])
      expect(sent[1]).toMatchObject({ draft: { name: '__default__' }, state: 'confirmed' })
    })

    test('addBulk() makes one task for each job', async () => {
      const queue = createQueue()
      const jobs = await queue.addBulk([
        { name: 'a', data: 1 },
        { data: null, opts: { delay: 10 } },
      ])
      expect(sent).toMatchObject([
        { draft: { name: 'a' }, messageId: jobs[0].id, state: 'confirmed' },
        { draft: { name: '__default__' }, messageId: jobs[1].id, state: 'confirmed' },
      ])
      expect(JSON.stringify(jobs)).not.toContain('traceparent')
    })

    test('a job that there is already is no second task', async () => {
      const queue = createQueue()
      await queue.add('pay', {}, { jobId: 'one' })
      await queue.add('pay', {}, { jobId: 'one' })
      await queue.addBulk([
        { name: 'pay', data: {}, opts: { jobId: 'one' } },
        { name: 'pay', data: {}, opts: { jobId: 'two' } },
      ])
      expect(sent.map(({ state }) => state)).toEqual(['confirmed', 'deduplicated', 'deduplicated', 'confirmed'])
    })

    test('jobs wait in another order than they were added in', async () => {
      const queue = createQueue()
      const held = { debounce: { id: 'd', ttl: 60_000 } }
      await Promise.all([
        queue.add({ n: 'a' }, { jobId: 'a' }),
        queue.add({ n: 'b' }),
        queue.add({ n: 'c' }, held),
        queue.add({ n: 'd' }),
        // 4.0 itself is one step later with these.
        queue.addBulk([{ data: { n: 'e' }, opts: { jobId: 'e' } }]),
      ])
      const waiting: any[] = await queue.getWaiting()
      expect(waiting.map(({ data }) => data.n)).toEqual('abcde'.split(''))
    })

    test('repeatable jobs belong to no request', async () => {
      const queue = createQueue()
      await queue.add('tick', {}, { repeat: { every: 50 } })
      await consume(
        queue,
        async () => {},
        () => runs.filter(hasEnded).length >= 2,
        'tick',
      )
      expect(sent).toEqual([])
      expect(runs[1]).toMatchObject({ traceparent: undefined, state: 'succeeded' })
    })

    test('an error reaches the caller as it was', async () => {
      const queue = createQueue()
      const circular: Record<string, unknown> = {}
      circular['self'] = circular
      await expect(queue.add('pay', circular)).rejects.toThrow(/circular/i)
      expect(sent).toMatchObject([{ state: 'never_enqueued' }])
    })
  })

  describe('running', () => {
    test.each([
      ['a promise', async () => 'done'],
      [
        'a callback',
        (_job: unknown, done: (error: unknown, value: unknown) => void) => setImmediate(done, null, 'done'),
      ],
      ['a value', () => 'done'],
    ])('a handler that gives %s', async (_, handler) => {
      const queue = createQueue()
      const job = await queue.add({ order: 7 })
      await consume(queue, handler, () => runs.some(hasEnded))
      expect(runs).toMatchObject([
        {
          info: { system: 'bull', destination: queue.name, name: '__default__', attempt: 1, messageId: job.id },
          traceparent: sent[0]!.traceparent,
          state: 'succeeded',
        },
      ])
      await expect(job.finished()).resolves.toBe('done')
    })

    test('retries until they are exhausted', async () => {
      const queue = createQueue()
      await queue.add('pay', {}, { attempts: 2, backoff: 10 })
      await consume(
        queue,
        () => Promise.reject(new Error('no')),
        () => runs.filter(hasEnded).length === 2,
        '*',
      )
      expect(runs.map(({ state, info }) => [state, info.attempt])).toEqual([
        ['retrying', 1],
        ['failed', 2],
      ])
      expect(settled).toEqual([])
    })

    test('what a handler discards is not tried again', async () => {
      const queue = createQueue()
      await queue.add({}, { attempts: 3 })
      const handler = async (job: any): Promise<never> => {
        job.discard()
        throw new Error('no')
      }
      await consume(queue, handler, () => runs.some(hasEnded))
      expect(runs).toMatchObject([{ state: 'failed' }])
    })

    test('a job whose time is over has failed, though its handler goes on', async () => {
      const queue = createQueue()
      await queue.add({}, { timeout: 20 })
      await consume(
        queue,
        () => new Promise(() => {}),
        () => runs.some(hasEnded),
      )
      expect(runs).toMatchObject([{ state: 'failed', info: { failedAs: 'expired' }, error: { name: 'TimeoutError' } }])
    })

    test('a handler that has run out of a time of its own has not', async () => {
      const queue = createQueue()
      await queue.add({}, { timeout: 10_000 })
      const late = new DOMException('late', 'TimeoutError')
      await consume(
        queue,
        () => Promise.reject(late),
        () => runs.some(hasEnded),
      )
      expect(runs).toMatchObject([{ state: 'failed', error: late }])
      expect(runs[0]!.info.failedAs).toBeUndefined()
    })

    const circular: Record<string, unknown> = {}
    circular['self'] = circular
    test.each([circular, 10n])('a job whose result Bull could not store counted as done', async (result) => {
      const queue = createQueue()
      const job = await queue.add({})
      await consume(
        queue,
        async () => result,
        () => runs.some(hasEnded),
      )
      expect(runs).toMatchObject([{ state: 'failed', error: { name: 'TypeError' } }])
      await expect(job.finished()).rejects.toThrow(/circular|BigInt/i)
      expect(settled).toEqual([])
    })

    test('what makes the JSON of a result is called by Bull alone', async () => {
      const queue = createQueue()
      const job = await queue.add({})
      let calls = 0
      await consume(
        queue,
        async () => ({ toJSON: () => ({ calls: ++calls }) }),
        () => runs.some(hasEnded),
      )
      await expect(job.finished()).resolves.toEqual({ calls: 1 })
    })

    test('a back-off strategy that gives up ends the task', async () => {
      const queue = createQueue({ settings: { backoffStrategies: { never: () => -1 } } })
      await queue.add({}, { attempts: 3, backoff: { type: 'never' } })
      await consume(
        queue,
        () => Promise.reject(new Error('no')),
        () => settled.length > 0,
      )
      expect(runs).toMatchObject([{ state: 'retrying' }])
      expect(settled).toEqual([{ taskId: sent[0]!.taskId, event: 'failed', reason: 'retries_exhausted' }])
    })

    test('a job that nobody has a handler for has failed, though nobody ran it', async () => {
      const queue = createQueue()
      await queue.add('other', {})
      await consume(
        queue,
        async () => {},
        () => settled.length > 0,
        'pay',
      )
      expect(runs).toEqual([])
      expect(settled).toMatchObject([{ taskId: sent[0]!.taskId, event: 'failed' }])
    })

    test('a job that had failed for good, and is retried by hand, comes back', async () => {
      const queue = createQueue()
      const job = await queue.add({})
      let count = 0
      const handler = async (): Promise<void> => {
        if (++count === 1) throw new Error('no')
      }
      queue.on('failed', () => void queue.getJob(job.id).then((it: any) => it.retry()))
      await consume(queue, handler, () => runs.filter(hasEnded).length === 2)
      expect(runs).toMatchObject([
        { info: { attempt: 1 }, state: 'failed' },
        { info: { attempt: 2, isReturn: true }, state: 'succeeded' },
      ])
    })

    test(
      'a job that stalled is run again, and once too often has failed, though nobody ran it',
      { timeout: 20_000 },
      async () => {
        const settings = { lockDuration: 100, lockRenewTime: 10_000, stalledInterval: 100, maxStalledCount: 1 }
        const queue = createQueue({ settings })
        await queue.add({})
        await consume(
          queue,
          () => new Promise(() => {}),
          () => settled.length > 0,
          '__default__',
          3,
        )
        expect(runs.map(({ info }) => [info.attempt, info.maxAttempts, info.isTakeover])).toEqual([
          [1, 1, undefined],
          [2, 2, true],
        ])
        expect(settled).toEqual([{ taskId: sent[0]!.taskId, event: 'failed', reason: 'retries_exhausted' }])
      },
    )

    // The oldest takes no file that ends in .cjs.
    test.skipIf(library !== 'bull')('a handler in a child process', { timeout: 20_000 }, async () => {
      const queue = createQueue()
      const job = await queue.add({ answer: 7 })
      const file = fileURLToPath(new URL('sandboxed.cjs', import.meta.url))
      const heard: unknown[] = []
      for (const event of ['active', 'progress']) queue.on(event, (of: unknown) => heard.push(of))
      const completed = once(queue, 'completed')
      await consume(queue, file, () => runs.some(hasEnded))
      expect(runs).toMatchObject([{ state: 'succeeded', traceparent: sent[0]!.traceparent }])
      await expect(job.finished()).resolves.toEqual({ was: 7 })
      // Each event names the same job.
      const [ended] = await completed
      expect(heard).toHaveLength(2)
      for (const of of heard) expect(of).toBe(ended)
    })

    test('a job that its own handler had failed counted as done', async () => {
      const queue = createQueue()
      await queue.add({}, { attempts: 2 })
      const handler = async (job: any): Promise<void> => {
        await job.moveToFailed({ message: 'no paper' }, true)
      }
      await consume(queue, handler, () => runs.filter(hasEnded).length === 2)
      expect(runs.map(({ state }) => state)).toEqual(['retrying', 'failed'])
      expect(settled).toEqual([])
    })

    test('jobs that the app gets and settles itself', async () => {
      const queue = createQueue()
      await queue.addBulk([{ data: 1 }, { data: 2, opts: { attempts: 2 } }, { data: 3 }])
      const first = await queue.getNextJob()
      const [data, id] = await first.moveToCompleted('done', true)
      expect(runs.map(({ state }) => state)).toEqual(['succeeded'])
      const second = await queue.nextJobFromJobData(data, id)
      await second.moveToFailed({ message: 'no' }, true)
      expect(runs.map(({ state }) => state)).toEqual(['succeeded', 'retrying'])
      expect(runs.map(({ traceparent }) => traceparent)).toEqual(sent.slice(0, 2).map((task) => task.traceparent))
      expect(settled).toEqual([])
    })

    test('jobs of one id, got by hand from queues of one name and two prefixes, were taken for one', async () => {
      const name = `q${++queues}`
      const [one, other] = ['one', 'other'].map((prefix) => createQueue({ prefix }, name))
      await one.add({})
      await other.add({})
      const jobs = [await one.getNextJob(), await other.getNextJob()]
      await jobs[0].moveToFailed({ message: 'no' }, true)
      expect(runs.map(({ state }) => state)).toEqual(['failed', 'running'])
      await jobs[1].moveToCompleted('fine', true)
      expect(runs.map(({ state }) => state)).toEqual(['failed', 'succeeded'])
    })
  })

  describe('taking away', () => {
    const cancelled = (at: readonly number[]): object[] =>
      at.map((i) => ({ taskId: sent[i]!.taskId, event: 'cancelled', reason: 'aborted' }))

    test('a job that is removed before anybody has it is cancelled', async () => {
      const queue = createQueue()
      const job = await queue.add({})
      await job.remove()
      await queue.add({}, { jobId: 'x1', delay: 60_000 })
      const other = await queue.add({}, { jobId: 'y1' })
      await queue.removeJobs('x*')
      expect(settled).toEqual(cancelled([0, 1]))
      const stored = await queue.getJob(other.id)
      await stored.remove()
      expect(settled).toEqual(cancelled([0, 1, 2]))
    })

    test('so are those of a queue that is emptied, cleaned or obliterated', async () => {
      const queue = createQueue()
      await queue.add({})
      const delayed = await queue.add({}, { delay: 60_000 })
      // Bull leaves what is of the same millisecond.
      while (Date.now() <= delayed.timestamp) await new Promise(setImmediate)
      await queue.clean(0, 'delayed')
      expect(settled).toEqual(cancelled([1]))
      await queue.add({}, { delay: 60_000 })
      await queue.empty()
      expect(settled).toEqual(cancelled([1, 0, 2]))
      await queue.add({})
      await queue.obliterate()
      expect(settled).toEqual(cancelled([1, 0, 2, 3]))
    })

    // Redis does in order what it is asked: what the app asks must not come later than it would without us.
    test('a queue that is emptied, and a job that is removed, take what is added right after', async () => {
      const queue = createQueue()
      await queue.add({ n: 'old' })
      await queue.add({ n: 'later' }, { delay: 60_000 })
      await Promise.all([queue.empty(), queue.add({ n: 'new' })])
      expect((await queue.getWaiting()).map(({ data }: any) => data.n)).toEqual(['new'])
      const own = await queue.add({ n: 'old' }, { jobId: 'own' })
      await Promise.all([own.remove(), queue.add({ n: 'new' }, { jobId: 'own' })])
      expect((await queue.getJob('own')).data).toEqual({ n: 'new' })
      expect(settled).toEqual(cancelled([0, 1, 3]))
    })

    test('a job that is removed as its queue is closed was not', async () => {
      const queue = createQueue()
      const job = await queue.add({})
      await Promise.all([job.remove(), queue.close()])
      expect(settled).toEqual(cancelled([0]))
    })

    test('what is done or has failed is not', async () => {
      const queue = createQueue()
      await queue.add({ fails: true })
      await queue.add({})
      const handler = async ({ data }: any): Promise<void> => {
        if (data.fails) throw new Error('no')
      }
      await consume(queue, handler, () => runs.filter(hasEnded).length === 2)
      await queue.obliterate({ force: true })
      expect(settled).toEqual([])
    })
  })

  async function consume(
    queue: any,
    handler: unknown,
    until: () => boolean,
    name = '__default__',
    concurrency = 1,
  ): Promise<void> {
    queue.on('error', () => {})
    queue.process(name, concurrency, handler).catch(() => {})
    await fake.until(until)
    await queue.pause(true, true)
  }
})

function hasEnded({ state }: Run): boolean {
  return state !== 'running'
}
