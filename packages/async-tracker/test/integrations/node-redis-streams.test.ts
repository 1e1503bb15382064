// Redis Streams through node-redis against a real server, by core's own kit: what differs from ioredis, which is how commands are sent.
import { createRequire } from 'node:module'
import { present, service, type MissingServer, type ServerOf } from '../../../testing/src/services.ts'
import { afterAll, beforeAll, beforeEach, describe, expect, test, vi } from 'vitest'
import { nodeRedisStreams } from '../../src/integrations/node-redis-streams.ts'
import { joinedStates } from './joined-states.ts'
import { createRealKit } from './real-kit.ts'

vi.setConfig({ testTimeout: 30_000, hookTimeout: 60_000 })

const fromTests = createRequire(new URL('../../../../test/package.json', import.meta.url))
const fromRedis = createRequire(fromTests.resolve('redis'))
const { createClient } = fromTests('redis')
const real = createRealKit()
const { events } = real
const states = (): string[] => joinedStates(events)
let server: ServerOf['redis'] | MissingServer
let redis: any
let other: any
let count = 0
let stream: string

beforeAll(async () => {
  server = await service('redis')
  if ('missing' in server) return
  for (const file of nodeRedisStreams.files!)
    for (let times = 0; times < 2; times++) nodeRedisStreams.patch(fromRedis(`@redis/client/${file}`), real.kit)
  redis = await connect()
  other = await connect()
})
afterAll(async () => {
  redis?.destroy()
  other?.destroy()
  if (server && !('missing' in server)) await server.stop()
})
beforeEach(async (context) => {
  present(server, context)
  stream = `orders${++count}`
  await redis.xGroupCreate(stream, 'mail', '$', { MKSTREAM: true })
  real.clear()
})

function connect(options: object = {}): Promise<any> {
  const { port } = server as ServerOf['redis']
  return createClient({ socket: { host: '127.0.0.1', port }, ...options })
    .on('error', () => {})
    .connect()
}
const add = (): Promise<string> => real.inRequest(() => redis.xAdd(stream, '*', { n: '1' }))
const read = async (consumer = 'c1'): Promise<any[]> => {
  const found = await redis.xReadGroup('mail', consumer, { key: stream, id: '>' }, { COUNT: 10 })
  return found?.[0]?.messages ?? []
}

describe('an entry', () => {
  test('is a task of its request, in the journal before the app has its id; acknowledged, it is done', async () => {
    const id = await add()
    expect(events).toMatchObject([
      { kind: 'spawned', system: 'redis-streams', destination: stream, name: stream, route: '/order' },
      { kind: 'confirmed', messageId: `${stream}/${id}` },
    ])
    expect(await read()).toMatchObject([{ id, message: { n: '1' } }])
    expect(states()).toEqual(['running (1 running)'])
    expect(await redis.xAck(stream, 'mail', id)).toBe(1)
    await real.until(() => states()[0] === 'succeeded (1 succeeded)')
  })

  test('of a stream that no group reads is nobody’s work', async () => {
    await real.inRequest(() => redis.xAdd(`log${stream}`, '*', { n: '1' }))
    await vi.waitFor(() => expect(states()).toEqual(['cancelled no_reader ()']))
  })

  test('added in a transaction is told when EXEC has told its id; in a pipeline as ever', async () => {
    const all = (how: 'exec' | 'execAsPipeline'): Promise<string[]> =>
      real.inRequest(() =>
        redis.multi().xAdd(stream, '*', { n: '1' }).get('nothing').xAdd(stream, '*', { n: '2' })[how](),
      )
    for (const how of ['exec', 'execAsPipeline'] as const) {
      real.clear()
      const [first, nothing, second] = await all(how)
      expect(nothing).toBeNull()
      await real.until(() => states().every((state) => state === 'enqueued ()'))
      const ids = events
        .filter(({ kind }) => kind === 'confirmed')
        .map((event) => 'messageId' in event && event.messageId)
      expect(ids).toEqual([`${stream}/${first}`, `${stream}/${second}`])
    }
  })

  test('added in a transaction that did not happen is rolled back', async () => {
    await redis.watch(`${stream}w`)
    await other.set(`${stream}w`, 'changed')
    await expect(real.inRequest(() => redis.multi().xAdd(stream, '*', { n: '1' }).exec())).rejects.toThrow('watched')
    await real.until(() => states()[0] === 'cancelled rolled_back ()')
  })

  test('that was refused, or whose connection ended before the answer, was never enqueued', async () => {
    await redis.set(`${stream}s`, 'a text')
    await expect(real.inRequest(() => redis.xAdd(`${stream}s`, '*', { n: '1' }))).rejects.toThrow('WRONGTYPE')
    const leaving = await connect()
    const added = real.inRequest(() => leaving.xAdd(stream, '*', { n: '1' }))
    leaving.destroy()
    await expect(added).rejects.toThrow(/client|socket|connection/i)
    expect(states()).toEqual(['lost never_enqueued ()', 'lost never_enqueued ()'])
  })

  test('deleted in a transaction gave the app our question’s answer for one of its own', async () => {
    const id = await add()
    expect(await redis.multi().set('k', 'v').xDel(stream, id).get('k').exec()).toEqual(['OK', 1, 'v'])
    await real.until(() => states()[0] === 'cancelled aborted ()')
    await add()
    expect(await redis.multi().set('k', 'v').del(stream).get('k').exec()).toEqual(['OK', 1, 'v'])
    expect(await redis.multi().set('k', 'v').del(stream).get('k').execAsPipeline()).toEqual(['OK', 0, 'v'])
  })

  test('of a transaction that the app wrote by hand is as many words as the app has sent', async () => {
    const id = await add()
    await redis.sendCommand(['MULTI'])
    await redis.sendCommand(['XDEL', stream, id])
    await redis.sendCommand(['XADD', stream, '*', 'n', '2'])
    expect(await redis.sendCommand(['EXEC'])).toEqual([1, expect.stringMatching(/^\d+-\d+$/)])
    await real.until(() => states()[1] === 'pending ()')
  })

  test('that is deleted before anybody had it is cancelled', async () => {
    const id = await add()
    expect(await redis.xDel(stream, id)).toBe(1)
    await real.until(() => states()[0] === 'cancelled aborted ()')
    await add()
    expect(await redis.del(stream)).toBe(1)
    await real.until(() => states()[1] === 'cancelled aborted ()')
    await redis.xGroupCreate(stream, 'mail', '0', { MKSTREAM: true })
  })

  test('that is claimed by another is taken over', async () => {
    const id = await add()
    await read('c1')
    const { messages } = await redis.xAutoClaim(stream, 'mail', 'c2', 0, '0')
    expect(messages).toMatchObject([{ id }])
    await redis.xAck(stream, 'mail', id)
    await real.until(() => states()[0]?.startsWith('succeeded') ?? false)
  })
})
