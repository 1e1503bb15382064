// What the integration of pg-boss asks of the kit, on a real PostgreSQL.
import { randomUUID } from 'node:crypto'
import { createRequire } from 'node:module'
import { present, service, type MissingServer, type ServerOf } from '../../../testing/src/services.ts'
import * as library from 'pg-boss'
import { Pool } from 'pg'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test, vi } from 'vitest'
import { pgBoss } from '../../src/integrations/pg-boss.ts'
import { createFakeKit, type Run } from './fake-kit.ts'

type Job = library.Job<unknown>
const METHODS = ['send', 'insert', 'publish', 'fetch', 'work', 'complete', 'fail', 'cancel', 'getJobById'] as const
const originals = METHODS.map((method) => library.PgBoss.prototype[method])
const fake = createFakeKit()
const { sent, runs, settled } = fake
let postgres: ServerOf['postgres'] | MissingServer
let boss: library.PgBoss
let queues = 0

beforeAll(async () => {
  postgres = await service('postgres')
  if ('missing' in postgres) return
  pgBoss.patch(library, fake.kit)
  boss = new library.PgBoss({ connectionString: postgres.url, schedule: false, supervise: false })
  boss.on('error', () => {})
  await boss.start()
}, 60_000)
afterAll(async () => {
  await boss?.stop({ graceful: false })
  if (!('missing' in postgres)) await postgres.stop()
})
beforeEach((context) => {
  present(postgres, context)
  fake.clear()
})
afterEach(() => {
  if (fake.errors.length > 0) throw new AggregateError(fake.errors)
})

async function queue(options: Record<string, unknown> = {}): Promise<string> {
  const name = `q${++queues}`
  await boss.createQueue(name, options as never)
  return name
}
/** Starts a worker that polls as often as pg-boss allows, until the condition holds. */
async function work(
  name: string,
  handler: (jobs: Job[], ...more: unknown[]) => unknown,
  condition: () => boolean,
  options: Record<string, unknown> = {},
): Promise<void> {
  await boss.work(name, { pollingIntervalSeconds: 0.5, ...options } as never, handler as never)
  await fake.until(condition)
  await boss.offWork(name)
}
const rolledBack = ({ taskId }: { readonly taskId: string }): object => ({
  taskId,
  event: 'cancelled',
  reason: 'rolled_back',
})
const hasEnded = (run: Run | undefined): boolean => run !== undefined && run.state !== 'running'

