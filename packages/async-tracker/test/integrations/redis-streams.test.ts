// Redis Streams through ioredis against a real server, by core's own kit: what is told, and what the app sees.
import { present, service, type MissingServer, type ServerOf } from '../../../testing/src/services.ts'
import { afterAll, beforeAll, beforeEach, describe, expect, test, vi } from 'vitest'
import { redisStreams } from '../../src/integrations/redis-streams.ts'
import { installed } from './installed.ts'
import { joinedStates } from './joined-states.ts'
import { createRealKit } from './real-kit.ts'

vi.setConfig({ testTimeout: 30_000, hookTimeout: 60_000 })

const real = createRealKit()
const { events } = real
let server: ServerOf['redis'] | MissingServer
let redis: any
let count = 0
let stream: string

beforeAll(async () => {
  server = await service('redis')
  if ('missing' in server) return
  const library = installed('ioredis')
  redisStreams.patch(library, real.kit)
  redisStreams.patch(library, real.kit) // as when it is loaded twice
  redis = connect()
})
afterAll(async () => {
  redis?.disconnect()
  if (server && !('missing' in server)) await server.stop()
})
beforeEach(async (context) => {
  present(server, context)
  stream = `orders${++count}`
  await redis.xgroup('CREATE', stream, 'mail', '$', 'MKSTREAM')
  real.clear()
})

function connect(options: object = {}): any {
  const { default: Redis } = installed('ioredis')
  return new Redis((server as ServerOf['redis']).port, '127.0.0.1', options)
}
function add(...args: string[]): Promise<string> {
  return real.inRequest(() => redis.xadd(stream, ...(args.length > 0 ? args : ['*', 'n', '1'])))
}
function read(consumer = 'c1', from = '>', ...more: string[]): Promise<any> {
  return redis.xreadgroup('GROUP', 'mail', consumer, 'COUNT', '10', ...more, 'STREAMS', stream, from)
}
const states = (): string[] => joinedStates(events)

describe('an entry', () => {
  test('is a task of its request; acknowledged, it is done', async () => {
    const id = await add()
    expect(states()).toEqual(['enqueued ()'])
    expect(events).toMatchObject([
      { kind: 'spawned', system: 'redis-streams', destination: stream, name: stream, route: '/order' },
      { kind: 'confirmed', messageId: `${stream}/${id}` },
    ])
    expect(await read()).toEqual([[stream, [[id, ['n', '1']]]]])
    expect(states()).toEqual(['running (1 running)'])
    expect(await redis.xack(stream, 'mail', id)).toBe(1)
    await real.until(() => states()[0] === 'succeeded (1 succeeded)')
    expect(await redis.xrange(stream, '-', '+')).toEqual([[id, ['n', '1']]])
  })

  test('that was refused was never enqueued, and a rejection stays one that nobody handled', async () => {
    await redis.set(`${stream}s`, 'a text')
    const unhandled = new Promise((resolve) => process.once('unhandledRejection', resolve))
    real.inRequest(() => void redis.xadd(`${stream}s`, '*', 'n', '1'))
    expect(await unhandled).toMatchObject({ message: expect.stringContaining('WRONGTYPE') })
    expect(states()).toEqual(['lost never_enqueued ()'])
  })
  test('of a stream that is not there and must not be made was never enqueued', async () => {
    expect(await redis.xadd('nowhere', 'NOMKSTREAM', '*', 'n', '1')).toBeNull()
    expect(states()).toEqual(['lost never_enqueued ()'])
  })
  test('whose connection ended before the answer counts as never enqueued', async () => {
    const other = connect({ retryStrategy: null, maxRetriesPerRequest: 0 })
    await other.ping()
    const added = real.inRequest(() => other.xadd(stream, '*', 'n', '1'))
    other.stream.destroy()
    await expect(added).rejects.toThrow('Connection is closed')
    expect(states()).toEqual(['lost never_enqueued ()'])
  })

  test('is delivered again to the consumer that did not acknowledge it', async () => {
    const id = await add()
    await read()
    expect(await read('c1', '0')).toEqual([[stream, [[id, ['n', '1']]]]])
    await redis.xack(stream, 'mail', id)
    await real.until(() => states()[0] === 'succeeded (1 retrying rejected, 0 succeeded)')
  })
  test.for(['XAUTOCLAIM', 'XCLAIM', 'JUSTID'])('is given to another consumer by %s', async (how) => {
    const id = await add()
    await read()
    if (how === 'XAUTOCLAIM') await redis.xautoclaim(stream, 'mail', 'c2', 0, '0')
    else await redis.call('XCLAIM', stream, 'mail', 'c2', 0, id, ...(how === 'JUSTID' ? [how] : []))
    expect(await redis.xack(stream, 'mail', id)).toBe(1)
    await real.until(() => states()[0] === 'succeeded (1 retrying rejected, 0 succeeded)')
  })
  test('that two processes have at once, of which the first says no more, ran once', async () => {
    await add()
    await read()
    const [started] = events.filter(({ kind }) => kind === 'started')
    await redis.xautoclaim(stream, 'mail', 'c2', 0, '0')
    expect(started).not.toHaveProperty('isTakeover')
    expect(events.findLast(({ kind }) => kind === 'started')).toHaveProperty('isTakeover', true)
  })
  test('is a task for each group that reads it', async () => {
    await redis.xgroup('CREATE', stream, 'stock', '0')
    const id = await add()
    await read()
    await redis.xreadgroup('GROUP', 'stock', 'c1', 'STREAMS', stream, '>')
    await redis.xack(stream, 'mail', id)
    await real.until(() => states()[0] === 'succeeded (1 succeeded)')
    expect(states()).toEqual(['succeeded (1 succeeded)', 'running (1 running)'])
  })
  test('without the need to acknowledge it is done when its consumer asks for more', async () => {
    await add()
    await read('c1', '>', 'NOACK')
    expect(states()).toEqual(['running (1 running)'])
    await read('c1', '>', 'NOACK')
    await real.until(() => states()[0] === 'succeeded (1 succeeded)')
  })
})

