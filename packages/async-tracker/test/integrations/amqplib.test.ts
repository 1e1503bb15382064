// Both faces of amqplib against a real RabbitMQ, by core's own kit: what is told, and what the app sees.
import { once } from 'node:events'
import type { TaskSpawned } from '@afterspan/core/internal'
import { present, service, type MissingServer, type ServerOf } from '../../../testing/src/services.ts'
import { afterAll, beforeAll, beforeEach, describe, expect, test, vi } from 'vitest'
import { amqpKeptMessages } from '../../src/integrations/amqp-kept-messages.ts'
import { amqplib } from '../../src/integrations/amqplib.ts'
import { installed } from './installed.ts'
import { createRealKit } from './real-kit.ts'
import { toldAttempts, toldStates } from './told-states.ts'

vi.setConfig({ testTimeout: 30_000, hookTimeout: 120_000 })

const real = createRealKit()
const { events } = real
const amqp = installed('amqplib')
const callbacks = installed('amqplib/callback_api')
let server: ServerOf['rabbitmq'] | MissingServer
let connection: any
let channel: any
let count = 0

beforeAll(async () => {
  server = await service('rabbitmq')
  if ('missing' in server) return
  for (const file of ['lib/channel_model.js', 'lib/callback_model.js']) {
    amqplib.patch(installed('amqplib', file), real.kit)
    amqplib.patch(installed('amqplib', file), real.kit) // as when it is loaded twice
  }
  amqpKeptMessages.patch(installed('amqp-connection-manager', 'dist/cjs/ChannelWrapper.js'), real.kit)
  connection = await amqp.connect(server.url)
})
afterAll(async () => {
  await connection?.close()
  if (server && !('missing' in server)) await server.stop()
})
beforeEach(async (context) => {
  present(server, context)
  channel = await open()
  real.clear()
})

const body = Buffer.from('{"order":7}')

async function open(kind = 'createChannel'): Promise<any> {
  const opened = await connection[kind]()
  opened.on('error', () => {})
  return opened
}
async function queueOf(options: object = {}, name = 'q'): Promise<string> {
  const { queue } = await channel.assertQueue(`${name}${++count}`, options)
  return queue
}
function states(...expected: string[]): Promise<void> {
  return vi.waitFor(() => expect(toldStates(events)).toEqual(expected), { timeout: 20_000, interval: 5 })
}
/** Until all bytes of plain channels have left. */
function left(): Promise<void> {
  return real.until(() => kinds().includes('sent'))
}
function closed(channel: any): Promise<void> {
  return new Promise((resolve) => channel.once('close', resolve))
}
function kinds(): string[] {
  return events.map(({ kind }) => kind)
}
/** Resolves with the first messages of a queue. */
async function take(on: any, queue: string, n = 1, options = {}): Promise<any[]> {
  const got: any[] = []
  const { promise, resolve } = Promise.withResolvers<void>()
  const { consumerTag } = await on.consume(
    queue,
    (message: any) => {
      if (message && got.push(message) === n) resolve()
    },
    options,
  )
  await promise
  await on.cancel(consumerTag)
  return got
}