describe('sending', () => {
  test('a job is one task, and the caller’s data stays as it is', async () => {
    const name = await queue()
    const data = Object.freeze({ order: 7, deep: Object.freeze({ list: [1, null] }) })
    const id = await boss.send(name, data)
    expect(sent).toMatchObject([
      { draft: { system: 'pg-boss', destination: name, name }, state: 'confirmed', messageId: id },
    ])
    expect(data).toEqual({ order: 7, deep: { list: [1, null] } })
    const stored = await rows(`select data from pgboss.job where id = '${id}'`)
    expect(stored).toEqual([{ data: { ...data, __afterspan: { queue: name, traceparent: sent[0]!.traceparent } } }])
  })

  test('each way to send one job', async () => {
    const name = await queue()
    const id = await boss.send({ name, data: { n: 1 }, options: { priority: 1 } })
    await boss.sendAfter(name, { n: 2 }, {}, 3600)
    await boss.sendThrottled(name, { n: 3 }, {}, 3600, 'throttled')
    await boss.sendDebounced(name, { n: 4 }, {}, 3600, 'debounced')
    if (has('upsert')) await boss.upsert(name, { n: 5 }, { singletonKey: 'upserted' })
    expect(new Set(sent.map(({ state }) => state))).toEqual(new Set(['confirmed']))
    expect(sent[0]!.messageId).toBe(id)
    const found = await rows(`select data from pgboss.job where name = '${name}' order by data->'n'`)
    expect(found.map(({ data }) => (data as never)['__afterspan']['traceparent'])).toEqual(
      sent.map(({ traceparent }) => traceparent),
    )
  })

  test('a job that waits beyond its retention, and is deleted then, was never overdue', async () => {
    const name = await queue({ retentionSeconds: 60 })
    await boss.send(name, { n: 1 })
    await boss.send(name, { n: 2 }, { retentionSeconds: 5, startAfter: 10 })
    await boss.sendAfter(name, { n: 3 }, {}, new Date(Date.now() + 3_600_000))
    await boss.insert(name, [{ data: { n: 4 }, retentionSeconds: 7 }])
    await boss.updateQueue(name, { retentionSeconds: 90 })
    await boss.send({ name, data: { n: 5 } })
    await boss.send(await queue(), { n: 6 })
    const seconds = sent.map(({ draft: { deadlineMs } }) => deadlineMs && Math.round(deadlineMs / 10_000) * 10)
    expect(seconds).toEqual([60, 20, 3_660, 10, 90, undefined])
  })

  test('a job that pg-boss does not take is no confirmed task', async () => {
    const name = await queue()
    expect(await boss.send(name, { n: 1 }, { singletonKey: 'one', singletonSeconds: 3600 })).toBeTypeOf('string')
    expect(await boss.send(name, { n: 2 }, { singletonKey: 'one', singletonSeconds: 3600 })).toBeNull()
    expect(await boss.sendThrottled(name, null, {}, 3600, 'one')).toBeNull()
    expect(sent.map(({ state }) => state)).toEqual(['confirmed', 'deduplicated', 'deduplicated'])
  })

  test('an error reaches the caller as it was', async () => {
    const error = await boss.send('nowhere', { n: 1 }).catch((thrown: unknown) => thrown)
    expect(error).toMatchObject({ message: 'Queue nowhere does not exist' })
    expect(sent).toMatchObject([{ state: 'never_enqueued', error }])
    await expect(boss.send('' as never)).rejects.toThrow('boss requires all jobs to have a queue name')
    await expect(boss.insert('nowhere', [{ data: { n: 1 } }])).rejects.toThrow('Queue nowhere does not exist')
    expect(sent[2]).toMatchObject({ state: 'never_enqueued' })
  })

  test.runIf(has('findJobs'))('insert() makes one task for each job and tells the skipped ones', async () => {
    const name = await queue({ policy: 'short' })
    const jobs = [{ data: { n: 1 }, singletonKey: 'a' }, { data: { n: 2 }, singletonKey: 'a' }, { singletonKey: 'b' }]
    const before = structuredClone(jobs)
    expect(await boss.insert(name, jobs)).toBeNull()
    expect(jobs).toEqual(before)
    expect(sent.map(({ state }) => state)).toEqual(['confirmed', 'deduplicated', 'confirmed'])
    const stored = await rows(`select id from pgboss.job where name = '${name}'`)
    expect(new Set(stored.map(({ id }) => id))).toEqual(new Set([sent[0]!.messageId, sent[2]!.messageId]))
    expect(await boss.insert(name, [{ singletonKey: 'a' }])).toBeNull()
    expect(sent[3]).toMatchObject({ state: 'deduplicated' })
    const id = randomUUID()
    const ids = await boss.insert(name, [{ singletonKey: 'c' }, { singletonKey: 'd', id }], { returnId: true })
    expect(ids).toEqual([expect.any(String), id])
    expect(sent.slice(4).map(({ messageId }) => messageId)).toEqual(ids)
  })

  test('insert() of ten thousand jobs', { timeout: 30_000 }, async () => {
    const name = await queue()
    await boss.insert(
      name,
      Array.from({ length: 10_000 }, (_, n) => ({ data: { n } })),
    )
    expect(sent.filter(({ state }) => state === 'confirmed')).toHaveLength(10_000)
  })

  test.runIf(has('flow'))('flow() makes one task for each job', async () => {
    const [parent, child] = [await queue(), await queue()]
    const ids = await boss.flow([
      { ref: 'p', name: parent, data: { n: 1 } },
      { ref: 'c', name: child, data: { n: 2 }, dependsOn: ['p'] },
    ])
    expect(sent).toMatchObject([
      { draft: { destination: parent }, messageId: ids['p'], state: 'confirmed' },
      { draft: { destination: child }, messageId: ids['c'], state: 'confirmed' },
    ])
  })

  test('publish() makes one task for each subscriber', async () => {
    const [first, second, third] = [await queue(), await queue({ policy: 'short' }), await queue()]
    for (const name of [first, second]) await boss.subscribe('paid', name)
    await boss.send(second, null, { singletonKey: 'taken' })
    fake.clear()
    const data = { order: 7 }
    expect(await boss.publish('paid', data, { singletonKey: 'taken' })).toBeUndefined()
    expect(data).toEqual({ order: 7 })
    expect(sent).toHaveLength(2)
    expect(sent.find(({ draft }) => draft.destination === first)).toMatchObject({ state: 'confirmed' })
    expect(sent.find(({ draft }) => draft.destination === second)).toMatchObject({ state: 'deduplicated' })
    const seen: unknown[] = []
    await work(
      first,
      ([job]) => seen.push(job!.data),
      () => hasEnded(runs[0]),
    )
    expect(seen).toEqual([data])
    expect(runs[0]!.traceparent).toBe(sent.find(({ draft }) => draft.destination === first)!.traceparent)
    await boss.send(third)
    expect(sent).toHaveLength(3)
  })

  test('a transaction of the app: what is rolled back was never sent', async () => {
    const name = await queue()
    const pool = new Pool({ connectionString: (postgres as ServerOf['postgres']).url, max: 1 })
    const client = await pool.connect()
    const db = { executeSql: (text: string, values?: unknown[]) => client.query(text, values) }
    await boss.subscribe('in a transaction', name)
    await client.query('begin')
    const id = await boss.send(name, { n: 1 }, { db })
    await boss.publish('in a transaction', { n: 2 }, { db })
    expect(await boss.getJobById(name, id!)).toBeNull()
    const ids = await boss.insert(name, [{ data: { n: 3 } }, { data: { n: 4 } }], { db, returnId: true })
    expect(ids).toHaveLength(2)
    await client.query('rollback')
    await fake.until(() => settled.length >= 4)
    // Each asks by itself what became of the transaction: in no order.
    expect(new Set(settled)).toEqual(new Set(sent.slice(0, 4).map(rolledBack)))
    expect(settled).toHaveLength(4)
    expect(await jobsOf(name)).toEqual([])

    await client.query('begin')
    await boss.send(name, { n: 5 }, { db })
    await client.query('commit')
    client.release()
    await pool.end()
    expect(await jobsOf(name)).toHaveLength(1)
    expect(settled).toHaveLength(4)
  })

  test('a job that was sent after a savepoint to which its transaction went back stayed enqueued for ever', async () => {
    const name = await queue()
    const pool = new Pool({ connectionString: (postgres as ServerOf['postgres']).url, max: 1 })
    const client = await pool.connect()
    const db = { executeSql: (text: string, values?: unknown[]) => client.query(text, values) }
    await client.query('begin')
    await client.query('savepoint before')
    await boss.send(name, { n: 1 }, { db })
    await client.query('rollback to savepoint before')
    await boss.send(name, { n: 2 }, { db })
    await client.query('commit')
    client.release()
    await pool.end()
    await fake.until(() => settled.length > 0)
    expect(settled).toEqual([rolledBack(sent[0]!)])
    expect(await jobsOf(name)).toHaveLength(1)
  })

  test.runIf(has('update'))('a job that was updated stayed enqueued for ever, and ran as nobody’s', async () => {
    const name = await queue()
    const id = await boss.send(name, { n: 1 }, { singletonKey: 'k' })
    for (const update of [
      () => boss.update(name, { n: 2 }, { id: id! }),
      () => boss.update({ name, data: { n: 3 }, options: { singletonKey: 'k' } }),
      () => boss.update(name, undefined, { singletonKey: 'k', priority: 5 }),
    ])
      expect(await update()).toMatchObject({ updated: 1 })
    const seen: unknown[] = []
    await work(
      name,
      ([job]) => seen.push(job!.data),
      () => hasEnded(runs[0]),
    )
    expect(seen).toEqual([{ n: 3 }])
    expect(sent).toHaveLength(1)
    expect(runs[0]!.traceparent).toBe(sent[0]!.traceparent)
    expect(settled).toEqual([])
  })

  test.runIf(has('update'))(
    'jobs that were updated at once stayed enqueued for ever, and ran as nobody’s',
    async () => {
      const name = await queue()
      for (const n of [1, 2, 3]) await boss.send(name, { n }, { singletonKey: 'k' })
      const ids = sent.map(({ messageId }) => messageId)
      const all = { singletonKey: 'k', match: 'all' } as never
      const { updated } = (await boss.update(name, { n: 4 }, all)) as { updated: number }
      // Some versions know no match, and mean one.
      if (updated === 1) return
      await boss.update(name, { n: 5 }, all)
      expect((await boss.getJobById(name, ids[0] as string))!.data).toEqual({ n: 5 })
      const seen: unknown[] = []
      await work(
        name,
        ([job]) => seen.push(job!.data),
        () => runs.filter(hasEnded).length === 3,
      )
      expect(seen).toEqual([{ n: 5 }, { n: 5 }, { n: 5 }])
      const ran = runs.map(({ info: { messageId }, traceparent }) => [messageId, traceparent])
      expect(Object.fromEntries(ran)).toEqual(
        Object.fromEntries(sent.map((task) => [task.messageId, task.traceparent])),
      )
    },
  )

  test.runIf(has('upsert'))('a job whose place a newer one took stayed enqueued for ever', async () => {
    const name = await queue()
    await boss.upsert(name, { n: 1 }, { singletonKey: 'k' })
    await boss.upsert(name, { n: 2 }, { singletonKey: 'k' })
    // It changes the options of that one alone.
    await boss.upsert(name, undefined, { singletonKey: 'k', priority: 5 })
    await work(
      name,
      () => {},
      () => hasEnded(runs[0]),
    )
    expect(settled).toEqual([{ taskId: sent[0]!.taskId, event: 'cancelled', reason: 'deduplicated' }])
    expect(sent.map(({ state }) => state)).toEqual(['confirmed', 'confirmed', 'deduplicated'])
    expect(runs.map(({ traceparent }) => traceparent)).toEqual([sent[1]!.traceparent])
  })

  test('a client of the app that cannot tell of its transaction is left alone, and the job counts as sent', async () => {
    const name = await queue()
    const asked: string[] = []
    const own = boss.getDb()
    const db = {
      executeSql: (text: string, values?: unknown[]) => {
        asked.push(text)
        return text.includes('txid') ? Promise.reject(new Error('no such function')) : own.executeSql(text, values)
      },
    }
    expect(await boss.send(name, { n: 1 }, { db })).toBeTypeOf('string')
    expect(sent.map(({ state }) => state)).toEqual(['confirmed'])
    expect(settled).toEqual([])
    expect(asked.length).toBeGreaterThan(0)
  })
})

