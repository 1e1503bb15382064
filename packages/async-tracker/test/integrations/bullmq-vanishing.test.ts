// Jobs that go with the data of their queue, on a real Redis: what the queue has lost is told, and nothing else.
import { present, service, type MissingServer, type ServerOf } from '../../../testing/src/services.ts'
import { context } from '@opentelemetry/api'
import { Queue, Worker } from 'bullmq'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { AsyncContextManager } from '../../../core/src/sdk/context-manager.ts'
import { isOwnWork } from '../../../core/src/sdk/suppress.ts'
import type { Queue as Asked } from '../../src/integrations/bullmq/shapes.ts'
import { clientOf as found } from '../../src/integrations/redis-jobs/before.ts'
import { taskOfStored } from '../../src/integrations/bullmq/carrier.ts'
import { createVanishing, type Vanishing } from '../../src/integrations/redis-jobs/vanishing.ts'
import { createFakeKit } from './fake-kit.ts'

const fake = createFakeKit()
const { settled } = fake
let redis: ServerOf['redis'] | MissingServer
let queue: Queue
let vanishing: Vanishing
let looks: Looks
let queues = 0
const open: { close(): Promise<void> }[] = []

beforeAll(async () => {
  context.setGlobalContextManager(new AsyncContextManager())
  redis = await service('redis')
})
afterAll(async () => {
  if (!('missing' in redis)) await redis.stop()
})
beforeEach(async (context) => {
  present(redis, context)
  fake.clear()
  const { host, port } = redis as ServerOf['redis']
  queue = new Queue(`v${++queues}`, { connection: { host, port } })
  open.push(queue)
  looks = new Looks()
  vanishing = createVanishing(fake.kit, taskOfStored, { soonMs: 5, restMs: 0, againMs: 5 })
})
afterEach(async () => {
  for (const each of open.splice(0).reverse()) await each.close()
})

/** What Afterspan asks of Redis, and how often it has looked. */
class Looks {
  hides = false
  /** Whether each question for a job was Afterspan's own work. */
  readonly own: boolean[] = []
  #count = 0
  #waiting: (() => void)[] = []

  async of(real: Queue): Promise<Asked> {
    const client = await clientOf(real)
    const { lrange, zrange, hget } = client
    const get = async (key: string): Promise<string | null> => {
      const value = this.hides ? '0' : await client.get(key)
      this.#count++
      setImmediate(() => {
        for (const go of this.#waiting.splice(0)) go()
      })
      return value
    }
    const getJob = (...args: unknown[]): unknown => {
      this.own.push(isOwnWork())
      return hget.apply(client, args)
    }
    const asked = { get, hget: getJob, lrange: lrange.bind(client), zrange: zrange.bind(client) }
    return {
      name: real.name,
      toKey: (type: string) => real.toKey(type),
      client: Promise.resolve(asked),
      get closing() {
        return real.closing
      },
    } as never
  }
  /** As many from now on. */
  async more(count = 2): Promise<void> {
    const until = this.#count + count
    while (this.#count < until) await new Promise<void>((resolve) => this.#waiting.push(resolve))
  }
}

const clientOf = async (of: Queue): Promise<any> => found(of as never)
let asked: Asked
async function add(n: number, opts: { jobId?: string; delay?: number } = {}): Promise<string> {
  const taskId = String(n).padStart(48, '0')
  const traceparent = `00-${taskId.slice(0, 32)}-${taskId.slice(32)}-01`
  const telemetry = { metadata: JSON.stringify({ traceparent }) }
  const { id } = await queue.add('pay', {}, { ...opts, telemetry })
  vanishing.sent(asked, { id, taskId: taskId as never, isNumbered: !opts.jobId })
  return taskId
}
const lost = (...taskIds: string[]): object[] =>
  taskIds.map((taskId) => ({ taskId, event: 'lost', reason: 'vanished_from_broker' }))
const wipe = async (): Promise<void> => void (await (await clientOf(queue)).flushall())

describe('jobs that wait', () => {
  beforeEach(async () => {
    asked = await looks.of(queue)
  })

  test('stayed enqueued for ever after FLUSHALL', async () => {
    const taskIds = [await add(1), await add(2, { delay: 60_000 }), await add(3, { jobId: 'own' })]
    await looks.more()
    await wipe()
    await fake.until(() => settled.length === 3)
    expect(settled).toEqual(lost(...taskIds))
  })

  test('are lost where the queue has been filled anew, and their numbers are given out again', async () => {
    const old = [await add(1), await add(2)]
    await looks.more()
    await wipe()
    await add(3)
    await fake.until(() => settled.length >= 2)
    await add(4)
    await looks.more(4)
    expect(settled).toEqual(lost(...old))
  })

  test('are looked for by nobody but Afterspan: each question was a task of the request that had sent the next job', async () => {
    await add(1)
    await add(2)
    await looks.more()
    await wipe()
    await add(3)
    await fake.until(() => settled.length >= 2)
    expect(new Set(looks.own)).toEqual(new Set([true]))
  })

  test('are none of them lost that were done and removed, by a worker of which nothing is known', async () => {
    await add(1)
    await add(2)
    await looks.more()
    const { host, port } = redis as ServerOf['redis']
    const options = { connection: { host, port }, removeOnComplete: { count: 0 } }
    const worker = new Worker(queue.name, async () => {}, options)
    open.push(worker)
    await new Promise((resolve) => worker.on('drained', resolve as never))
    const delayed = await add(3, { delay: 60_000 })
    await looks.more()
    await wipe()
    await fake.until(() => settled.length > 0)
    expect(settled).toEqual(lost(delayed))
  })

  test('are none of them lost that are there, whatever count a replica that is behind says', async () => {
    await add(1)
    await looks.more()
    looks.hides = true
    await looks.more(4)
    looks.hides = false
    expect(settled).toEqual([])
  })

  test('of which nobody has seen that they wait are not told of', async () => {
    looks.hides = true
    await add(1)
    await wipe()
    looks.hides = false
    await looks.more()
    expect(settled).toEqual([])
  })
})