describe('a message', () => {
  test('sent by a request and acknowledged is one task in its trace', async () => {
    const queue = await queueOf()
    const { request, written } = real.inRequest((request) => ({ request, written: channel.sendToQueue(queue, body) }))
    expect(written).toBe(true)
    const [message] = await take(channel, queue)
    await left()
    expect(toldStates(events)).toEqual(['running'])
    channel.ack(message)
    await states('succeeded')
    // a consumer may be faster than the look at the connection
    expect(kinds().toSorted()).toEqual(['sent', 'spawned', 'started', 'succeeded'])
    expect(events[0]).toMatchObject({ system: 'rabbitmq', destination: queue, name: queue, origin: request.ref })
    expect(events.find(({ kind }) => kind === 'started')).toMatchObject({ attempt: 1, reader: queue })
    expect(real.spans.map(({ name, traceId }) => [name, traceId])).toEqual([
      [`send ${queue}`, request.ref.traceId],
      [`process ${queue}`, request.ref.traceId],
    ])
    expect(real.errors).toEqual([])
  })

  test('shows the app what it would show without us, but for the trace context among its headers', async () => {
    const queue = await queueOf()
    class Options {
      headers = Object.create({ inherited: 1 }, { own: { value: [1, { two: 2 }], enumerable: true } })
      get messageId(): string {
        return 'm1'
      }
    }
    const options = new Options()
    const given = JSON.stringify(options)
    const confirming = await open('createConfirmChannel')
    confirming.sendToQueue(queue, body, Object.assign(options, { type: 'order', CC: 'nowhere', expiration: 60_000 }))
    expect(JSON.stringify(options.headers)).toBe(JSON.stringify(JSON.parse(given).headers))
    const [message] = await take(channel, queue, 1, { noAck: true })
    const { traceparent, ...headers } = message.properties.headers
    expect(traceparent).toMatch(/^00-[0-9a-f]{32}-[0-9a-f]{16}-01$/)
    expect(headers).toEqual({ own: [1, { two: 2 }], inherited: 1, CC: ['nowhere'] })
    expect(message.properties).toMatchObject({ messageId: 'm1', type: 'order', expiration: '60000' })
    expect(message.content.toString()).toBe('{"order":7}')
    await real.until(() => kinds().includes('confirmed'))
    expect(events.find(({ kind }) => kind === 'confirmed')).toMatchObject({ messageId: 'm1' })
    expect((events[0] as TaskSpawned).deadlineAt).toBe(events[0]!.at + 60_000)
  })

  test('of the callback face is the same', async () => {
    const queue = await queueOf()
    const model = await new Promise<any>((resolve, reject) => {
      callbacks.connect((server as ServerOf['rabbitmq']).url, (error: unknown, made: unknown) =>
        error ? reject(error as Error) : resolve(made),
      )
    })
    const confirming = await new Promise<any>((resolve) => {
      model.createConfirmChannel((_: unknown, made: unknown) => resolve(made))
    })
    const answer = await new Promise((resolve) => {
      confirming.sendToQueue(queue, body, {}, (error: unknown) => resolve(error))
    })
    expect(answer).toBe(null)
    await states('enqueued')
    const returned = confirming.consume(queue, (message: unknown) => confirming.ack(message))
    expect(returned).toBe(confirming)
    await states('succeeded')
    await new Promise((resolve) => model.close(resolve))
  })

  test('that a callback of amqplib sends belonged to nobody', async () => {
    const model = await new Promise<any>((resolve) => {
      callbacks.connect((server as ServerOf['rabbitmq']).url, (_: unknown, made: unknown) => resolve(made))
    })
    const queue = await queueOf()
    const { promise: done, resolve } = Promise.withResolvers<void>()
    const origin = real.inRequest(({ ref }) => {
      model.createConfirmChannel((_: unknown, confirming: any) => {
        confirming.checkQueue(queue, () => {
          const last = (): void => confirming.sendToQueue(queue, body, {}, () => resolve())
          const next = (): void => {
            confirming.sendToQueue(queue, body)
            confirming.waitForConfirms(last)
          }
          confirming.sendToQueue(queue, body, {}, next)
        })
      })
      return ref
    })
    await done
    await states('enqueued', 'enqueued', 'enqueued')
    const spawned = events.filter((event) => event.kind === 'spawned')
    expect(spawned.map((task) => task.origin.traceId)).toEqual(Array.from({ length: 3 }, () => origin.traceId))
    await new Promise((closed) => model.close(closed))
  })

  test('that amqp-connection-manager kept until there was a connection belonged to nobody', async () => {
    const queue = await queueOf()
    const manager = installed('amqp-connection-manager').connect([(server as ServerOf['rabbitmq']).url])
    const wrapper = manager.createChannel()
    const sent = [1, 2].map(() =>
      real.inRequest(({ ref }) => ({ ref, confirmed: wrapper.sendToQueue(queue, body) as Promise<unknown> })),
    )
    await Promise.all(sent.map(({ confirmed }) => confirmed))
    await states('enqueued', 'enqueued')
    const spawned = events.filter((event) => event.kind === 'spawned')
    expect(spawned.map(({ origin }) => origin)).toEqual(sent.map(({ ref }) => ref))
    await manager.close()
  })

  test('that amqp-connection-manager keeps in memory was nobody’s work until there was a connection', async () => {
    const manager = installed('amqp-connection-manager').connect(['amqp://127.0.0.1:1'], {
      reconnectTimeInSeconds: 0.01,
    })
    const wrapper = manager.createChannel()
    const { ref, given, late } = real.inRequest((request) => ({
      ref: request.ref,
      given: wrapper.sendToQueue('orders', body) as Promise<unknown>,
      late: wrapper.publish('news', 'key', body, { timeout: 1, type: 'order' }) as Promise<unknown>,
    }))
    expect(toldStates(events)).toEqual(['pending', 'pending'])
    expect(events).toMatchObject([
      { kind: 'spawned', destination: 'orders', name: 'orders', origin: ref },
      { kind: 'spawned', destination: 'news', name: 'order', origin: ref },
    ])
    await expect(late).rejects.toThrow('timeout')
    await states('pending', 'lost never_enqueued')
    await Promise.all([wrapper.close(), expect(given).rejects.toThrow('Channel closed')])
    await states('lost never_enqueued', 'lost never_enqueued')
    await manager.close()
  })

  test('that amqp-connection-manager has kept for a plain channel is in nobody’s hands once it is sent', async () => {
    const queue = await queueOf()
    const manager = installed('amqp-connection-manager').connect([(server as ServerOf['rabbitmq']).url])
    await manager.createChannel({ confirm: false }).sendToQueue(queue, body)
    await left()
    await states('pending')
    channel.consume(queue, (message: unknown) => channel.ack(message))
    await states('succeeded')
    expect(real.errors).toEqual([])
    await manager.close()
  })

  test('taken by get() is an attempt until it is settled', async () => {
    const queue = await queueOf()
    channel.sendToQueue(queue, body)
    await left()
    expect(toldStates(events)).toEqual(['pending'])
    // until 2.0 the reason is a frame, and no error
    await expect(channel.get('no-such-queue')).rejects.toBeTruthy()
    channel = await open()
    const message = await channel.get(queue)
    await states('running')
    channel.nack(message)
    await states('retrying rejected')
    const again = await channel.get(queue, { noAck: true })
    expect(again.fields.redelivered).toBe(true)
    await states('succeeded')
  })
})

