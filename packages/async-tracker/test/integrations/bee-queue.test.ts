// What the integration of bee-queue asks of the kit, on a real Redis, in the oldest and the newest version.
import { present, service, type MissingServer, type ServerOf } from '../../../testing/src/services.ts'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { beeQueue } from '../../src/integrations/bee-queue.ts'
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

describe.each(['bee-queue', 'bee-queue-oldest'])('%s', (library) => {
  for (const file of [...beeQueue.files!, ...beeQueue.files!]) beeQueue.patch(installed(library, file), fake.kit)
  const Queue = installed(library)
  const open: { close(timeout?: number): Promise<void> }[] = []
  const createQueue = (options: object = {}, name = `q${++queues}`): any => {
    const { host, port } = redis as ServerOf['redis']
    const queue = new Queue(name, { redis: { host, port }, activateDelayedJobs: true, ...options })
    open.push(queue)
    return queue
  }
  const consume = async (queue: any, handler: unknown, until: () => boolean): Promise<void> => {
    queue.on('error', () => {})
    queue.process(handler)
    await fake.until(until)
  }

  beforeEach((context) => {
    present(redis, context)
    fake.clear()
  })
  afterEach(async () => {
    for (const each of open.splice(0).reverse()) await each.close(100).catch(() => {})
    if (fake.errors.length > 0) throw new AggregateError(fake.errors)
  })

  test('a job is one task, and neither its data nor its options show it', async () => {
    const queue = createQueue()
    const job = await queue.createJob({ order: 7 }).retries(1).save()
    expect(sent).toMatchObject([
      { draft: { system: 'bee-queue', destination: queue.name }, state: 'confirmed', messageId: job.id },
    ])
    const stored = await createQueue({ storeJobs: false }, queue.name).getJob(job.id)
    expect(stored.data).toEqual({ order: 7 })
    for (const each of [job, stored]) expect(Object.keys(each.options)).not.toContain('afterspan')
    await consume(
      queue,
      async () => 'done',
      () => runs.some(hasEnded),
    )
    expect(runs).toMatchObject([
      {
        info: { attempt: 1, maxAttempts: 2, messageId: job.id },
        traceparent: sent[0]!.traceparent,
        state: 'succeeded',
      },
    ])
  })

  test('saveAll() makes one task for each job, and a job whose id is there already none', async () => {
    const queue = createQueue()
    await queue.ready()
    const ids = ['one', 'two', 'one']
    const jobs = ids.map((id) => queue.createJob({}).setId(id))
    expect((await queue.saveAll(jobs)).size).toBe(0)
    await fake.until(() => sent.every(({ state }) => state !== 'spawned'))
    expect(sent.map(({ state }) => state)).toEqual(['confirmed', 'confirmed', 'deduplicated'])
    expect(jobs.map(({ id }) => id)).toEqual(['one', 'two', null])
  })

  test('an error reaches the caller as it was', async () => {
    const queue = createQueue()
    const circular: Record<string, unknown> = {}
    circular['self'] = circular
    expect(() => queue.createJob(circular).save()).toThrow(/circular/i)
    expect(sent).toMatchObject([{ state: 'never_enqueued' }])
  })

  test('retries until they are exhausted, in the trace that it was sent in', async () => {
    const queue = createQueue()
    await queue.createJob({}).retries(2).backoff('fixed', 10).save()
    await consume(
      queue,
      () => {
        throw new Error('no')
      },
      () => runs.filter(hasEnded).length === 3,
    )
    expect(runs.map(({ info, state, traceparent }) => [info.attempt, state, traceparent])).toEqual(
      ['retrying', 'retrying', 'failed'].map((state, i) => [i + 1, state, sent[0]!.traceparent]),
    )
    expect(settled).toEqual([])
  })

  test('a handler that wants no more retries gets none', async () => {
    const queue = createQueue()
    await queue.createJob({}).retries(2).save()
    const handler = async (job: any): Promise<never> => {
      job.options.retries = 0
      throw new Error('no')
    }
    await consume(queue, handler, () => runs.some(hasEnded))
    expect(runs).toMatchObject([{ state: 'failed' }])
  })

  test('what is rejected with nothing has succeeded, as bee-queue reads it', async () => {
    const queue = createQueue()
    const succeeded = Promise.withResolvers<void>()
    queue.on('succeeded', () => succeeded.resolve())
    await queue.createJob({}).save()
    await consume(
      queue,
      () => Promise.reject(),
      () => runs.some(hasEnded),
    )
    await succeeded.promise
    expect(runs).toMatchObject([{ state: 'succeeded' }])
  })

  test('a job whose time is over has failed, though its handler goes on', async () => {
    const queue = createQueue()
    await queue.createJob({}).timeout(20).save()
    await consume(
      queue,
      () => new Promise(() => {}),
      () => runs.some(hasEnded),
    )
    expect(runs).toMatchObject([
      {
        state: 'failed',
        info: { failedAs: 'expired' },
        error: { message: expect.stringMatching(/timed out \(20 ms\)/) },
      },
    ])
  })

  test('a back-off strategy that gives up ends the task', async () => {
    const queue = createQueue()
    queue.backoffStrategies.set('never', () => -1)
    await queue.createJob({}).retries(2).backoff('never', 1).save()
    await consume(
      queue,
      () => Promise.reject(new Error('no')),
      () => settled.length > 0,
    )
    expect(runs).toMatchObject([{ state: 'retrying' }])
    expect(settled).toEqual([{ taskId: sent[0]!.taskId, event: 'failed', reason: 'retries_exhausted' }])
  })

  test('a job that had failed for good, and is retried by hand, comes back', async () => {
    const queue = createQueue()
    await queue.createJob({}).save()
    let count = 0
    const handler = async (): Promise<void> => {
      if (++count === 1) throw new Error('no')
    }
    queue.once('failed', (job: any) => void job.retry())
    await consume(queue, handler, () => runs.filter(hasEnded).length === 2)
    expect(runs).toMatchObject([
      { info: { attempt: 1 }, state: 'failed' },
      { info: { attempt: 2, isReturn: true }, state: 'succeeded' },
    ])
  })

  test('what is removed before anybody has it is cancelled, and so is what a destroyed queue held', async () => {
    const queue = createQueue()
    const job = await queue.createJob({}).save()
    await job.remove()
    const delayed = await queue
      .createJob({})
      .delayUntil(Date.now() + 60_000)
      .save()
    await new Promise((resolve) => queue.removeJob(delayed.id, resolve))
    await fake.until(() => settled.length === 2)
    expect(settled).toEqual(sent.map(({ taskId }) => ({ taskId, event: 'cancelled', reason: 'aborted' })))
    await queue.destroy()
    expect(fake.emptied).toEqual([{ system: 'bee-queue', destination: queue.name }])
  })

  // Redis does in order what it is asked: what the app asks must not come later than it would without us.
  test('a job that is removed takes the one that is added right after under its id', async () => {
    const queue = createQueue()
    const save = (n: string): Promise<unknown> => queue.createJob({ n }).setId('own').save()
    await save('old')
    await Promise.all([queue.removeJob('own'), save('new')])
    expect((await queue.getJob('own')).data).toEqual({ n: 'new' })
    await Promise.all([queue.removeJob('own'), queue.close()])
    expect(settled).toEqual(sent.map(({ taskId }) => ({ taskId, event: 'cancelled', reason: 'aborted' })))
  })

  test('what fails with a callback is a rejection that nobody handles, too', async () => {
    const unhandled: unknown[] = []
    const hear = (error: unknown): unknown => unhandled.push(error)
    process.prependListener('unhandledRejection', hear)
    const queue = createQueue()
    await queue.ready()
    await queue.close()
    for (const call of [(done: unknown) => queue.destroy(done), (done: unknown) => queue.removeJob('x', done)])
      expect(await new Promise(call)).toMatchObject({ message: 'closed' })
    await new Promise(setImmediate)
    process.off('unhandledRejection', hear)
    expect(unhandled).toEqual([])
  })

  test('what is done is not', async () => {
    const queue = createQueue()
    const job = await queue.createJob({}).save()
    const removed = Promise.withResolvers<unknown>()
    queue.on('succeeded', () => removed.resolve(queue.removeJob(job.id)))
    await consume(
      queue,
      async () => {},
      () => runs.some(hasEnded),
    )
    expect(await removed.promise).toBe(queue)
    expect(settled).toEqual([])
  })
})

function hasEnded({ state }: Run): boolean {
  return state !== 'running'
}
