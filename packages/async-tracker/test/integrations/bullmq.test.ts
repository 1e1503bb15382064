// What the integration of BullMQ asks of the kit, on a real Redis.
import { once } from 'node:events'
import { createRequire } from 'node:module'
import { dirname } from 'node:path'
import { fileURLToPath } from 'node:url'
import { present, service, type MissingServer, type ServerOf } from '../../../testing/src/services.ts'
import * as library from 'bullmq'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { bullmq } from '../../src/integrations/bullmq.ts'
import { createFakeKit, type Run } from './fake-kit.ts'
import { installed } from './installed.ts'

const { FlowProducer, Job, Queue, Worker, DelayedError, UnrecoverableError, WaitingChildrenError } = library
const METHODS = [
  [Job, 'create'],
  [Job, 'createBulk'],
  [Job.prototype, 'remove'],
  [Queue.prototype, 'remove'],
  [FlowProducer.prototype, 'add'],
  [FlowProducer.prototype, 'addBulk'],
  [Worker.prototype, 'callProcessJob'],
  [Worker.prototype, 'emit'],
  [Worker.prototype, 'getNextJob'],
  [Job.prototype, 'moveToCompleted'],
  [Worker.prototype, 'run'],
] as const
const methods = (): unknown[] => METHODS.map(([target, method]) => Reflect.get(target, method))
const originals = methods()
const fake = createFakeKit()
const { sent, runs, settled } = fake
let redis: ServerOf['redis'] | MissingServer
const open: { close(force?: boolean): Promise<void> }[] = []
let queues = 0

beforeAll(async () => {
  redis = await service('redis')
  bullmq.patch(library as never, fake.kit)
})
afterAll(async () => {
  if (!('missing' in redis)) await redis.stop()
})
beforeEach((context) => {
  present(redis, context)
  fake.clear()
})
afterEach(async () => {
  for (const each of open.splice(0).reverse()) await each.close()
  if (fake.errors.length > 0) throw new AggregateError(fake.errors)
})