describe('a message that the broker does not take', () => {
  test('is never enqueued on a closed channel, and the app gets amqplib’s own error', async () => {
    const queue = await queueOf()
    await channel.close()
    expect(() => channel.sendToQueue(queue, body)).toThrow(amqp.IllegalOperationError)
    expect(toldStates(events)).toEqual(['lost never_enqueued'])
    const confirming = await open('createConfirmChannel')
    expect(() => confirming.sendToQueue(queue, 'no buffer')).toThrow('content is not a buffer')
    expect(toldStates(events)).toEqual(['lost never_enqueued', 'lost never_enqueued'])
  })

  test('is never enqueued when the broker refuses it', async () => {
    const queue = await queueOf({ maxLength: 1, arguments: { 'x-overflow': 'reject-publish' } })
    const confirming = await open('createConfirmChannel')
    const answers: unknown[] = []
    for (let i = 0; i < 2; i++) confirming.sendToQueue(queue, body, {}, (error: unknown) => answers.push(error))
    await confirming.waitForConfirms().catch((error: Error) => answers.push(error.message))
    await states('enqueued', 'lost never_enqueued')
    expect(answers).toEqual([null, new Error('message nacked'), 'message nacked'])
  })

  test.for([
    ['createChannel', 'pending'],
    ['createConfirmChannel', 'enqueued'],
  ] as const)('is never enqueued when there is no such exchange (%s)', async ([kind, before]) => {
    const queue = await queueOf()
    const publisher = await open(kind)
    publisher.sendToQueue(queue, body)
    await states(before)
    publisher.publish('no-such-exchange', 'key', body)
    await closed(publisher)
    await states(before, 'lost never_enqueued')
    expect(kinds()).not.toContain('failed')
  })

  test('has been sent when its channel is closed right after, and never when its connection is', async () => {
    const queue = await queueOf()
    const own = await amqp.connect((server as ServerOf['rabbitmq']).url)
    const [first, second] = [await own.createChannel(), await own.createChannel()]
    first.sendToQueue(queue, body)
    await first.close()
    await left()
    second.sendToQueue(queue, body)
    await own.close()
    await states('pending', 'lost never_enqueued')
    // amqplib's own way: the close overtakes the message
    await vi.waitFor(async () => expect(await channel.checkQueue(queue)).toMatchObject({ messageCount: 1 }))
  })

  test('that no confirmation came for counts as never enqueued until somebody runs it', async () => {
    const queue = await queueOf()
    const confirming = await open('createConfirmChannel')
    const answer = new Promise((resolve) => confirming.sendToQueue(queue, body, {}, resolve))
    expect(toldStates(events)).toEqual(['pending'])
    confirming.publish('no-such-exchange', '', body)
    await answer
    await real.until(() => toldStates(events)[1] === 'lost never_enqueued')
    const [message] = await take(channel, queue)
    channel.ack(message)
    await states('succeeded', 'lost never_enqueued')
  })

  test.for(['createChannel', 'createConfirmChannel'])('fails as unroutable when it comes back (%s)', async (kind) => {
    const publisher = await open(kind)
    const returned: any[] = []
    publisher.on('return', (message: unknown) => returned.push(message))
    publisher.publish('', 'nobody', body, { mandatory: true })
    await states('failed unroutable')
    expect(returned).toMatchObject([{ fields: { replyCode: 312, replyText: 'NO_ROUTE' } }])
    expect(events.find(({ kind }) => kind === 'failed')).toMatchObject({
      failure: { type: '312', message: "NO_ROUTE: exchange '', routing key 'nobody'" },
    })
  })
})