describe('what the app sees', () => {
  class Order {
    id = 7
  }
  class Wrapped {
    inner: unknown
    constructor(inner: unknown) {
      this.inner = inner
    }
    toJSON(): unknown {
      return this.inner
    }
  }
  test.for([
    ['nothing', undefined, null, false],
    ['null', null, null, false],
    ['an array', [1, { a: 2 }], [1, { a: 2 }], false],
    ['a string', 'text', 'text', false],
    ['a number', 0, 0, false],
    ['false', false, false, false],
    ['a date', new Date(0), '1970-01-01T00:00:00.000Z', false],
    ['a map', new Map([[1, 2]]), {}, false],
    ['something with toJSON', new Wrapped({ a: 1 }), { a: 1 }, false],
    ['an empty object', {}, {}, true],
    ['an instance', new Order(), { id: 7 }, true],
    ['an object without prototype', Object.assign(Object.create(null) as object, { a: 1 }), { a: 1 }, true],
  ] as const)('%s arrives as it was sent', async ([, data, arrives, isCarried]) => {
    const name = await queue()
    const id = await boss.send(name, data as never)
    expect(await boss.getJobById(name, id!)).toMatchObject({ data: arrives })
    const found = has('findJobs') ? await boss.findJobs(name) : [{ data: arrives }]
    expect(found).toMatchObject([{ data: arrives }])
    const seen: unknown[] = []
    await work(
      name,
      ([job]) => seen.push(job!.data),
      () => hasEnded(runs[0]),
    )
    expect(seen).toEqual([arrives])
    expect(runs[0]).toMatchObject({
      state: 'succeeded',
      traceparent: isCarried ? sent[0]!.traceparent : undefined,
      info: { messageId: id },
    })
  })

  test.for([{}, { includeMetadata: true }, { includeMetadata: false }])(
    'a handler’s job has the same keys with and without Afterspan: %o',
    { timeout: 15_000 },
    async (options) => {
      const name = await queue()
      const shapeOf = async (): Promise<unknown> => {
        await boss.send(name, { a: 1, b: { c: null } })
        const { promise, resolve } = Promise.withResolvers<unknown[]>()
        await boss.work(
          name,
          { pollingIntervalSeconds: 0.5, ...options } as never,
          (async (jobs: Job[], ...more: unknown[]) => {
            resolve([
              jobs.map((job) => [
                Object.keys(job),
                Object.getPrototypeOf(job),
                job.data,
                job.signal instanceof AbortSignal,
              ]),
              more,
            ])
          }) as never,
        )
        const shape = await promise
        await boss.offWork(name)
        await boss.send(name)
        const [fetched] = await boss.fetch(name, options as never)
        await boss.complete(name, fetched!.id)
        return [shape, Object.keys(fetched!), fetched!.data]
      }
      const withAfterspan = await shapeOf()
      fake.undo()
      expect(METHODS.map((method) => library.PgBoss.prototype[method])).toEqual(originals)
      const without = await shapeOf()
      pgBoss.patch(library, fake.kit)
      expect(withAfterspan).toEqual(without)
    },
  )

  test('a wrong argument gets pg-boss’s own words', async () => {
    const name = await queue()
    await expect(boss.work(name, 'no handler' as never)).rejects.toThrow('expected callback to be a function')
    await expect(boss.work(name, { includeMetadata: 1 } as never, (async () => {}) as never)).rejects.toThrow(
      'includeMetadata must be a boolean',
    )
    await expect(boss.fetch(name, { includeMetadata: 'yes' } as never)).rejects.toThrow('must be a boolean')
    const shapes = METHODS.map((method) => [method, library.PgBoss.prototype[method].length])
    expect(shapes).toEqual(originals.map(({ name: method, length }) => [method, length]))
  })

  test('import and require bring one class, which is patched once', async () => {
    pgBoss.patch(createRequire(import.meta.url)('pg-boss') as typeof library, fake.kit)
    await boss.send(await queue(), { n: 1 })
    expect(sent).toHaveLength(1)
  })
})