describe('sending', () => {
  test('a job is one task, and its data stays as it is', async () => {
    const queue = createQueue()
    const data = Object.freeze({ order: 7 })
    const job = await queue.add('pay', data, Object.freeze({ priority: 1 }))
    expect(sent).toMatchObject([
      { draft: { system: 'bullmq', destination: queue.name, name: 'pay' }, state: 'confirmed', messageId: job.id },
    ])
    expect(job.data).toBe(data)
    const stored = await Job.fromId(queue, job.id!)
    expect(stored!.data).toEqual({ order: 7 })
    expect(JSON.parse(stored!.opts.telemetry!.metadata!)).toEqual({ traceparent: sent[0]!.traceparent })
    expect(job).toBeInstanceOf(Job)
  })

  test('addBulk() makes one task for each job', async () => {
    const queue = createQueue()
    const jobs = await queue.addBulk([
      { name: 'a', data: 1 },
      { name: 'b', data: null, opts: { delay: 10 } },
    ])
    expect(sent).toMatchObject([
      { draft: { name: 'a' }, messageId: jobs[0]!.id, state: 'confirmed' },
      { draft: { name: 'b' }, messageId: jobs[1]!.id, state: 'confirmed' },
    ])
    expect(await queue.addBulk([])).toEqual([])
    expect(sent).toHaveLength(2)
  })

  test('a job that there is already is no second task', async () => {
    const queue = createQueue()
    await queue.add('pay', {}, { jobId: 'one' })
    await queue.add('pay', {}, { jobId: 'one' })
    await queue.add('pay', {}, { deduplication: { id: 'd' } })
    await queue.add('pay', {}, { deduplication: { id: 'd' } })
    await queue.addBulk([
      { name: 'pay', data: {}, opts: { jobId: 'one' } },
      { name: 'pay', data: {}, opts: { jobId: 'two' } },
    ])
    expect(sent.map(({ state }) => state)).toEqual([
      'confirmed',
      'deduplicated',
      'confirmed',
      'deduplicated',
      'deduplicated',
      'confirmed',
    ])
  })

  test('a job that one held back which was done and removed stayed enqueued for ever', async () => {
    const queue = createQueue()
    const opts = { deduplication: { id: 'd', ttl: 60_000 }, removeOnComplete: true }
    await queue.add('first', {}, opts)
    await consume(
      queue,
      async () => {},
      () => runs.filter(hasEnded).length === 1,
    )
    await queue.add('second', {}, opts)
    await queue.addBulk([{ name: 'third', data: {}, opts }])
    expect(sent.map(({ state }) => state)).toEqual(['confirmed', 'deduplicated', 'deduplicated'])
  })

  test('a job that a newer one replaced, delayed or waiting for the one that runs, stayed enqueued for ever', async () => {
    const queue = createQueue()
    const replacing = { delay: 60_000, deduplication: { id: 'd', ttl: 60_000, extend: true, replace: true } }
    await queue.add('one', {}, replacing)
    await queue.add('two', {}, replacing)
    await queue.addBulk([{ name: 'three', data: {}, opts: replacing }])
    const cancelled = ({ taskId }: (typeof sent)[number]): object => ({
      taskId,
      event: 'cancelled',
      reason: 'deduplicated',
    })
    expect(settled).toEqual(sent.slice(0, 2).map(cancelled))

    const other = createQueue()
    const last = { deduplication: { id: 'l', keepLastIfActive: true } }
    const processor = async ({ name }: library.Job): Promise<void> => {
      if (name !== 'runs') return
      await other.add('next', {}, last)
      await other.add('newest', {}, last)
    }
    await other.add('runs', {}, last)
    await consume(other, processor, () => runs.filter(hasEnded).length === 2)
    expect(runs.map(({ info }) => info.name)).toEqual(['runs', 'newest'])
    expect(settled.slice(2)).toEqual(sent.filter(({ draft }) => draft.name === 'next').map(cancelled))
  })

  test('a job that was to follow the one that runs stayed enqueued for ever where that had not begun', async () => {
    const queue = createQueue()
    const last = { deduplication: { id: 'l', keepLastIfActive: true } }
    await queue.add('first', {}, last)
    await queue.add('second', {}, last)
    await queue.addBulk([
      { name: 'third', data: {}, opts: last },
      { name: 'own', data: {}, opts: { deduplication: { id: 'other', keepLastIfActive: true } } },
      { name: 'twin', data: {}, opts: { deduplication: { id: 'other', keepLastIfActive: true } } },
    ])
    const dropped = sent.filter(({ state }) => state === 'deduplicated').map(({ draft }) => draft.name)
    expect(dropped).toEqual(['second', 'third', 'twin'])
    await consume(
      queue,
      async () => {},
      () => runs.filter(hasEnded).length === 2,
    )
    expect(runs.map(({ info }) => info.name)).toEqual(['first', 'own'])
  })

  test('a flow makes one task for each node, in its own queue', async () => {
    const [parent, child] = [createQueue(), createQueue()]
    const flow = { name: 'all', queueName: parent.name, children: [{ name: 'part', queueName: child.name, data: 1 }] }
    const before = structuredClone(flow)
    const producer = keep(new FlowProducer({ connection: connection() }))
    const tree = await producer.add(flow)
    const trees = await producer.addBulk([{ name: 'alone', queueName: child.name }])
    expect(flow).toEqual(before)
    expect(sent).toMatchObject([
      { draft: { destination: parent.name, name: 'all' }, messageId: tree.job.id, state: 'confirmed' },
      { draft: { destination: child.name, name: 'part' }, messageId: tree.children![0]!.job.id, state: 'confirmed' },
      { draft: { destination: child.name, name: 'alone' }, messageId: trees[0]!.job.id, state: 'confirmed' },
    ])
    await consume(
      child,
      async () => {},
      () => runs.filter(hasEnded).length === 2,
    )
    await consume(
      parent,
      async () => {},
      () => runs.filter(hasEnded).length === 3,
    )
    expect(new Set(runs.map(({ traceparent }) => traceparent))).toEqual(
      new Set(sent.map(({ traceparent }) => traceparent)),
    )
    expect(runs[2]!.traceparent).toBe(sent[0]!.traceparent)
  })

  test('an error reaches the caller as it was', async () => {
    const queue = createQueue()
    const error = await queue.add('pay', { n: 1 }, { sizeLimit: 1 }).catch((thrown: unknown) => thrown)
    expect(error).toBeInstanceOf(Error)
    expect(sent).toMatchObject([{ state: 'never_enqueued', error }])
    await expect(queue.addBulk([{ name: 'a', data: {}, opts: { sizeLimit: 1 } }])).rejects.toThrow('exceeds the limit')
    expect(sent[1]).toMatchObject({ state: 'never_enqueued' })
  })

  test('a flow that is none gets BullMQ’s own words', async () => {
    const producer = keep(new FlowProducer({ connection: connection() }))
    const wrong = [undefined, [undefined], 'text', { name: 'all', queueName: 'q', children: [null] }]
    const words = async (): Promise<unknown[]> => {
      const found: unknown[] = []
      for (const flow of wrong)
        for (const method of ['add', 'addBulk'] as const)
          found.push(await producer[method](flow as never).catch(({ message }: Error) => message))
      return found
    }
    const withAfterspan = await words()
    fake.undo()
    expect(withAfterspan).toEqual(await words())
    bullmq.patch(library as never, fake.kit)
  })

  test('a producer that is closed makes no jobs', async () => {
    const producer = new FlowProducer({ connection: connection() })
    await producer.close()
    expect(await producer.add({ name: 'all', queueName: 'q' })).toBeUndefined()
    expect(sent.map(({ messageId }) => messageId)).toEqual([null])
  })

  test('the context that the app wants nowhere is nowhere', async () => {
    const queue = createQueue()
    const job = await queue.add('pay', {}, { telemetry: { omitContext: true }, jobId: 'one' })
    expect(job.opts.telemetry).toEqual({ omitContext: true })
    expect(sent).toMatchObject([{ state: 'confirmed', messageId: 'one' }])
  })

  test('a scheduler’s jobs belong to no request', async () => {
    const queue = createQueue()
    await queue.upsertJobScheduler('each minute', { every: 60_000 }, { name: 'tick' })
    await consume(
      queue,
      async () => {},
      () => hasEnded(runs[0]),
    )
    expect(sent).toEqual([])
    expect(runs).toMatchObject([{ traceparent: undefined, state: 'succeeded' }])
  })

  test('nor do repeatable jobs, as version 5 makes them', async () => {
    const job = await Job.create(createQueue() as never, 'tick', {}, { repeat: { every: 60_000 } } as never)
    expect(job.id).toBeTypeOf('string')
    expect(sent).toEqual([])
  })
})