describe('a message that no queue gets, and that the app did not ask back', () => {
  /** What the app heard of returns. */
  const nowhere = async (kind: string, exchange: string, options: object = {}, content = body): Promise<unknown[]> => {
    const publisher = await open(kind)
    const returned: unknown[] = []
    publisher.on('return', (message: unknown) => returned.push(message))
    publisher.publish(exchange, 'no-such-queue', content, options)
    return returned
  }

  test.for(['createChannel', 'createConfirmChannel'])('was open for ever (%s)', async (kind) => {
    expect(await nowhere(kind, '')).toEqual([])
    await states('failed unroutable')
    await channel.assertExchange('straight', 'direct')
    expect(await nowhere(kind, 'straight')).toEqual([])
    await states('failed unroutable', 'failed unroutable')
  })

  test.for(['topic', 'fanout', 'headers'])('is news that nobody waits for (%s)', async (type) => {
    await channel.assertExchange(`news-${type}`, type)
    const returned = await nowhere('createConfirmChannel', `news-${type}`)
    await states('cancelled no_reader')
    expect(returned).toEqual([])
  })

  test('reaches the app beside one that it did ask back, which shows no mark', async () => {
    const publisher = await open()
    const returned: any[] = []
    publisher.on('return', (message: unknown) => returned.push(message))
    publisher.sendToQueue('nobody', Buffer.from('ours'), { headers: { own: 1 } })
    publisher.sendToQueue('nobody', Buffer.from('theirs'), { headers: { own: 1 }, mandatory: true })
    await states('failed unroutable', 'failed unroutable')
    expect(returned.map(({ content }) => String(content))).toEqual(['theirs'])
    expect(Object.keys(returned[0].properties.headers).toSorted()).toEqual(['own', 'traceparent'])
  })

  test('stays open where it is long, so that nothing long comes back', async () => {
    const returned = await nowhere('createConfirmChannel', '', {}, Buffer.alloc(200_000))
    await states('enqueued')
    expect(returned).toEqual([])
  })
})