describe('running', () => {
  test('retries until they are exhausted; the limit is the job’s own, or its queue’s', async () => {
    const [own, byQueue] = [await queue(), await queue({ retryLimit: 1 })]
    for (const [name, options] of [
      [own, { retryLimit: 2 }],
      [byQueue, {}],
    ] as const) {
      fake.clear()
      await boss.send(name, { n: 1 }, options)
      const error = new TypeError('no luck')
      const throwing = (): never => {
        throw error
      }
      await work(name, throwing, () => runs.at(-1)?.state === 'failed')
      const maxAttempts = (options.retryLimit ?? 1) + 1
      expect(runs.map(({ info: { attempt, maxAttempts: most }, state }) => [attempt, most, state])).toEqual([
        ...Array.from({ length: maxAttempts - 1 }, (_, i) => [i + 1, maxAttempts, 'retrying']),
        [maxAttempts, maxAttempts, 'failed'],
      ])
      expect(new Set(runs.map(({ traceparent }) => traceparent))).toEqual(new Set([sent[0]!.traceparent]))
      expect(runs[0]!.error).toBe(error)
      expect(await jobsOf(name)).toMatchObject([{ state: 'failed', output: { message: 'no luck' } }])
    }
  })

  test('a batch: each job is an attempt of its own', async () => {
    const name = await queue({ retryLimit: 0 })
    await boss.insert(name, [{ data: { n: 1 } }, { data: { n: 2 } }, { data: { n: 3 } }])
    const seen: unknown[] = []
    const handler = async (jobs: Job[]): Promise<void> => {
      seen.push(jobs.map(({ data }) => data))
      throw new Error('all of them')
    }
    await work(name, handler, () => runs.filter(hasEnded).length === 3, { batchSize: 10 })
    expect(seen).toHaveLength(1)
    expect((seen[0] as unknown[]).toSorted((a, b) => (a as { n: number }).n - (b as { n: number }).n)).toEqual([
      { n: 1 },
      { n: 2 },
      { n: 3 },
    ])
    expect(runs.map(({ state }) => state)).toEqual(['failed', 'failed', 'failed'])
    expect(new Set(runs.map(({ traceparent }) => traceparent))).toEqual(
      new Set(sent.map(({ traceparent }) => traceparent)),
    )
  })

  test('perJobResults: one bad message does not spoil its batch', async () => {
    const name = await queue({ retryLimit: 5 })
    await boss.insert(
      name,
      ['good', 'bad', 'dead', 'forgotten'].map((kind) => ({ data: { kind } })),
    )
    const kinds = new Map<string, string>()
    const handler = async (jobs: Job[]): Promise<unknown> => {
      for (const { id, data } of jobs) kinds.set(id, (data as { kind: string }).kind)
      const as: Record<string, object> = {
        good: { status: 'completed' },
        bad: { status: 'failed', output: { message: 'no' } },
        dead: { status: 'deadletter' },
      }
      return jobs.flatMap(({ id, data }) => {
        const result = as[(data as { kind: string }).kind]
        return result ? [{ id, ...result }] : []
      })
    }
    const condition = (): boolean => runs.filter(hasEnded).length >= 4
    await work(name, handler, condition, { batchSize: 10, perJobResults: true })
    const states = runs.slice(0, 4).map(({ info, state }) => [kinds.get(info.messageId!), state])
    expect(Object.fromEntries(states)).toEqual({
      good: 'succeeded',
      bad: 'retrying',
      dead: 'failed',
      forgotten: 'retrying',
    })
  })

  test('a lazy thenable is run once, and its end is the attempt’s', async () => {
    const name = await queue({ retryLimit: 0 })
    await boss.send(name, { n: 1 })
    const then = vi.fn<(resolve: unknown, reject: (error: unknown) => void) => void>((_, reject) => {
      reject(new Error('no such table'))
    })
    await work(
      name,
      // oxlint-disable-next-line unicorn/no-thenable -- as the query builders of knex and drizzle are
      () => ({ then }),
      () => hasEnded(runs[0]),
    )
    expect(then).toHaveBeenCalledTimes(1)
    expect(runs).toMatchObject([{ state: 'failed', error: { message: 'no such table' } }])
    expect(await jobsOf(name)).toMatchObject([{ state: 'failed', output: { message: 'no such table' } }])
  })

  test('a handler that outlives its expiry has failed, whatever it does later', { timeout: 15_000 }, async () => {
    const name = await queue({ retryLimit: 0, expireInSeconds: 1 })
    await boss.send(name, { n: 1 })
    const { promise, resolve } = Promise.withResolvers<void>()
    const handler = (): Promise<void> => promise
    await boss.work(name, { pollingIntervalSeconds: 0.5 }, handler as never)
    await fake.until(() => hasEnded(runs[0]))
    expect(runs[0]).toMatchObject({
      state: 'failed',
      info: { failedAs: 'expired' },
      error: { code: 'expired', message: /exceeded 1s/ },
    })
    resolve()
    await boss.offWork(name)
    expect(runs).toMatchObject([{ state: 'failed' }])
  })

  test.runIf(has('flow'))('a job that is given up at shutdown is retried', async () => {
    const name = await queue({ retryLimit: 1 })
    await boss.send(name, { n: 1 })
    const second = new library.PgBoss({ connectionString: (postgres as ServerOf['postgres']).url, schedule: false })
    second.on('error', () => {})
    await second.start()
    const [handler, watched] = [Promise.withResolvers<void>(), Promise.withResolvers<void>()]
    await second.work(name, { pollingIntervalSeconds: 0.5 }, ([job]) => {
      vi.spyOn(job!.signal, 'addEventListener').mockImplementation(function (this: AbortSignal, ...args) {
        AbortSignal.prototype.addEventListener.apply(this, args as never)
        watched.resolve()
      })
      return handler.promise
    })
    await watched.promise
    await second.stop({ graceful: false })
    // Older versions have closed their pool by then, and nobody can say what became of the job.
    if (has('getInstances')) await fake.until(() => hasEnded(runs[0]))
    expect(runs).toMatchObject([
      has('getInstances') ? { state: 'retrying', error: { code: 'shut_down' } } : { state: 'running' },
    ])
    handler.resolve()
  })

  test('a job that the handler fails by hand has failed', async () => {
    const name = await queue({ retryLimit: 0 })
    await boss.send(name, { n: 1 })
    const handler = async ([job]: Job[]): Promise<void> => {
      await boss.fail(name, job!.id, { message: 'not valid', secret: 1 })
    }
    await work(name, handler, () => hasEnded(runs[0]))
    expect(runs).toMatchObject([{ state: 'failed', error: { message: 'not valid' } }])
    expect(runs[0]!.error).not.toHaveProperty('secret')
  })

  test.runIf(has('getInstances'))(
    'a job that is completed in a transaction which is then rolled back has failed',
    async () => {
      const name = await queue({ retryLimit: 1 })
      await boss.send(name, { n: 1 })
      const handler = async ([job]: Job[], tx: unknown): Promise<void> => {
        await boss.complete(name, job!.id, undefined, { db: tx as never })
        throw new Error('too late')
      }
      await work(name, handler, () => hasEnded(runs[0]), { transactional: true })
      expect(runs[0]).toMatchObject({ state: 'retrying', error: { message: 'too late' } })
    },
  )

  test('what others made of the job while its handler ran', async () => {
    const [cancelled, failed] = [await queue({ retryLimit: 5 }), await queue({ retryLimit: 5 })]
    for (const [name, state] of [
      [cancelled, 'cancelled'],
      [failed, 'failed'],
    ] as const) {
      await boss.send(name, { n: 1 })
      const handler = async (): Promise<void> => {
        await rows(`update pgboss.job set state = '${state}', completed_on = now() where name = '${name}'`)
        throw new Error('no')
      }
      await work(name, handler, () => hasEnded(runs.find(({ info }) => info.destination === name)))
    }
    expect(runs.map(({ state }) => state)).toEqual(['cancelled', 'failed'])
  })

  test('a job that had failed for good, and is retried by hand, comes back', async () => {
    const name = await queue({ retryLimit: 0 })
    const id = await boss.send(name, { n: 1 })
    const handler = async (): Promise<void> => {
      if (runs.length === 1) throw new Error('no')
    }
    await work(name, handler, () => hasEnded(runs[0]))
    await boss.retry(name, id!)
    await work(name, handler, () => hasEnded(runs[1]))
    expect(runs.map(({ info: { attempt, isReturn }, state }) => [attempt, isReturn, state])).toEqual([
      [1, true, 'failed'],
      [2, true, 'succeeded'],
    ])
  })

  test('an abort is no way out of the last attempt', async () => {
    const name = await queue({ retryLimit: 0 })
    await boss.send(name, { n: 1 })
    const handler = async (): Promise<void> => {
      throw new DOMException('stop', 'AbortError')
    }
    await work(name, handler, () => hasEnded(runs[0]))
    // With its attempts known, the kit takes it for a failure.
    expect(runs[0]!.info).toMatchObject({ attempt: 1, maxAttempts: 1 })
    expect(runs[0]!.info.outcomeOf?.(runs[0]!.error)).toBeUndefined()
  })

  test('a dead-letter job is other work than the one that failed', async () => {
    const dead = await queue()
    const name = await queue({ retryLimit: 0, deadLetter: dead })
    await boss.send(name, { n: 1 })
    const throwing = (): never => {
      throw new Error('no')
    }
    await work(name, throwing, () => hasEnded(runs[0]))
    const seen: unknown[] = []
    await work(
      dead,
      ([job]) => seen.push(job!.data),
      () => hasEnded(runs[1]),
    )
    expect(seen).toEqual([{ n: 1 }])
    expect(runs).toMatchObject([
      { traceparent: sent[0]!.traceparent, state: 'failed' },
      { traceparent: undefined, info: { destination: dead }, state: 'succeeded' },
    ])
  })

  test('pg-boss’s own work is nobody’s task', async () => {
    const second = new library.PgBoss({ connectionString: (postgres as ServerOf['postgres']).url })
    second.on('error', () => {})
    await second.start()
    const name = await queue()
    await second.schedule(name, '* * * * *', { n: 1 })
    await second.supervise()
    await second.stop({ graceful: false })
    expect([sent, runs]).toEqual([[], []])
  })
})