describe('the app’s own telemetry', () => {
  test('keeps its metadata; the carrier goes beside it', async () => {
    const telemetry = createTelemetry()
    const queue = createQueue({ telemetry })
    await queue.add('pay', { n: 1 })
    const [job] = await queue.getJobs()
    expect(job!.opts.telemetry).toEqual({ metadata: '{"traceparent":"theirs"}' })
    const producer = keep(new FlowProducer({ connection: connection(), telemetry: telemetry as never }))
    await producer.add({ name: 'pay', queueName: queue.name, opts: {} })
    const seen: unknown[] = []
    await consume(
      queue,
      async ({ data, opts }) => seen.push([data, opts.telemetry]),
      () => runs.filter(hasEnded).length === 2,
    )
    expect(seen).toEqual([
      [{ n: 1 }, { metadata: '{"traceparent":"theirs"}' }],
      [{}, { metadata: '{"traceparent":"theirs"}' }],
    ])
    expect(runs.map(({ traceparent }) => traceparent)).toEqual(sent.map(({ traceparent }) => traceparent))
  })

  test('of a producer without Afterspan names the task', async () => {
    const queue = createQueue()
    fake.undo()
    await queue.add('pay', {}, { telemetry: { metadata: '{"traceparent":"theirs"}' } })
    await queue.add('pay', {}, { telemetry: { metadata: 'no JSON' } })
    bullmq.patch(library as never, fake.kit)
    await consume(
      queue,
      async () => {},
      () => runs.filter(hasEnded).length === 2,
    )
    expect(runs.map(({ traceparent }) => traceparent)).toEqual(['theirs', undefined])
  })
})