test('a message that the app asked back shows its consumer no mark', async () => {
  const queue = await queueOf()
  channel.sendToQueue(queue, body, { mandatory: true, headers: { own: 1 } })
  const [message] = await take(channel, queue, 1, { noAck: true })
  expect(Object.keys(message.properties.headers).toSorted()).toEqual(['own', 'traceparent'])
  await states('succeeded')
})

test('a message of a stream that two consumers read was a duplicate', async () => {
  const queue = await queueOf({ durable: true, exclusive: false, arguments: { 'x-queue-type': 'stream' } })
  channel.sendToQueue(queue, body)
  const streaming = { arguments: { 'x-stream-offset': 'first' } }
  for (const tag of ['mail', 'audit']) {
    const reader = await open()
    await reader.prefetch(1)
    const got = new Promise<void>((resolve) => {
      const handle = (message: any): void => {
        reader.ack(message)
        resolve()
      }
      reader.consume(queue, handle, { ...streaming, consumerTag: tag })
    })
    await got
  }
  await real.until(() => kinds().filter((kind) => kind === 'succeeded').length === 2)
  const readers = events.filter(({ kind }) => kind === 'started').map((event) => (event as { reader?: string }).reader)
  expect(readers).toEqual([`${queue}/mail`, `${queue}/audit`])
  expect(toldStates(events)).not.toContain('succeeded duplicate')
})

describe('an answer', () => {
  test.for(['createChannel', 'createConfirmChannel'])(
    'to who has gone, or is not followed, stayed open for ever (%s)',
    async (kind) => {
      const questions = await queueOf()
      const answering = await open(kind)
      await answering.consume(questions, (question: any) => {
        answering.sendToQueue(question.properties.replyTo, body, { correlationId: question.properties.correlationId })
        answering.ack(question)
      })
      const { queue: gone } = await channel.assertQueue('', { exclusive: true })
      await channel.deleteQueue(gone)
      channel.sendToQueue(questions, body, { replyTo: gone, correlationId: '1' })
      await states('succeeded', 'cancelled no_reader')
      // The app's own queue of answers, which others read, holds work.
      channel.sendToQueue(questions, body, { replyTo: await queueOf(), correlationId: '2' })
      const waits = kind === 'createChannel' ? 'pending' : 'enqueued'
      await states('succeeded', 'cancelled no_reader', 'succeeded', waits)
      expect(kinds().filter((kind) => kind === 'cancelled')).toHaveLength(1)
    },
  )

  test('is the work of who gets it', async () => {
    const questions = await queueOf()
    await channel.consume(questions, (question: any) => {
      channel.sendToQueue(question.properties.replyTo, body)
      channel.ack(question)
    })
    const asking = await open()
    const answered = take(asking, 'amq.rabbitmq.reply-to', 1, { noAck: true })
    asking.sendToQueue(questions, body, { replyTo: 'amq.rabbitmq.reply-to' })
    await answered
    await states('succeeded', 'succeeded')
    // No span of a task that was done says that it was cancelled.
    expect(real.spans.map(({ attributes }) => attributes['afterspan.task.state'])).not.toContain('cancelled')
  })
})