describe('of several', () => {
  test('one bad one is not acknowledged, and stays', async () => {
    const ids = [await add(), await add(), await add()]
    await read()
    await redis.xack(stream, 'mail', ids[0], ids[2])
    await real.until(() => states()[2] === 'succeeded (1 succeeded)')
    expect(states()).toEqual(['succeeded (1 succeeded)', 'running (1 running)', 'succeeded (1 succeeded)'])
  })
  test('in pipelines, by buffers and by auto-pipelining each is a task', async () => {
    const auto = connect({ enableAutoPipelining: true, keyPrefix: 'p:' })
    await auto.xgroup('CREATE', stream, 'mail', '$', 'MKSTREAM')
    const [[, one], [, two]] = await real.inRequest(() =>
      redis.pipeline().xadd(stream, '*', 'n', '1').xadd(stream, '*', 'n', '2').exec(),
    )
    await Promise.all([1, 2].map(() => real.inRequest(() => auto.xadd(stream, '*', 'n', '3'))))
    expect(states()).toEqual(['enqueued ()', 'enqueued ()', 'enqueued ()', 'enqueued ()'])
    await redis.xreadgroupBuffer('GROUP', 'mail', 'c1', 'STREAMS', stream, '>')
    await redis.pipeline().xack(stream, 'mail', one).xack(stream, 'mail', Buffer.from(two)).exec()
    await real.until(() => states()[1] === 'succeeded (1 succeeded)')
    expect(states().slice(0, 2)).toEqual(['succeeded (1 succeeded)', 'succeeded (1 succeeded)'])
    expect(events.filter(({ kind }) => kind === 'confirmed')[2]).toMatchObject({
      messageId: expect.stringMatching(`^p:${stream}/`),
    })
    auto.disconnect()
  })
  test('a transaction makes them when it commits, and none when it does not', async () => {
    const result = await real.inRequest(() => redis.multi().set('k', 1).xadd(stream, '*', 'n', '1').exec())
    expect(result).toEqual([
      [null, 'OK'],
      [null, expect.stringMatching(/^\d+-0$/)],
    ])
    expect(states()).toEqual(['enqueued ()'])
    real.clear()
    const [watching, other] = [connect(), connect()]
    await watching.watch('k')
    await other.set('k', 2)
    expect(await real.inRequest(() => watching.multi().xadd(stream, '*', 'n', '2').exec())).toBeNull()
    await real.until(() => states()[0] === 'cancelled rolled_back ()')
    real.clear()
    await watching.multi({ pipeline: false })
    await real.inRequest(() => watching.xadd(stream, '*', 'n', '3'))
    await watching.discard()
    await real.until(() => states()[0] === 'cancelled rolled_back ()')
    watching.disconnect()
    other.disconnect()
  })
})