describe('running', () => {
  test('retries until they are exhausted', async () => {
    const queue = createQueue()
    await queue.add('pay', {}, { attempts: 3 })
    const error = new TypeError('no luck')
    const throwing = async (): Promise<never> => {
      throw error
    }
    await consume(queue, throwing, () => runs.at(-1)?.state === 'failed')
    expect(runs.map(({ info: { attempt, maxAttempts }, state }) => [attempt, maxAttempts, state])).toEqual([
      [1, 3, 'retrying'],
      [2, 3, 'retrying'],
      [3, 3, 'failed'],
    ])
    expect(runs[0]!.error).toBe(error)
    expect(runs.every(({ traceparent }) => traceparent === sent[0]!.traceparent)).toBe(true)
    expect(settled).toEqual([])
  })

  test('without attempts the first failure is the last', async () => {
    const queue = createQueue()
    await queue.add('pay', {})
    await consume(
      queue,
      () => Promise.reject(new Error('no')),
      () => hasEnded(runs[0]),
    )
    expect(runs).toMatchObject([{ info: { attempt: 1, maxAttempts: 1 }, state: 'failed' }])
  })

  class Hopeless extends UnrecoverableError {}
  class Foreign extends Error {
    override name = 'UnrecoverableError'
  }
  test.for([UnrecoverableError, Hopeless, Foreign])('%o is final', async (Thrown) => {
    const queue = createQueue()
    await queue.add('pay', {}, { attempts: 3 })
    await consume(
      queue,
      () => Promise.reject(new Thrown('no')),
      () => hasEnded(runs[0]),
    )
    expect(runs).toMatchObject([{ info: { attempt: 1 }, state: 'failed' }])
    expect(settled).toEqual([])
  })

  // BullMQ fails the job, and has it tried again.
  const circle: { self?: object } = {}
  circle.self = circle
  test.for([circle, { deep: [{ circle }] }, { cents: 7n }])(
    'a result that cannot be stored was a success',
    async (result) => {
      const queue = createQueue()
      await queue.add('pay', {}, { attempts: 2 })
      const worker = keep(new Worker(queue.name, async () => result, { connection: connection() }))
      const { promise: failed, resolve } = Promise.withResolvers<library.Job>()
      worker.on('failed', (job) => {
        if (job?.attemptsMade === 2) resolve(job)
      })
      const { returnvalue } = await failed
      expect(returnvalue).toBe(result)
      expect(runs.map(({ state }) => state)).toEqual(['retrying', 'failed'])
      for (const { error } of runs) expect(error).toBeInstanceOf(TypeError)
    },
  )

  test('a result that can be stored is what it is, and its getters are called by BullMQ alone', async () => {
    const queue = createQueue()
    const shared = { at: new Date(0) }
    let calls = 0
    const result = {
      again: [shared, shared],
      get own() {
        return ++calls
      },
    }
    await queue.add('pay', {})
    const worker = keep(new Worker(queue.name, async () => result, { connection: connection() }))
    const [job] = (await once(worker, 'completed')) as [library.Job]
    expect(job.returnvalue).toBe(result)
    expect(runs).toMatchObject([{ state: 'succeeded' }])
    // It makes its JSON twice.
    expect(calls).toBe(2)
  })

  test('a job that had failed for good, and is retried by hand, comes back', async () => {
    const queue = createQueue()
    await queue.add('pay', {})
    const processor = async ({ attemptsMade }: library.Job): Promise<void> => {
      if (attemptsMade === 0) throw new Error('no')
    }
    const worker = keep(new Worker(queue.name, processor, { connection: connection(), drainDelay: 1 }))
    worker.once('failed', (job) => void job!.retry())
    await fake.until(() => hasEnded(runs[1]))
    expect(runs.map(({ info: { attempt, isReturn }, state }) => [attempt, isReturn, state])).toEqual([
      [1, true, 'failed'],
      [2, true, 'succeeded'],
    ])
  })

  test('a job that had failed, and is retried with its attempts counted anew, stayed failed', async () => {
    const queue = createQueue()
    await queue.add('pay', {})
    let isFirst = true
    const processor = async (): Promise<void> => {
      if (!isFirst) return
      isFirst = false
      throw new Error('no')
    }
    const worker = keep(new Worker(queue.name, processor, { connection: connection(), drainDelay: 1 }))
    const anew = { resetAttemptsMade: true, resetAttemptsStarted: true }
    worker.once('failed', (job) => void job!.retry('failed', anew))
    await fake.until(() => hasEnded(runs[1]))
    expect(runs.map(({ info: { attempt, isReturn }, state }) => [attempt, isReturn, state])).toEqual([
      [1, true, 'failed'],
      [1, true, 'succeeded'],
    ])
  })

  test('a job that is moved has not failed', async () => {
    const queue = createQueue()
    const children = createQueue()
    for (const name of ['delayed', 'rate-limited', 'waiting for children']) await queue.add(name, {})
    const moved = new Set<string>()
    const processor = async (job: library.Job, token?: string): Promise<string> => {
      if (moved.has(job.name)) return 'done'
      moved.add(job.name)
      if (job.name === 'delayed') {
        await job.moveToDelayed(Date.now() + 5, token)
        throw new DelayedError()
      }
      if (job.name === 'rate-limited') {
        await queue.rateLimit(5)
        throw Worker.RateLimitError()
      }
      await children.add('child', {}, { parent: { id: job.id!, queue: job.queueQualifiedName } })
      const isWaiting = await job.moveToWaitingChildren(token!)
      if (isWaiting) throw new WaitingChildrenError()
      return 'done'
    }
    const worker = keep(new Worker(children.name, async () => {}, { connection: connection() }))
    worker.on('error', () => {})
    const options = { limiter: { max: 10, duration: 1000 } }
    await consume(queue, processor, () => runs.filter(({ state }) => state === 'succeeded').length === 4, options)
    const ended = runs.filter(({ info }) => info.destination === queue.name)
    const byName = Object.groupBy(ended, ({ info }) => info.name)
    for (const name of moved)
      expect([name, byName[name]?.map(({ state }) => state)]).toEqual([name, ['released', 'succeeded']])
    expect(settled).toEqual([])
  })

  test('a back-off strategy that gives up ends the task', async () => {
    const queue = createQueue()
    await queue.add('pay', {}, { attempts: 3, backoff: { type: 'custom' } })
    const throwing = (): Promise<never> => Promise.reject(new Error('no'))
    await consume(queue, throwing, () => settled.length > 0, { settings: { backoffStrategy: () => -1 } })
    expect(runs).toMatchObject([{ state: 'retrying' }])
    expect(settled).toEqual([{ taskId: sent[0]!.taskId, event: 'failed', reason: 'retries_exhausted' }])
  })

  test('a job that stalled too often has failed, though nobody ran it', { timeout: 20_000 }, async () => {
    const queue = createQueue()
    await queue.add('pay', {}, { attempts: 3 })
    const options = { lockDuration: 100, stalledInterval: 50, maxStalledCount: 0, skipLockRenewal: true }
    const { promise, resolve } = Promise.withResolvers<void>()
    await consume(
      queue,
      () => promise,
      () => settled.length > 0,
      { ...options, concurrency: 2 },
    )
    resolve()
    expect(settled).toEqual([{ taskId: sent[0]!.taskId, event: 'failed', reason: 'retries_exhausted' }])
    expect(runs).toHaveLength(1)
  })

  test('a job that stalled is run again, and no attempt of its is lost', { timeout: 20_000 }, async () => {
    const queue = createQueue()
    await queue.add('pay', {}, { attempts: 2 })
    const { promise, resolve } = Promise.withResolvers<void>()
    const processor = async ({ stalledCounter }: library.Job): Promise<void> => {
      if (stalledCounter === 0) await promise
      else throw new Error('no')
    }
    const options = {
      lockDuration: 100,
      stalledInterval: 50,
      maxStalledCount: 1,
      skipLockRenewal: true,
      concurrency: 2,
    }
    await consume(queue, processor, () => runs.filter(hasEnded).length === 2, options)
    resolve()
    expect(runs.map(({ info: { attempt, maxAttempts }, state }) => [attempt, maxAttempts, state])).toEqual([
      [1, 2, 'running'],
      [2, 3, 'retrying'],
      [3, 3, 'failed'],
    ])
  })

  test('a parent that fails with its child has failed, though nobody ran it', async () => {
    const [parent, child] = [createQueue(), createQueue()]
    const producer = keep(new FlowProducer({ connection: connection() }))
    await producer.add({
      name: 'all',
      queueName: parent.name,
      children: [{ name: 'part', queueName: child.name, opts: { failParentOnFailure: true } }],
    })
    await consume(
      child,
      () => Promise.reject(new Error('no')),
      () => hasEnded(runs[0]),
    )
    await consume(
      parent,
      async () => {},
      () => settled.length > 0,
    )
    expect(settled).toEqual([{ taskId: sent[0]!.taskId, event: 'failed', reason: 'retries_exhausted' }])
  })

  test('a processor in a child process', { timeout: 20_000 }, async () => {
    const queue = createQueue()
    const file = fileURLToPath(new URL('sandboxed.cjs', import.meta.url))
    await queue.add('good', { answer: 42 })
    await queue.add('bad', {})
    await consume(queue, file, () => runs.filter(hasEnded).length === 2)
    expect(runs).toMatchObject([
      { info: { name: 'good' }, state: 'succeeded' },
      { info: { name: 'bad' }, state: 'failed' },
    ])
    expect((await queue.getJobs(['completed']))[0]!.returnvalue).toEqual({ was: 42 })
  })
})