describe('a message that the consumer rejects', () => {
  test('with requeue is retried', async () => {
    const queue = await queueOf()
    channel.sendToQueue(queue, body)
    let runs = 0
    await channel.consume(queue, (message: any) => {
      if (++runs === 1) channel.nack(message)
      else if (runs === 2) channel.reject(message, true)
      else channel.ack(message)
    })
    await states('succeeded')
    // What is delivered again has no number, and two runs that began in one millisecond no order.
    expect(toldAttempts(events).toSorted()).toEqual(['0 retrying rejected', '0 succeeded', '1 retrying rejected'])
  })

  test('without requeue has failed', async () => {
    const queue = await queueOf()
    channel.sendToQueue(queue, body)
    await channel.consume(queue, (message: any) => channel.reject(message, false))
    await states('failed rejected')
    expect(events.find(({ kind }) => kind === 'failed')).toMatchObject({
      failure: { type: 'reject', message: 'reject without requeue' },
    })
  })

  test('among many fails alone', async () => {
    const queue = await queueOf()
    for (let i = 0; i < 5; i++) channel.sendToQueue(queue, body)
    const messages = await take(channel, queue, 5)
    channel.nack(messages[2], false, false)
    channel.ack(messages[3], true)
    channel.ackAll()
    await states('succeeded', 'succeeded', 'failed rejected', 'succeeded', 'succeeded')
    expect(await channel.checkQueue(queue)).toMatchObject({ messageCount: 0 })
  })

  test('is dead-lettered where its queue says so, and what is done with the copy is other work', async () => {
    const dead = await queueOf({}, 'parked')
    const queue = await queueOf({ deadLetterExchange: '', deadLetterRoutingKey: dead })
    channel.sendToQueue(queue, body)
    await channel.consume(queue, (message: any) => channel.nack(message, false, false))
    await states('failed dead_lettered')
    const [copy] = await take(channel, dead)
    expect(copy.properties.headers['x-death']).toMatchObject([{ queue, reason: 'rejected' }])
    channel.ack(copy)
    await states('failed dead_lettered', 'succeeded')
  })

  test('is retried where the way of dead letters leads back', async () => {
    const queue = `work${++count}`
    await channel.assertExchange(`retry-${queue}`, 'fanout')
    const waiting = await queueOf({ messageTtl: 20, deadLetterExchange: '', deadLetterRoutingKey: queue })
    await channel.bindQueue(waiting, `retry-${queue}`, '')
    await channel.assertQueue(queue, { deadLetterExchange: `retry-${queue}` })
    channel.sendToQueue(queue, body)
    let runs = 0
    await channel.consume(queue, (message: any) => {
      if (++runs < 3) channel.nack(message, false, false)
      else channel.ack(message)
    })
    await states('succeeded')
    expect(toldAttempts(events)).toEqual(['1 retrying rejected', '2 retrying rejected', '3 succeeded'])
  })

  test('is retried where a message that died before has shown that the way leads back, whoever declared it', async () => {
    const queue = `work${++count}`
    for (const exchange of [`dead-${queue}`, `wait-${queue}`]) await channel.assertExchange(exchange, 'fanout')
    // The way goes by a binding of exchanges, which is not looked at.
    await channel.bindExchange(`wait-${queue}`, `dead-${queue}`, '')
    const waiting = await queueOf({ messageTtl: 20, deadLetterExchange: '', deadLetterRoutingKey: queue })
    await channel.bindQueue(waiting, `wait-${queue}`, '')
    await channel.assertQueue(queue, { deadLetterExchange: `dead-${queue}` })
    channel.sendToQueue(queue, body)
    const second = Promise.withResolvers<void>()
    await channel.consume(queue, (message: any) => {
      if (message.properties.headers['x-death']) {
        channel.ack(message)
        second.resolve()
      } else channel.nack(message, false, false)
    })
    await second.promise
    channel.sendToQueue(queue, body)
    // What was told as final is taken back.
    await states('succeeded', 'succeeded')
    expect(toldAttempts(events)).toEqual(['1 failed dead_lettered', '2 succeeded'])
    expect(toldAttempts(events, 1)).toEqual(['1 retrying rejected', '2 succeeded'])
  })

  test('too often for its quorum queue has its attempts exhausted', async () => {
    const queue = await queueOf({ arguments: { 'x-queue-type': 'quorum', 'x-delivery-limit': 1 } })
    channel.sendToQueue(queue, body)
    await channel.consume(queue, (message: any) => channel.nack(message))
    await states('failed retries_exhausted')
    expect(toldAttempts(events)).toEqual(['1 retrying rejected', '2 failed retries_exhausted'])
  })
})

