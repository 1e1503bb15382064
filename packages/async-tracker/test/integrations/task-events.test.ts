// What the ledger learns of the jobs of each library: core's own kit, real servers.
import { present, service, type MissingServer, type ServerOf } from '../../../testing/src/services.ts'
import { trace } from '@opentelemetry/api'
import * as mq from 'bullmq'
import * as pg from 'pg-boss'
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import type { TaskEvent, TaskFailed, TaskSpawned, TaskStarted } from '@afterspan/core/internal'
import { activeRequest, activeTask } from '../../../core/src/http/request-record.ts'
import { beeQueue } from '../../src/integrations/bee-queue.ts'
import { bull } from '../../src/integrations/bull.ts'
import { bullmq } from '../../src/integrations/bullmq.ts'
import { pgBoss } from '../../src/integrations/pg-boss.ts'
import { installed } from './installed.ts'
import { createRealKit } from './real-kit.ts'

interface Message {
  readonly id: string
  readonly data: unknown
}
/** What each of them does, in the same words. */
interface Library {
  /** Its server, where this machine has one. */
  start(): Promise<object | MissingServer>
  stop(): Promise<void>
  createQueue(attempts: number): Promise<string>
  /** Its message id; null where it was deduplicated. */
  send(queue: string, data: object, key?: string): Promise<string | null>
  /** Runs a worker, to be stopped by the returned function; onLoop is called in the context of its loop. */
  work(
    queue: string,
    handler: (message: Message) => Promise<unknown>,
    onLoop?: () => void,
  ): Promise<() => Promise<void>>
}

const real = createRealKit()
const { events, spans } = real
let count = 0

describe.each([
  ['pg-boss', createPgBossLibrary()],
  ['bullmq', createBullmqLibrary()],
  ['bull', createBullLibrary()],
  ['bee-queue', createBeeQueueLibrary()],
] as const)('%s', (system, library) => {
  let server: object | MissingServer
  beforeAll(async () => {
    server = await library.start()
  }, 60_000)
  afterAll(() => library.stop())
  beforeEach((context) => {
    present(server, context)
    real.clear()
  })

  test('a job that is done: spawned by its request, run in its trace', async () => {
    const queue = await library.createQueue(1)
    const { request, id } = await real.inRequest(async (record) => ({
      request: record,
      id: await library.send(queue, { order: 7 }),
    }))
    const seen: unknown[] = []
    const stop = await library.work(queue, async ({ data }) => {
      seen.push({
        data,
        task: activeTask(),
        request: activeRequest(),
        trace: trace.getActiveSpan()?.spanContext().traceId,
      })
      await library.send(queue, { nested: true })
      return 'done'
    })
    await real.until(() => kinds().includes('succeeded'))
    await stop()
    const [spawned, confirmed, started] = events as [TaskSpawned, TaskEvent, TaskStarted]
    const description = { system, destination: queue }
    expect(spawned).toMatchObject({ kind: 'spawned', origin: request.ref, route: '/order', ...description })
    expect(spawned.taskId.slice(0, 32)).toBe(request.ref.traceId)
    expect(request.promised).toBe(1)
    expect(confirmed).toMatchObject({ kind: 'confirmed', taskId: spawned.taskId, messageId: id })
    expect(started).toMatchObject({
      kind: 'started',
      taskId: spawned.taskId,
      messageId: id,
      description,
    })
    expect(seen[0]).toEqual({
      data: { order: 7 },
      task: spawned.taskId,
      request: undefined,
      trace: request.ref.traceId,
    })
    expect(events.find((event) => event.kind === 'spawned' && event.parent === spawned.taskId)).toBeDefined()
    expect(spans.filter(({ name }) => name === `process ${queue}`)[0]).toMatchObject({
      traceId: request.ref.traceId,
      parentSpanId: spawned.taskId.slice(32),
      kind: 5,
      attributes: { 'messaging.system': system, 'afterspan.task.state': 'succeeded' },
    })
    expect(real.errors).toEqual([])
  })

  test('a job that fails until its attempts are exhausted', async () => {
    const queue = await library.createQueue(2)
    const { promise } = real.inRequest(() => ({ promise: library.send(queue, { order: 7 }) }))
    await promise
    const stop = await library.work(queue, async () => {
      throw new RangeError('no luck')
    })
    await real.until(() => kinds().filter((kind) => kind === 'failed').length === 2)
    await stop()
    expect(kinds()).toEqual(['spawned', 'confirmed', 'started', 'failed', 'started', 'failed'])
    const failed = events.filter((event): event is TaskFailed => event.kind === 'failed')
    expect(failed).toMatchObject([
      { reason: 'rejected', willRetry: true, failure: { type: 'RangeError', message: 'no luck' } },
      { reason: 'retries_exhausted', willRetry: false },
    ])
    expect(new Set(events.map(({ taskId }) => taskId)).size).toBe(1)
  })

  test('a job that was deduplicated is cancelled', async () => {
    const queue = await library.createQueue(1)
    expect(await library.send(queue, {}, 'same')).toBeTypeOf('string')
    await library.send(queue, {}, 'same')
    expect(kinds()).toEqual(['spawned', 'confirmed', 'spawned', 'cancelled'])
    expect(events[3]).toMatchObject({ taskId: events[2]!.taskId, reason: 'deduplicated' })
  })

  test('a worker that was started by a request does not keep it', async () => {
    const queue = await library.createQueue(1)
    const requests = new Set<unknown>()
    const { promise, resolve } = Promise.withResolvers<void>()
    const stop = await real.inRequest(() =>
      library.work(
        queue,
        async () => {},
        () => {
          requests.add(activeRequest())
          resolve()
        },
      ),
    )
    await library.send(queue, {})
    await promise
    await real.until(() => kinds().includes('succeeded'))
    await stop()
    expect([...requests]).toEqual([undefined])
  })
})