describe('by hand', () => {
  test('a job that was fetched and settled by the app stayed enqueued for ever', async () => {
    const queue = createQueue()
    const worker = keep(new Worker(queue.name, null, { connection: connection() }))
    for (const name of ['done', 'next', 'retried', 'delayed']) await queue.add(name, {}, { attempts: 2 })
    const done = await worker.getNextJob('token')
    expect(runs).toMatchObject([{ state: 'running', info: { name: 'done', attempt: 1, messageId: done!.id } }])
    const [json, id] = (await done!.moveToCompleted('fine', 'token')) as [Parameters<typeof Job.fromJSON>[1], string]
    expect(runs).toMatchObject([{ state: 'succeeded' }, { state: 'running', info: { name: 'next' } }])
    await Job.fromJSON(worker, json, id).moveToCompleted('fine', 'token', false)
    const retried = await worker.getNextJob('token')
    await retried!.moveToFailed(new Error('no'), 'token')
    const delayed = await worker.getNextJob('token')
    await delayed!.moveToDelayed(Date.now() + 60_000, 'token')
    const again = await worker.getNextJob('token')
    await again!.moveToFailed(new Error('no'), 'token')
    expect(runs.map(({ info: { name, attempt }, state }) => [name, attempt, state])).toEqual([
      ['done', 1, 'succeeded'],
      ['next', 1, 'succeeded'],
      ['retried', 1, 'retrying'],
      ['delayed', 1, 'released'],
      ['retried', 2, 'failed'],
    ])
    expect(runs.slice(0, 4).map(({ traceparent }) => traceparent)).toEqual(sent.map(({ traceparent }) => traceparent))
  })

  test('a job that its own processor had moved counted as done', async () => {
    const queue = createQueue()
    const ways = {
      failed: (job: library.Job, token: string) => job.moveToFailed(new RangeError('no paper'), token, false),
      delayed: (job: library.Job, token: string) => job.moveToDelayed(Date.now() + 60_000, token),
      done: (job: library.Job, token: string) => job.moveToCompleted('fine', token, false),
    }
    for (const name of Object.keys(ways)) await queue.add(name, {}, { attempts: name === 'failed' ? 2 : 1 })
    const processor = async (job: library.Job, token?: string): Promise<void> => {
      await ways[job.name as keyof typeof ways](job, token!)
    }
    const worker = keep(new Worker(queue.name, processor as never, { connection: connection(), drainDelay: 1 }))
    worker.on('error', () => {}) // BullMQ finds out that it has the job no longer
    await fake.until(() => runs.filter(hasEnded).length === 4)
    await worker.close()
    expect(runs.map(({ info: { name, attempt }, state }) => `${name} ${attempt} ${state}`).sort()).toEqual([
      'delayed 1 released',
      'done 1 succeeded',
      'failed 1 retrying',
      'failed 2 failed',
    ])
  })
})