describe('a message that waits too long', () => {
  test('has expired when it comes out of the queue of the dead', async () => {
    const dead = await queueOf({}, 'dead-letters')
    const queue = await queueOf({ deadLetterExchange: '', deadLetterRoutingKey: dead })
    channel.sendToQueue(queue, body, { expiration: 10 })
    const [copy] = await take(channel, dead)
    channel.ack(copy)
    await states('failed expired', 'succeeded')
    expect(toldAttempts(events)).toEqual([])
  })

  test('in a queue that only delays it is not late', async () => {
    const queue = await queueOf()
    const delay = await queueOf({ messageTtl: 10, deadLetterExchange: '', deadLetterRoutingKey: queue })
    channel.sendToQueue(delay, body)
    const [message] = await take(channel, queue)
    channel.ack(message)
    await states('succeeded')
    expect(toldAttempts(events)).toEqual(['1 succeeded'])
  })
})

describe('a handler', () => {
  test('that throws closes its channel as ever, and the message is retried', async () => {
    const queue = await queueOf()
    channel.sendToQueue(queue, body)
    await left()
    expect(toldStates(events)).toEqual(['pending'])
    const thrower = await open()
    const failure = once(thrower, 'error')
    await thrower.consume(queue, () => {
      throw new RangeError('no luck')
    })
    expect(await failure).toMatchObject([{ name: 'RangeError', message: 'no luck', code: 541 }])
    await states('retrying threw')
    const [message] = await take(channel, queue)
    expect(message.fields.redelivered).toBe(true)
    channel.ack(message)
    await states('succeeded')
  })

  test('that throws has failed for good where the broker does not wait for its word, or has had it', async () => {
    const queue = await queueOf()
    for (const noAck of [true, false]) {
      channel.sendToQueue(queue, body)
      const thrower = await open()
      const failure = closed(thrower)
      await thrower.consume(
        queue,
        (message: any) => {
          if (!noAck) thrower.ack(message)
          throw new RangeError('no luck')
        },
        { noAck },
      )
      await failure
    }
    await states('failed threw', 'failed threw')
    expect(kinds().filter((kind) => kind === 'failed')).toHaveLength(2)
  })

  test('that works on after its ack is not done before it returns', async () => {
    const queue = await queueOf()
    channel.sendToQueue(queue, body)
    const { promise, resolve } = Promise.withResolvers<void>()
    await channel.consume(queue, async (message: any) => {
      channel.ack(message)
      await promise
    })
    await states('running')
    expect(await channel.checkQueue(queue)).toMatchObject({ messageCount: 0 })
    expect(toldStates(events)).toEqual(['running'])
    resolve()
    await states('succeeded')
  })

  test('that works on while the message is delivered again makes it run twice at once', async () => {
    const queue = await queueOf()
    channel.sendToQueue(queue, body)
    const first = await open()
    const { promise, resolve } = Promise.withResolvers<void>()
    const began = new Promise<void>((begin) => {
      void first.consume(queue, async () => {
        begin()
        await promise
      })
    })
    await began
    await first.close()
    expect(toldStates(events)).toEqual(['running'])
    const [message] = await take(channel, queue)
    channel.ack(message)
    await states('succeeded duplicate')
    const { at } = events.at(-1)!
    await vi.waitUntil(() => Date.now() > at)
    resolve()
    await real.until(() => kinds().includes('released'))
    expect(toldStates(events)).toEqual(['succeeded duplicate'])
  })

  test('of each queue of an exchange has a copy of its own', async () => {
    await channel.assertExchange('news', 'fanout')
    const queues = [await queueOf(), await queueOf()]
    for (const queue of queues) await channel.bindQueue(queue, 'news', '')
    channel.publish('news', '', body)
    const taken = await Promise.all(queues.map((queue) => take(channel, queue)))
    for (const [message] of taken) channel.ack(message)
    await real.until(() => kinds().filter((kind) => kind === 'succeeded').length === 2)
    expect(toldStates(events)).toEqual(['succeeded'])
    expect(events[0]).toMatchObject({ destination: 'news' })
  })

  test('is told that its consumer was cancelled, which is no task', async () => {
    const queue = await queueOf()
    const { promise, resolve } = Promise.withResolvers<unknown>()
    await channel.consume(queue, resolve)
    await channel.deleteQueue(queue)
    expect(await promise).toBe(null)
    expect(events).toEqual([])
  })
})

