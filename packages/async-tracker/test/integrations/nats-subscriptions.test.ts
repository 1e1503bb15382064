// The older calls of nats 2, against a real server.
import { present, service, type MissingServer, type ServerOf } from '../../../testing/src/services.ts'
import { afterAll, beforeAll, beforeEach, expect, test, vi } from 'vitest'
import { nats } from '../../src/integrations/nats.ts'
import { installed } from './installed.ts'
import { createRealKit } from './real-kit.ts'
import { toldAttempts, toldStates } from './told-states.ts'

vi.setConfig({ testTimeout: 30_000, hookTimeout: 60_000 })

const real = createRealKit()
const { events } = real
const library = installed('nats')
let server: ServerOf['nats'] | MissingServer
let connection: any
let js: any
let stream: string
let subject: string
let count = 0

beforeAll(async () => {
  server = await service('nats')
  if ('missing' in server) return
  for (const file of nats.files!) nats.patch(installed('nats', file), real.kit)
  connection = await library.connect({ servers: server.url })
  js = connection.jetstream()
})
afterAll(async () => {
  await connection?.close()
  if (server && !('missing' in server)) await server.stop()
})
beforeEach(async (context) => {
  present(server, context)
  stream = `s${++count}`
  subject = `orders${count}.created`
  const manager = await connection.jetstreamManager()
  await manager.streams.add({ name: stream, subjects: [`orders${count}.>`] })
  real.clear()
})

function options(): any {
  return library.consumerOpts().durable('worker').ackExplicit().deliverTo(library.createInbox())
}
function states(...expected: string[]): Promise<void> {
  return vi.waitFor(() => expect(toldStates(events)).toEqual(expected), { timeout: 20_000, interval: 5 })
}

test('a callback whose messages the library acknowledges runs each as a task', async () => {
  const seen: unknown[] = []
  const plan = options().callback((error: unknown, message: any) => void seen.push([error, message?.string()]))
  const subscription = await js.subscribe(subject, plan)
  await js.publish(subject, 'x')
  await states('succeeded')
  expect(seen).toEqual([[null, 'x']])
  expect(events.map(({ kind }) => kind).toSorted()).toEqual(['confirmed', 'spawned', 'started', 'succeeded'])
  subscription.unsubscribe()
})

test('a callback that acknowledges itself may give back', async () => {
  const plan = options().manualAck()
  plan.callback((_error: unknown, message: any) => {
    if (message.info.deliveryCount === 1) message.nak()
    else message.ack()
  })
  const subscription = await js.subscribe(subject, plan)
  await js.publish(subject, 'x')
  await states('succeeded')
  expect(toldAttempts(events)).toEqual(['1 retrying rejected', '2 succeeded'])
  subscription.unsubscribe()
})

test('a loop over a subscription holds each message until its body is over', async () => {
  await js.publish(subject, 'a')
  await js.publish(subject, 'b')
  const subscription = await js.subscribe(subject, options())
  const during: string[][] = []
  for await (const message of subscription) {
    during.push(toldStates(events))
    if (message.string() === 'b') subscription.unsubscribe()
  }
  await states('succeeded', 'succeeded')
  expect(during).toEqual([
    ['running', 'enqueued'],
    ['succeeded', 'running'],
  ])
})

test('a subscription that pulls is followed, an ordered one runs no tasks', async () => {
  await js.publish(subject, 'x')
  const pulling = await js.pullSubscribe(subject, library.consumerOpts().durable('puller').ackExplicit().manualAck())
  pulling.pull({ batch: 1, expires: 5000 })
  for await (const message of pulling) {
    message.ack()
    break
  }
  await states('succeeded')
  real.clear()
  for await (const message of await js.subscribe(subject, library.consumerOpts().orderedConsumer())) {
    expect(message.string()).toBe('x')
    break
  }
  expect(events).toEqual([])
})