describe('an entry that is gone', () => {
  test('deleted before anybody had it, it is cancelled; after that it is nothing', async () => {
    const [one, two] = [await add(), await add()]
    await redis.xreadgroup('GROUP', 'mail', 'c1', 'COUNT', '1', 'STREAMS', stream, '>')
    expect(await redis.xdel(stream, two)).toBe(1)
    await real.until(() => states()[1] === 'cancelled aborted ()')
    await redis.xack(stream, 'mail', one)
    await redis.xdel(stream, one)
    await redis.ping()
    expect(states()).toEqual(['succeeded (1 succeeded)', 'cancelled aborted ()'])
  })
  test('with its whole stream, which is deleted, it stayed enqueued for ever', async () => {
    for (const command of ['del', 'unlink'] as const) {
      await add()
      await read()
      await add()
      expect(await redis[command](`${stream}none`, stream)).toBe(1)
      await real.until(() => states().at(-1) === 'cancelled aborted ()')
      expect(states().slice(-2)).toEqual(['running (1 running)', 'cancelled aborted ()'])
      await redis.xgroup('CREATE', stream, 'mail', '0', 'MKSTREAM')
    }
  })
  test('cut off before any group had it, it has vanished; what was delivered has not', async () => {
    await add()
    await read()
    await add()
    await add('MAXLEN', '1', '*', 'n', '3')
    await real.until(() => states()[1] === 'lost vanished_from_broker ()')
    expect(states()).toEqual(['running (1 running)', 'lost vanished_from_broker ()', 'enqueued ()'])
  })
  test('gone with all data of Redis it stayed enqueued for ever', async () => {
    const watcher = await redis.monitor()
    const looked = new Promise<void>((resolve) => {
      watcher.on('monitor', (_: string, [name, verb]: string[]) => {
        if (/^xinfo$/i.test(name!) && verb === 'STREAM') resolve()
      })
    })
    await add()
    await looked
    watcher.disconnect()
    await redis.flushall()
    // So are those that earlier tests had left.
    await real.until(() => states().includes('lost vanished_from_broker ()'))
    expect(states()).not.toContain('enqueued ()')
  })
  test('of a stream that no group reads is nobody’s work, and leaves no request open', async () => {
    const log = `${stream}log`
    await real.inRequest(() => redis.xadd(log, '*', 'n', '1'))
    await real.until(() => states()[0] === 'cancelled no_reader ()')
    for (const n of ['2', '3']) await real.inRequest(() => redis.xadd(log, 'MAXLEN', '2', '*', 'n', n))
    expect(states()).toEqual(['cancelled no_reader ()'])
    await redis.xgroup('CREATE', log, 'mail', '$')
    await real.inRequest(() => redis.xadd(log, '*', 'n', '4'))
    expect(states()).toEqual(['cancelled no_reader ()', 'enqueued ()'])
  })
})

describe('a question of ours to Redis', () => {
  /** A stream that is known to be a log, and is due to be looked at again. */
  async function oldLog(): Promise<string> {
    const log = `${stream}log`
    await real.inRequest(() => redis.xadd(log, '*', 'n', '1'))
    await real.until(() => states().includes('cancelled no_reader ()'))
    return log
  }
  const isLater = (): (() => void) => {
    const { now } = performance
    const spy = vi.spyOn(performance, 'now').mockImplementation(() => now.call(performance) + 6_000)
    return () => {
      spy.mockRestore()
    }
  }

  test('came between the commands of a pipeline or a transaction, and the app got its answer for one of its own', async () => {
    const pipelines: ((redis: any) => any)[] = [(it) => it.pipeline(), (it) => it.multi()]
    for (const start of pipelines) {
      const id = await add()
      expect(await start(redis).set('k', 'v').xdel(stream, id).get('k').exec()).toEqual([
        [null, 'OK'],
        [null, 1],
        [null, 'v'],
      ])
      await real.until(() => states().includes('cancelled aborted ()'))
      await add()
      expect(await start(redis).set('k', 'v').del(stream).get('k').exec()).toEqual([
        [null, 'OK'],
        [null, 1],
        [null, 'v'],
      ])
      // Nobody could be asked any more who had got it.
      expect(states()).toEqual(['cancelled aborted ()', 'enqueued ()'])
      await redis.xgroup('CREATE', stream, 'mail', '$', 'MKSTREAM')
      real.clear()
    }
    const log = await oldLog()
    const isNow = isLater()
    const pipelined = await redis.pipeline().set('k', 'v').xadd(log, '*', 'n', '2').get('k').exec()
    isNow()
    expect(pipelined.map(([, reply]: unknown[]) => reply)).toEqual(['OK', expect.stringMatching(/^\d+-\d+$/), 'v'])
  })

  test('became a part of the transaction that the app had begun by MULTI', async () => {
    const [log, one, two] = [await oldLog(), await add(), await add()]
    const isNow = isLater()
    await redis.multi({ pipeline: false })
    await redis.xadd(log, '*', 'n', '2')
    await redis.xdel(stream, one)
    await redis.del(stream)
    isNow()
    expect(await redis.exec()).toEqual([
      [null, expect.stringMatching(/^\d+-\d+$/)],
      [null, 1],
      [null, 1],
    ])
    expect(two).toMatch(/-/)
    await redis.xgroup('CREATE', stream, 'mail', '$', 'MKSTREAM')
    // Afterwards it is asked as ever.
    real.clear()
    await redis.xdel(stream, await add())
    await real.until(() => states()[0] === 'cancelled aborted ()')
  })

  test('waited for the end of a transaction that had gone with its connection', async () => {
    const other = connect()
    await other.multi({ pipeline: false })
    other.disconnect(true)
    await vi.waitFor(() => expect(other.status).toBe('ready'))
    await real.inRequest(() => other.xadd(`${stream}new`, '*', 'n', '1'))
    await real.until(() => states()[0] === 'cancelled no_reader ()')
    other.disconnect()
  })
})

test('other commands are left alone, and nothing went wrong inside', async () => {
  expect(await redis.xlen(stream)).toBe(0)
  expect(await redis.xinfo('GROUPS', stream)).toHaveLength(1)
  expect(redis.sendCommand.name).toBe('sendCommand')
  expect(states()).toEqual([])
  expect(real.errors).toEqual([])
})