describe('a message whose queue ends with its connection', () => {
  const ending = async (): Promise<{ readonly own: any; readonly reader: any; readonly queue: string }> => {
    const own = await amqp.connect((server as ServerOf['rabbitmq']).url)
    const reader = await own.createChannel()
    const { queue } = await reader.assertQueue('', { exclusive: true })
    await channel.assertExchange('brief', 'fanout')
    await reader.bindQueue(queue, 'brief', '')
    channel.publish('brief', '', body)
    return { own, reader, queue }
  }

  test('waited to be brought again for ever, where nobody had acknowledged it', async () => {
    const { own, reader, queue } = await ending()
    await new Promise((resolve) => reader.consume(queue, resolve))
    await own.close()
    await states('lost vanished_from_broker')
    expect(kinds().filter((kind) => kind === 'lost')).toHaveLength(1)
  })

  test('is done when its handler is, and failed when that fails', async () => {
    const { own, reader, queue } = await ending()
    channel.publish('brief', '', body)
    const works = [Promise.withResolvers<void>(), Promise.withResolvers<void>()]
    const handled = new Promise<void>((begun) => {
      let runs = 0
      void reader.consume(queue, () => {
        const { promise } = works[runs++]!
        if (runs === works.length) begun()
        return promise
      })
    })
    await handled
    await own.close()
    works[0]!.resolve()
    works[1]!.promise.catch(() => {})
    const rejected = once(process, 'unhandledRejection')
    works[1]!.reject(new RangeError('no luck'))
    await rejected
    await states('succeeded', 'failed rejected')
    expect(kinds()).not.toContain('lost')
  })

  test('goes on where another channel of the connection gets it', async () => {
    const { own, reader, queue } = await ending()
    await new Promise((resolve) => reader.consume(queue, resolve))
    await reader.close()
    const next = await own.createChannel()
    await new Promise<void>((resolve) => {
      void next.consume(queue, (message: any) => {
        next.ack(message)
        resolve()
      })
    })
    await states('succeeded')
    await own.close()
    expect(kinds()).not.toContain('lost')
  })
})

test('a message of a stranger, without an id, was another task each time that it was given back', async () => {
  const queue = await queueOf()
  const strange = { exchange: '', routingKey: queue, mandatory: false, immediate: false, ticket: 0 }
  for (const content of ['one', 'two', 'two']) channel.sendMessage(strange, { headers: {} }, Buffer.from(content))
  let runs = 0
  await channel.prefetch(1)
  await channel.consume(queue, (message: any) => {
    if (++runs < 6) channel.nack(message)
    else channel.ack(message)
  })
  await states('succeeded', 'succeeded', 'succeeded')
  expect(toldAttempts(events).length + toldAttempts(events, 1).length + toldAttempts(events, 2).length).toBe(runs)
})