test('jobs of one id, got by hand from queues of one name and two prefixes, were taken for one', async () => {
  const name = `q${++queues}`
  const jobs = []
  for (const prefix of ['one', 'other']) {
    await keep(new Queue(name, { connection: connection(), prefix })).add(prefix, {})
    const worker = keep(new Worker(name, null, { connection: connection(), prefix }))
    jobs.push((await worker.getNextJob('token'))!)
  }
  expect(jobs[0]!.id).toBe(jobs[1]!.id)
  await jobs[0]!.moveToFailed(new Error('no'), 'token')
  expect(runs.map(({ state }) => state)).toEqual(['failed', 'running'])
  await jobs[1]!.moveToCompleted('fine', 'token', false)
  expect(runs.map(({ state }) => state)).toEqual(['failed', 'succeeded'])
})

describe('removing', () => {
  test('a job that is removed before anybody has it is cancelled', async () => {
    const queue = createQueue()
    const jobs = [await queue.add('a', {}), await queue.add('b', {}, { delay: 60_000 }), await queue.add('c', {})]
    await jobs[0]!.remove()
    expect(await queue.remove(jobs[1]!.id!)).toBe(1)
    expect(await queue.remove('nothing')).toBe(1)
    expect(settled).toEqual(sent.slice(0, 2).map(({ taskId }) => ({ taskId, event: 'cancelled', reason: 'aborted' })))
    await consume(
      queue,
      async () => {},
      () => hasEnded(runs[0]),
    )
    await queue.remove(jobs[2]!.id!)
    expect(settled).toHaveLength(2)
  })
})

