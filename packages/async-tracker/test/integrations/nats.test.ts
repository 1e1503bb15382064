// Both packages of NATS against a real server, by core's own kit: what is told, and what the app sees.
import type { TaskSpawned } from '@afterspan/core/internal'
import { faultyProxy } from '../../../testing/src/faulty-proxy.ts'
import { present, service, type MissingServer, type ServerOf } from '../../../testing/src/services.ts'
import { afterAll, beforeAll, beforeEach, describe, expect, test, vi } from 'vitest'
import { natsJetstream } from '../../src/integrations/nats-jetstream.ts'
import { nats } from '../../src/integrations/nats.ts'
import { installed } from './installed.ts'
import { createRealKit } from './real-kit.ts'
import { toldAttempts, toldStates } from './told-states.ts'

vi.setConfig({ testTimeout: 30_000, hookTimeout: 60_000 })

const real = createRealKit()
const { events } = real
let server: ServerOf['nats'] | MissingServer
let count = 0

beforeAll(async () => {
  server = await service('nats')
})
afterAll(async () => {
  if (server && !('missing' in server)) await server.stop()
})

/** What the two packages do, in the same words. */
interface Library {
  patch(): void
  connect(options?: object): Promise<any>
  jetstream(connection: any): any
  manager(connection: any): Promise<any>
  headers(): any
}
const libraries: readonly (readonly [string, Library])[] = [
  ['nats', createNats()],
  ['@nats-io/jetstream', createNatsIo()],
]