describe('by hand', () => {
  test('from fetch() to complete(), fail() or cancel()', async () => {
    const name = await queue({ retryLimit: 1 })
    await boss.insert(name, [{ data: { n: 1 } }, { data: { n: 1 } }, { data: { n: 1 } }])
    const jobs = await boss.fetch(name, { batchSize: 3 })
    expect(jobs.map(({ data }) => data)).toEqual([{ n: 1 }, { n: 1 }, { n: 1 }])
    expect(runs.map(({ state }) => state)).toEqual(['running', 'running', 'running'])
    await boss.complete(name, jobs[0]!.id, { some: 'result' })
    await boss.fail(name, [jobs[1]!.id], new RangeError('by hand'))
    await boss.cancel(name, jobs[2]!.id)
    await fake.until(() => runs.every(hasEnded))
    expect(runs.map(({ state }) => state)).toEqual(['succeeded', 'retrying', 'cancelled'])
    expect(runs[1]!.error).toBeInstanceOf(RangeError)
    expect(settled).toEqual([])
  })

  test('a job that was fetched and forgotten ran for ever, and twice at once when it came again', async () => {
    const url = (postgres as ServerOf['postgres']).url
    const supervisor = new library.PgBoss({
      connectionString: url,
      monitorIntervalSeconds: 1,
      superviseIntervalSeconds: 1,
    })
    supervisor.on('error', () => {})
    await supervisor.start()
    const name = await queue({ expireInSeconds: 1, retryDelay: 0, retryLimit: 1 })
    await boss.send(name, { n: 1 })
    await boss.fetch(name)
    await fake.until(() => runs.every(hasEnded))
    expect(runs).toMatchObject([{ state: 'retrying', error: { code: 'expired' } }])
    await boss.fetch(name)
    expect(runs).toMatchObject([{ state: 'retrying' }, { state: 'running', info: { isTakeover: true } }])
    await fake.until(() => runs.every(hasEnded))
    expect(runs[1]).toMatchObject({ state: 'failed', error: { code: 'expired' } })
    await supervisor.stop({ graceful: false })
  }, 60_000)

  test('a fetched job that another process settles ran for ever', async () => {
    const name = await queue({ expireInSeconds: 1, retryLimit: 0 })
    await boss.insert(name, [{ data: { n: 1 } }, { data: { n: 2 } }])
    const [done, failed] = await boss.fetch(name, { batchSize: 2 })
    await rows(`update pgboss.job set state = 'completed' where id = '${done!.id}'`)
    await rows(`update pgboss.job set state = 'failed', output = '{"message": "elsewhere"}' where id = '${failed!.id}'`)
    await fake.until(() => runs.every(hasEnded))
    expect(runs).toMatchObject([{ state: 'succeeded' }, { state: 'failed', error: { message: 'elsewhere' } }])
  }, 60_000)

  test('a job that is cancelled or deleted before anybody has it', async () => {
    const name = await queue()
    const ids = [await boss.send(name, { n: 1 }), await boss.send(name, { n: 2 }), await boss.send(name, { n: 3 })]
    await boss.cancel(name, ids[0]!)
    await boss.deleteJob(name, [ids[1]!])
    const cancelled = { event: 'cancelled', reason: 'aborted' }
    expect(settled).toEqual([
      { ...cancelled, taskId: sent[0]!.taskId },
      { ...cancelled, taskId: sent[1]!.taskId },
    ])
    const [job] = await boss.fetch(name)
    await boss.complete(name, job!.id)
    await boss.deleteJob(name, job!.id)
    expect(settled).toHaveLength(2)
  })

  test('a job that the app has failed or completed before anybody had it stayed enqueued', async () => {
    const name = await queue()
    const send = (retryLimit: number): Promise<string | null> => boss.send(name, { n: 1 }, { retryLimit })
    const [last, first, done] = [await send(0), await send(1), await send(0)]
    await boss.fail(name, [last!, first!], { message: 'no use' })
    await boss.complete(name, done!, {}, { includeQueued: true })
    expect(settled).toMatchObject([
      { taskId: sent[0]!.taskId, event: 'failed', reason: 'dead_lettered' },
      { taskId: sent[2]!.taskId, event: 'cancelled', reason: 'aborted' },
    ])
    // The other has a run left.
    await rows(`update pgboss.job set start_after = now() where id = '${first}'`)
    expect(await boss.fetch(name)).toMatchObject([{ id: first }])
    expect(runs).toMatchObject([{ traceparent: sent[1]!.traceparent, state: 'running' }])
    await boss.complete(name, first!)
  })

  test('settling what nobody holds', async () => {
    const name = await queue()
    const id = await boss.send(name, { n: 1 })
    expect(await boss.complete(name, id!)).toMatchObject({ requested: 1, affected: 0 })
    await expect(boss.cancel(name, null as never)).rejects.toThrow('requires an id')
    expect([runs, settled]).toEqual([[], []])
  })
})