// Redis does in order what it is asked, also where nobody awaits it: what the app asks must not come later than it would without us.
describe('calls that nobody awaits', () => {
  const cancelled = (...at: number[]): object[] =>
    at.map((i) => ({ taskId: sent[i]!.taskId, event: 'cancelled', reason: 'aborted' }))

  test.each(['ioredis', 'node-redis'])('a queue that is drained takes what is added right after, by %s', async (by) => {
    const client = by === 'ioredis' ? undefined : await installed('redis').createClient({ url: url() }).connect()
    const queue = createQueue(client ? { connection: library.createNodeRedisClient(client) } : {})
    await queue.waitUntilReady()
    await queue.add('old', {})
    await queue.add('later', {}, { delay: 60_000 })
    await Promise.all([queue.drain(), queue.add('new', {})])
    expect((await queue.getWaiting()).map(({ name }) => name)).toEqual(['new'])
    await Promise.all([queue.clean(0, 10, 'wait'), queue.add('newest', {})])
    expect((await queue.getWaiting()).map(({ name }) => name)).toEqual(['newest'])
    expect(settled).toEqual(cancelled(0, 2))
    await queue.drain(true)
    expect(settled).toEqual([...cancelled(0, 2), ...cancelled(3, 1)])
    await client?.close()
  })

  test('a job that is removed takes the one that is added right after under its id', async () => {
    const queue = createQueue()
    await queue.waitUntilReady()
    await queue.add('old', {}, { jobId: 'own' })
    await Promise.all([queue.remove('own'), queue.add('new', {}, { jobId: 'own' })])
    expect((await queue.getJob('own'))?.name).toBe('new')
    expect(settled).toEqual(cancelled(0))
  })

  test('jobs wait in another order than they were added in', async () => {
    const queue = createQueue()
    await queue.waitUntilReady()
    const held = { deduplication: { id: 'd', ttl: 60_000 } }
    const replacing = { deduplication: { id: 'r', replace: true, keepLastIfActive: true } }
    const one = (name: string, opts = {}): object => ({ name, data: {}, opts })
    await Promise.all([
      queue.add('a', {}, { jobId: 'a' }),
      queue.add('b', {}),
      queue.add('c', {}, held),
      queue.add('d', {}, replacing),
      queue.add('e', {}),
      queue.addBulk([one('f', { jobId: 'f' }), one('g', { deduplication: { id: 'g', ttl: 60_000 } })] as never),
      queue.add('h', {}),
    ])
    expect((await queue.getWaiting()).map(({ name }) => name)).toEqual('abcdefgh'.split(''))
  })
})