function kinds(): string[] {
  return events.map(({ kind }) => kind)
}

function createPgBossLibrary(): Library {
  let server: ServerOf['postgres'] | MissingServer
  let boss: pg.PgBoss
  return {
    async start() {
      server = await service('postgres')
      if ('missing' in server) return server
      pgBoss.patch(pg, real.kit)
      boss = new pg.PgBoss({ connectionString: server.url, schedule: false, supervise: false })
      boss.on('error', () => {})
      await boss.start()
      return server
    },
    async stop() {
      await boss?.stop({ graceful: false })
      if (!('missing' in server)) await server.stop()
    },
    async createQueue(attempts) {
      const name = `q${++count}`
      await boss.createQueue(name, { retryLimit: attempts - 1 })
      return name
    },
    send: (queue, data, key) => boss.send(queue, data, key ? { singletonKey: key, singletonSeconds: 3600 } : {}),
    async work(queue, handler, onLoop) {
      const db = boss.getDb() as { executeSql: (text: string, values?: unknown[]) => Promise<never> }
      const { executeSql } = db
      if (onLoop)
        db.executeSql = (text, values) => {
          if (text.includes('SKIP LOCKED')) onLoop()
          return executeSql.call(db, text, values)
        }
      await boss.work(queue, { pollingIntervalSeconds: 0.5 }, ([job]) => handler(job!))
      return () => {
        db.executeSql = executeSql
        return boss.offWork(queue)
      }
    },
  }
}

function createBullmqLibrary(): Library {
  let server: ServerOf['redis'] | MissingServer
  const connection = (): { host: string; port: number } => {
    const { host, port } = server as ServerOf['redis']
    return { host, port }
  }
  const queues = new Map<string, { readonly queue: mq.Queue; readonly attempts: number }>()
  return {
    async start() {
      server = await service('redis')
      bullmq.patch(mq as never, real.kit)
      return server
    },
    async stop() {
      for (const { queue } of queues.values()) await queue.close()
      if (!('missing' in server)) await server.stop()
    },
    async createQueue(attempts) {
      const name = `q${++count}`
      queues.set(name, { queue: new mq.Queue(name, { connection: connection() }), attempts })
      return name
    },
    async send(name, data, key) {
      const { queue, attempts } = queues.get(name)!
      const job = await queue.add('job', data, { attempts, ...(key ? { jobId: key } : {}) })
      return job.id!
    },
    async work(name, handler, onLoop) {
      const worker = new mq.Worker(name, (job) => handler(job as Message), { connection: connection() })
      worker.on('error', () => {})
      if (onLoop) worker.on('active', onLoop)
      return () => worker.close(true)
    },
  }
}

function createBullLibrary(): Library {
  const Queue = installed('bull')
  let server: ServerOf['redis'] | MissingServer
  const queues = new Map<string, { readonly queue: any; readonly attempts: number }>()
  const open = (name: string): any => {
    const { host, port } = server as ServerOf['redis']
    return new Queue(name, { redis: { host, port } })
  }
  return {
    async start() {
      server = await service('redis')
      bull.patch(Queue, real.kit)
      return server
    },
    async stop() {
      for (const { queue } of queues.values()) await queue.close()
      if (!('missing' in server)) await server.stop()
    },
    async createQueue(attempts) {
      const name = `q${++count}`
      queues.set(name, { queue: open(name), attempts })
      return name
    },
    async send(name, data, key) {
      const { queue, attempts } = queues.get(name)!
      const job = await queue.add('job', data, { attempts, ...(key ? { jobId: key } : {}) })
      return job.id
    },
    async work(name, handler, onLoop) {
      const worker = open(name)
      worker.on('error', () => {})
      if (onLoop) worker.on('active', onLoop)
      worker.process('job', (job: Message) => handler(job)).catch(() => {})
      return () => worker.close(true)
    },
  }
}

function createBeeQueueLibrary(): Library {
  for (const file of beeQueue.files!) beeQueue.patch(installed('bee-queue', file), real.kit)
  const Queue = installed('bee-queue')
  let server: ServerOf['redis'] | MissingServer
  const queues = new Map<string, { readonly queue: any; readonly attempts: number }>()
  const open = (name: string): any => {
    const { host, port } = server as ServerOf['redis']
    return new Queue(name, { redis: { host, port } })
  }
  return {
    async start() {
      server = await service('redis')
      return server
    },
    async stop() {
      for (const { queue } of queues.values()) await queue.close()
      if (!('missing' in server)) await server.stop()
    },
    async createQueue(attempts) {
      const name = `q${++count}`
      queues.set(name, { queue: open(name), attempts })
      return name
    },
    async send(name, data, key) {
      const { queue, attempts } = queues.get(name)!
      const job = queue.createJob(data).retries(attempts - 1)
      await (key ? job.setId(key) : job).save()
      return job.id
    },
    async work(name, handler, onLoop) {
      const worker = open(name)
      const { _runJob: run } = worker
      worker._runJob = (job: unknown) => {
        onLoop?.()
        return run.call(worker, job)
      }
      worker.process((job: Message) => handler(job))
      return () => worker.close()
    },
  }
}