// What is asked before a call holds that back; what the app asks of the queue meanwhile must not come before it for that.
describe('calls that nobody awaits', () => {
  let own: library.PgBoss
  let pool: Pool
  let isSilent = false

  beforeAll(async () => {
    if ('missing' in postgres) return
    // One connection: several do not answer in order, whoever asks.
    pool = new Pool({ connectionString: postgres.url, max: 1 })
    const executeSql = (text: string, values?: unknown[]): Promise<any> =>
      isSilent && /^\s*select/i.test(text) ? new Promise(() => {}) : pool.query(text, values)
    own = new library.PgBoss({ db: { executeSql }, schedule: false, supervise: false } as never)
    await own.start()
  })
  afterAll(async () => {
    isSilent = false
    await own?.stop({ graceful: false })
    await pool?.end()
  })
  const ids = async (name: string): Promise<unknown[]> =>
    (await rows(`select id from pgboss.job where name = '${name}' and state = 'created' order by created_on`)).map(
      ({ id }) => id,
    )

  test.each(['deleteQueuedJobs', 'deleteAllJobs'] as const)('%s() takes what is sent right after', async (method) => {
    const name = await queue()
    await own.send(name, { n: 'old' })
    const [, id] = await Promise.all([own[method](name), own.send(name, { n: 'new' })])
    expect(await ids(name)).toEqual([id])
    expect(settled).toEqual([{ taskId: sent[0]!.taskId, event: 'cancelled', reason: 'aborted' }])
  })

  test('a job that is deleted takes the one that is sent right after under its id', async () => {
    const name = await queue()
    const id = randomUUID()
    await own.send(name, { n: 'old' }, { id })
    const [, again] = await Promise.all([own.deleteJob(name, id), own.send(name, { n: 'new' }, { id })])
    expect(again).toBe(id)
    await own.cancel(name, id)
    expect(settled.map(({ taskId }) => taskId)).toEqual(sent.map(({ taskId }) => taskId))
  })

  test('a job is not cancelled where pg-boss is stopped right after', async () => {
    const name = await queue()
    const other = new library.PgBoss({ connectionString: (postgres as ServerOf['postgres']).url, supervise: false })
    await other.start()
    const id = await other.send(name, { n: 1 })
    await Promise.all([other.cancel(name, id!), other.stop()])
    expect(await ids(name)).toEqual([])
    expect(settled).toEqual([{ taskId: sent[0]!.taskId, event: 'cancelled', reason: 'aborted' }])
  })

  test('a call that fails, or has nothing to ask, holds back nobody', async () => {
    const name = await queue()
    const failing = own.cancel(name, null as never)
    const [, id] = await Promise.all([expect(failing).rejects.toThrow('requires an id'), own.send(name, { n: 1 })])
    await Promise.all([own.update(name, { n: 2 }, { id: id! }), own.cancel(name, id!)])
    expect(await ids(name)).toEqual([])
    const other = await own.send(name, { n: 3 })
    expect(await ids(name)).toEqual([other])
  })

  test('a database that does not answer what we ask holds a call back for ever', async () => {
    const name = await queue()
    const id = await own.send(name, { n: 1 })
    isSilent = true
    await own.cancel(name, id!)
    isSilent = false
    expect(await ids(name)).toEqual([])
    expect(settled).toEqual([])
  })
})

describe('without a carrier in the data', () => {
  test('nothing is added, and the message id still tells', async () => {
    fake.undo()
    pgBoss.patch(library, { ...fake.kit, carriesInData: false })
    const name = await queue()
    const id = await boss.send(name, { n: 1 })
    expect(await rows(`select data from pgboss.job where id = '${id}'`)).toEqual([{ data: { n: 1 } }])
    await work(
      name,
      async () => {},
      () => hasEnded(runs[0]),
    )
    expect(runs).toMatchObject([{ traceparent: undefined, info: { messageId: id } }])
    fake.undo()
    pgBoss.patch(library, fake.kit)
  })
})

/** The tests run on the oldest version that is supported too, which has fewer methods. */
function has(method: string): boolean {
  return method in library.PgBoss.prototype
}
function jobsOf(name: string): Promise<Record<string, unknown>[]> {
  return rows(`select state, data, output from pgboss.job where name = '${name}'`)
}
async function rows(sql: string): Promise<Record<string, unknown>[]> {
  const { rows: found } = (await boss.getDb().executeSql(sql)) as { rows: Record<string, unknown>[] }
  return found
}