test('the children of children stayed enqueued for ever where the job that waits for them is removed', async () => {
  const queue = createQueue()
  const producer = keep(new FlowProducer({ connection: connection() }))
  const node = (name: string, children: object[] = []): any => ({ name, queueName: queue.name, children })
  const { job } = await producer.add(node('root', [node('child', [node('grandchild')]), node('other')]))
  await job.remove()
  expect(new Set(settled.map(({ taskId }) => taskId))).toEqual(new Set(sent.map(({ taskId }) => taskId)))
  expect(settled).toHaveLength(4)
})

test('import and require bring one class, which is patched once', async () => {
  const required = createRequire(import.meta.url)('bullmq') as typeof library
  expect(required.Worker).toBe(Worker)
  bullmq.patch(required as never, fake.kit)
  await createQueue().add('pay', {})
  expect(sent).toHaveLength(1)
})

test('a second loaded copy is patched beside the first', async () => {
  const { cache, resolve } = createRequire(import.meta.url)
  const folder = dirname(resolve('bullmq'))
  for (const path of Object.keys(cache)) if (path.startsWith(folder)) delete cache[path]
  const second = createRequire(import.meta.url)('bullmq') as typeof library
  expect(second.Worker).not.toBe(Worker)
  bullmq.patch(second as never, fake.kit)
  const queue = keep(new second.Queue(`q${++queues}`, { connection: connection() }))
  await queue.add('pay', {})
  await consume(
    queue,
    async () => {},
    () => hasEnded(runs[0]),
  )
  expect(sent).toMatchObject([{ state: 'confirmed' }])
  expect(runs).toMatchObject([{ traceparent: sent[0]!.traceparent }])
})

test('it is undone cleanly', () => {
  for (const [i, method] of methods().entries()) expect(method).not.toBe(originals[i])
  fake.undo()
  for (const [i, method] of methods().entries()) expect(method).toBe(originals[i])
  bullmq.patch(library as never, fake.kit)
})

function connection(): { host: string; port: number } {
  const { host, port } = redis as ServerOf['redis']
  return { host, port }
}
function url(): string {
  const { host, port } = connection()
  return `redis://${host}:${port}`
}
function keep<T extends { close(): Promise<void> }>(each: T): T {
  open.push(each)
  return each
}
function createQueue(options: object = {}): library.Queue {
  return keep(new Queue(`q${++queues}`, { connection: connection(), ...options }))
}
/** Runs a worker until the condition holds. */
async function consume(
  queue: library.Queue,
  processor: string | ((job: library.Job, token?: string) => Promise<unknown>),
  condition: () => boolean,
  options: object = {},
): Promise<void> {
  const worker = new Worker(queue.name, processor as never, { connection: connection(), drainDelay: 1, ...options })
  worker.on('error', () => {})
  const drained = once(worker, 'closed')
  await fake.until(condition)
  await worker.close(true)
  await drained
}
function hasEnded(run: Run | undefined): boolean {
  return run !== undefined && run.state !== 'running'
}
/** What bullmq-otel does, as far as the metadata goes. */
function createTelemetry(): object {
  const span = {
    setSpanOnContext: (ctx: unknown) => ctx,
    setAttribute() {},
    setAttributes() {},
    addEvent() {},
    recordException() {},
    end() {},
  }
  return {
    tracer: { startSpan: () => span },
    contextManager: {
      with: (_: unknown, fn: () => unknown) => fn(),
      active: () => ({}),
      getMetadata: () => '{"traceparent":"theirs"}',
      fromMetadata: (active: unknown) => active,
    },
  }
}