describe.each(libraries)('%s', (name, library) => {
  let connection: any
  let js: any
  let manager: any
  let stream: string
  let subject: string
  beforeAll(async () => {
    if ('missing' in server) return
    library.patch()
    library.patch() // as when it is loaded twice
    connection = await library.connect()
    js = library.jetstream(connection)
    manager = await library.manager(connection)
  })
  afterAll(() => connection?.close())
  beforeEach(async (context) => {
    present(server, context)
    stream = `s${++count}`
    subject = `orders${count}.created`
    await manager.streams.add({ name: stream, subjects: [`orders${count}.>`] })
    real.clear()
  })

  /** A durable consumer, 'worker', that waits half a second for an answer. */
  async function consumer(config: object = {}): Promise<any> {
    await manager.consumers.add(stream, {
      durable_name: 'worker',
      ack_policy: 'explicit',
      ack_wait: 30e9,
      ...config,
    })
    return js.consumers.get(stream, 'worker')
  }
  async function next(from: any): Promise<any> {
    const message = await from.next({ expires: 10_000 })
    expect(message).not.toBeNull()
    return message
  }

  describe('a message', () => {
    test('published by a request and acknowledged is one task in its trace', async () => {
      const worker = await consumer()
      const { request, ack } = await real.inRequest(async (record) => ({
        request: record,
        ack: await js.publish(subject, 'x'),
      }))
      expect(ack).toMatchObject({ stream, seq: 1, duplicate: false })
      expect(toldStates(events)).toEqual(['enqueued'])
      const message = await next(worker)
      expect(toldStates(events)).toEqual(['running'])
      message.ack()
      await states('succeeded')
      expect(kinds()).toEqual(['spawned', 'confirmed', 'started', 'succeeded'])
      expect(events[0]).toMatchObject({ system: 'nats', destination: subject, name: subject, origin: request.ref })
      expect(events[1]).toMatchObject({ messageId: `${stream}/1` })
      expect(events[2]).toMatchObject({ attempt: 1, reader: 'worker', messageId: `${stream}/1` })
      expect(real.spans.map(({ name, traceId }) => [name, traceId])).toEqual([
        [`send ${subject}`, request.ref.traceId],
        [`process ${subject}`, request.ref.traceId],
      ])
      expect(real.errors).toEqual([])
    })

    test('shows the app what it would show without us, but for the trace context among its headers', async () => {
      const worker = await consumer()
      const headers = library.headers()
      headers.append('Two', 'a')
      headers.append('Two', 'b')
      headers.append('traceparent', 'of the app')
      const options = Object.freeze({ headers, msgID: 'm1' })
      await js.publish(subject, 'x', options)
      expect([...headers]).toEqual([
        ['Two', ['a', 'b']],
        ['traceparent', ['of the app']],
      ])
      const message = await next(worker)
      const got = Object.fromEntries(message.headers)
      expect(got).toEqual({
        Two: ['a', 'b'],
        'Nats-Msg-Id': ['m1'],
        traceparent: [expect.stringMatching(/^00-[0-9a-f]{32}-[0-9a-f]{16}-01$/)],
      })
      expect([message.string(), message.subject, message.info.deliveryCount]).toEqual(['x', subject, 1])
      expect(await message.ackAck()).toBe(true)
      expect(await message.ackAck()).toBe(false)
      await states('succeeded')
      await expect(js.publish('', 'x')).rejects.toMatchObject({ name: expect.any(String) })
      await expect(js.publish(subject, 7)).rejects.toThrow(/payload/i)
      await expect(js.publish(undefined, 'x')).rejects.toThrow(/subject/i)
    })

    test('that the stream has already, by its Nats-Msg-Id, is cancelled', async () => {
      expect((await js.publish(subject, 'x', { msgID: 'same' })).duplicate).toBe(false)
      expect((await js.publish(subject, 'x', { msgID: 'same' })).duplicate).toBe(true)
      expect(toldStates(events)).toEqual(['enqueued', 'cancelled deduplicated'])
    })

    test('that the app takes out of its stream stayed open for ever', async () => {
      for (const body of ['one', 'two', 'three']) await js.publish(subject, body)
      await manager.streams.deleteMessage(stream, 1)
      await manager.streams.purge(stream, { seq: 3 })
      await manager.streams.purge(stream, { filter: subject, keep: 1 })
      await manager.streams.purge(stream)
      await manager.streams.delete(stream)
      await expect(manager.streams.purge(stream)).rejects.toThrow(/not found/)
      const emptied = (ids: object): object => ({
        kind: 'emptied',
        system: 'nats',
        ids: { prefix: `${stream}/`, ...ids },
      })
      expect(real.emptied).toEqual([
        emptied({ from: 1, below: 2 }),
        { ...emptied({ below: 3 }), count: 1 },
        { ...emptied({ subject, keep: 1 }), count: 0 },
        { ...emptied({}), count: 1 },
        emptied({}),
      ])
    })

    test('that no stream takes was never enqueued', async () => {
      const error = await js.publish(`nowhere${count}`, 'x').catch((thrown: Error) => thrown)
      expect(error).toBeInstanceOf(Error)
      expect(toldStates(events)).toEqual(['lost never_enqueued'])
    })

    test('that the stream refuses was never enqueued', async () => {
      await expect(js.publish(subject, 'x', { expect: { lastSequence: 7 } })).rejects.toThrow('wrong last sequence')
      expect(toldStates(events)).toEqual(['lost never_enqueued'])
    })

    test('sent on a closed connection was never enqueued; one whose answer did not come counts as that until somebody runs it', async () => {
      const other = await library.connect()
      const its = library.jetstream(other)
      const publishing = its.publish(subject, 'x')
      // the connection ends while the answer is under way
      await Promise.all([expect(publishing).rejects.toThrow(/closed|timeout/i), other.close()])
      await expect(its.publish(subject, 'x')).rejects.toThrow(/closed/i)
      expect(toldStates(events)).toEqual(['lost never_enqueued', 'lost never_enqueued'])
      expect(kinds()).toEqual(['spawned', 'lost', 'spawned', 'lost'])
    })

    test('is due by when its stream will have dropped it, where the app has looked at the stream', async () => {
      await manager.streams.add({ name: `${stream}-short`, subjects: [`short${count}.*.>`], max_age: 60e9 })
      await js.publish(`short${count}.a.b`, 'x')
      await js.publish(subject, 'x')
      await manager.streams.update(`${stream}-short`, { max_age: 0 })
      await js.publish(`short${count}.a.b`, 'x')
      const due = events.filter((event): event is TaskSpawned => event.kind === 'spawned')
      expect(due.map(({ at, deadlineAt }) => deadlineAt && deadlineAt - at)).toEqual([60_000, undefined, undefined])
    })

    test('of a key-value bucket is no task', async () => {
      await js.publish('$KV.bucket.key', 'x').catch(() => {})
      expect(events).toEqual([])
    })
  })

  describe('a delivery', () => {
    test('that the app gives back is tried again', async () => {
      const worker = await consumer()
      await js.publish(subject, 'x')
      ;(await next(worker)).nak()
      ;(await next(worker)).ack()
      await states('succeeded')
      expect(toldAttempts(events)).toEqual(['1 retrying rejected', '2 succeeded'])
    })

    test('given back for the last time that the consumer allows is a failed task', async () => {
      const worker = await consumer({ max_deliver: 2 })
      await js.publish(subject, 'x')
      ;(await next(worker)).nak()
      ;(await next(worker)).nak()
      await states('failed retries_exhausted')
      expect(toldAttempts(events)).toEqual(['1 retrying rejected', '2 failed retries_exhausted'])
    })

    test('that the app terminates is a failed task', async () => {
      const worker = await consumer()
      await js.publish(subject, 'x')
      ;(await next(worker)).term()
      await states('failed rejected')
      expect(events.at(-1)).toMatchObject({ failure: { type: 'TERM', message: 'term' } })
    })

    test('terminated with a reason, which this server does not understand, comes again', async ({ skip }) => {
      skip(!/^2\.(?:\d|10\.[0-3])\b/.test(connection.info.version), 'a server that understands it')
      const worker = await consumer({ ack_wait: 500e6 })
      await js.publish(subject, 'x')
      ;(await next(worker)).term('no such customer')
      await states('retrying rejected')
      ;(await next(worker)).ack()
      await states('succeeded')
      expect(toldAttempts(events)).toEqual(['1 retrying rejected', '2 succeeded'])
    })

    test('that nobody answers is tried again when its time is up, the last one fails the task', async () => {
      const worker = await consumer({ ack_wait: 300e6, max_deliver: 2 })
      await js.publish(subject, 'x')
      await next(worker)
      await next(worker)
      await states('failed retries_exhausted')
      expect(toldAttempts(events)).toEqual(['1 retrying rejected', '2 failed retries_exhausted'])
    })

    test('that came late, and whose next one did not, counted as run twice at once', async () => {
      await consumer({ ack_wait: 400e6, max_deliver: 2 })
      const proxy = await faultyProxy(server as ServerOf['nats'])
      const far = await library.connect({ servers: `127.0.0.1:${proxy.port}` })
      const worker = await library.jetstream(far).consumers.get(stream, 'worker')
      await proxy.set({ delayMs: 200 })
      await js.publish(subject, 'x')
      await next(worker)
      await proxy.set('none')
      await next(worker)
      await states('failed retries_exhausted')
      expect(toldAttempts(events)).toEqual(['1 retrying rejected', '2 failed retries_exhausted'])
      await far.close()
      await proxy.stop()
    })

    test('that came late, and whose next one a callback had at once, counted as run twice at once', async () => {
      await consumer({ ack_wait: 400e6 })
      const proxy = await faultyProxy(server as ServerOf['nats'])
      const far = await library.connect({ servers: `127.0.0.1:${proxy.port}` })
      const worker = await library.jetstream(far).consumers.get(stream, 'worker')
      const got: number[] = []
      const callback = (message: any): void => {
        if (got.push(message.info.deliveryCount) === 1) return
        const until = performance.now() + 20
        while (performance.now() < until); // at work, before anything else of this process
        message.ack()
      }
      await proxy.set({ delayMs: 200 })
      await worker.consume({ callback })
      await js.publish(subject, 'x')
      await vi.waitFor(() => expect(got).toHaveLength(1), { timeout: 10_000, interval: 5 })
      await proxy.set('none')
      await states('succeeded')
      expect(toldAttempts(events)).toEqual(['1 retrying rejected', '2 succeeded'])
      await far.close()
      await proxy.stop()
    })

    test('that is worked on may take longer when it says so', async () => {
      const worker = await consumer({ ack_wait: 400e6 })
      await js.publish(subject, 'x')
      const message = await next(worker)
      for (let i = 0; i < 6; i++) {
        await new Promise((resolve) => setTimeout(resolve, 100))
        message.working()
      }
      message.ack()
      await states('succeeded')
      expect(toldAttempts(events)).toEqual(['1 succeeded'])
    })

    test('acknowledged after its time, when others run it, ran twice', async () => {
      const worker = await consumer({ ack_wait: 300e6 })
      await js.publish(subject, 'x')
      const first = await next(worker)
      const second = await next(worker)
      expect(second.info.deliveryCount).toBe(2)
      second.ack()
      first.ack()
      await states('succeeded duplicate')
    })

    test('of a message that carries no trace context is a task of its own', async () => {
      const worker = await consumer()
      connection.publish(subject, 'plain')
      ;(await next(worker)).ack()
      await states('succeeded')
      expect(kinds()).toEqual(['started', 'succeeded'])
    })
  })

  describe('a handler', () => {
    test('runs in the context of its message, and its acknowledgement ends the attempt', async () => {
      const worker = await consumer()
      await js.publish(subject, 'x')
      const { promise, resolve } = Promise.withResolvers<void>()
      const messages = await worker.consume({
        callback: async (message: any) => {
          await js.publish(`${subject}.next`, 'y')
          message.ack()
          resolve()
        },
        max_messages: 1,
      })
      await promise
      messages.stop()
      await vi.waitFor(() => expect(toldStates(events)[0]).toBe('succeeded'))
      const [first, second] = events.filter((event): event is TaskSpawned => event.kind === 'spawned')
      expect(second).toMatchObject({ parent: first!.taskId, origin: { traceId: first!.origin.traceId } })
    })

    test('that works on when its time is up runs twice at once', async () => {
      const worker = await consumer({ ack_wait: 300e6 })
      await js.publish(subject, 'x')
      const slow = Promise.withResolvers<void>()
      const messages = await worker.consume({
        callback: async (message: any) => {
          if (message.info.deliveryCount === 1) await slow.promise
          message.ack()
        },
      })
      await real.until(() => kinds().filter((kind) => kind === 'started').length === 2)
      slow.resolve()
      await states('succeeded duplicate')
      messages.stop()
      expect(toldAttempts(events)).toEqual(['1 succeeded', '2 succeeded'])
    })

    test('that throws ends the consumption as it does without us, and its message is tried again', async () => {
      const worker = await consumer()
      await js.publish(subject, 'x')
      const messages = await worker.consume({
        callback: () => {
          throw new RangeError('no luck')
        },
      })
      expect(await messages.closed()).toMatchObject({ message: 'no luck' })
      await states('retrying threw')
    })

    test('that acknowledges first and then fails, failed: nobody runs it again', async () => {
      const worker = await consumer()
      await js.publish(subject, 'x')
      const messages = await worker.consume({
        callback: (message: any) => {
          message.ack()
          throw new RangeError('no luck')
        },
      })
      expect(await messages.closed()).toMatchObject({ message: 'no luck' })
      await states('failed threw')
    })
  })

  describe('a loop', () => {
    test('holds each message from when it gets it until it is acknowledged and the body is over', async () => {
      const worker = await consumer()
      for (const text of ['a', 'b', 'c']) await js.publish(subject, text)
      real.clear()
      const seen: string[] = []
      for await (const message of await worker.fetch({ max_messages: 3, expires: 5000 })) {
        message.ack()
        seen.push(kinds().join(' '))
      }
      // what waits in the client is nobody's attempt
      expect(seen).toEqual(['started', 'started succeeded started', 'started succeeded started succeeded started'])
      await real.until(() => kinds().filter((kind) => kind === 'succeeded').length === 3)
    })

    test('that is left by an error has not done its message', async () => {
      const worker = await consumer({ ack_wait: 500e6, max_deliver: 1 })
      await js.publish(subject, 'x')
      const loop = async (): Promise<void> => {
        for await (const message of await worker.consume()) throw new Error(message.string())
      }
      await expect(loop()).rejects.toThrow('x')
      expect(toldStates(events)).toEqual(['running'])
      await states('failed rejected')
    })

    test('of an ordered consumer, or of one without acknowledgement, runs no tasks', async () => {
      await js.publish(subject, 'x')
      const unacknowledged = await consumer({ ack_policy: 'none' })
      for (const reader of [await js.consumers.get(stream), unacknowledged])
        for await (const message of await reader.consume()) {
          expect(message.string()).toBe('x')
          break
        }
      expect(kinds()).toEqual(['spawned', 'confirmed'])
    })

    test('whose consumer acknowledges all at once ends them all', async () => {
      const worker = await consumer({ ack_policy: 'all' })
      for (const text of ['a', 'b', 'c']) await js.publish(subject, text)
      let last: any
      for await (const message of await worker.fetch({ max_messages: 3, expires: 5000 })) last = message
      expect(toldStates(events)).toEqual(['running', 'running', 'running'])
      last.ack()
      await states('succeeded', 'succeeded', 'succeeded')
    })
  })

  test.skipIf(name === 'nats')('a push consumer is followed like one that pulls', async () => {
    const deliver = `deliver${count}`
    await manager.consumers.add(stream, { durable_name: 'push', ack_policy: 'explicit', deliver_subject: deliver })
    await js.publish(subject, 'x')
    const { promise, resolve } = Promise.withResolvers<void>()
    const pushed = await js.consumers.getPushConsumer(stream, 'push')
    const messages = await pushed.consume({
      callback(message: any) {
        message.ack()
        resolve()
      },
    })
    await promise
    await messages.close()
    await states('succeeded')
    expect(kinds()).toEqual(['spawned', 'confirmed', 'started', 'succeeded'])
  })
})

function states(...expected: string[]): Promise<void> {
  return vi.waitFor(() => expect(toldStates(events)).toEqual(expected), { timeout: 20_000, interval: 5 })
}
function kinds(): string[] {
  return events.map(({ kind }) => kind)
}

function servers(): { servers: string } {
  return { servers: (server as ServerOf['nats']).url }
}

function createNats(): Library {
  return {
    patch() {
      for (const file of nats.files!) nats.patch(installed('nats', file), real.kit)
    },
    connect: (options) => installed('nats').connect({ ...servers(), ...options }),
    jetstream: (connection) => connection.jetstream(),
    manager: (connection) => connection.jetstreamManager(),
    headers: () => installed('nats').headers(),
  }
}

function createNatsIo(): Library {
  const transport = (): any => installed('@nats-io/transport-node')
  const jetstream = (): any => installed('@nats-io/jetstream')
  return {
    patch() {
      for (const file of natsJetstream.files!) natsJetstream.patch(installed('@nats-io/jetstream', file), real.kit)
    },
    connect: (options) => transport().connect({ ...servers(), ...options }),
    jetstream: (connection) => jetstream().jetstream(connection),
    manager: (connection) => jetstream().jetstreamManager(connection),
    headers: () => transport().headers(),
  }
}
