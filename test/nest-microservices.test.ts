// An event that a handler of Nest had failed to handle was called done: Nest catches what it throws, and RabbitMQ has forgotten the message.
import { formatsInTurn, nodesUnderTest, sharedService } from '@afterspan/testing'
import { describe, expect, test } from 'vitest'
import { appFile } from './app.ts'
import { expectReceipt, toldTrace } from './receipts.ts'
import { startRoles, type Roles, type RolesOptions } from './roles.ts'

const rabbitmq = sharedService('rabbitmq')
let count = 0

const failed = (type: string, message: string): object => ({
  verdict: 'broken',
  tasks: [
    { system: 'rabbitmq', state: 'failed', reason: 'rejected', attempts: [{ n: 1, failure: { type, message } }] },
  ],
})
const NO_PAPER = failed('TypeError', 'no paper')
const KEPT = { verdict: 'kept', tasks: [{ state: 'succeeded' }] }
const ENDS = {
  'emit/done': KEPT,
  'emit/throws': failed('RangeError', 'no address'),
  'emit/rejects': NO_PAPER,
  'emit/streams': NO_PAPER,
  'emit/filtered': NO_PAPER,
  // The app's own filter made something of it that ends well.
  'emit/gotOver': KEPT,
  'emit/nobody': failed('no_event_handler', 'nobody handles the event nobody'),
  // The caller hears of this one.
  'send/asks': { verdict: 'kept' },
}

describe('events of @nestjs/microservices by RabbitMQ', () => {
  formatsInTurn(
    'whose handlers fail are failed tasks of the request that sent them',
    { cjs: appFile('nest/microservices.cjs'), mjs: appFile('nest/microservices.mjs') },
    async ({ app, node, context }) => {
      const QUEUE = `orders${++count}`
      const roles = await begin({ app, node, env: { AMQP_URL: rabbitmq(context).url, QUEUE } })
      await expectEnds(roles)
      const drawing = await toldTrace(roles.sink, await roles.ask('/emit/throws'), 'failed')
      expect(drawing.replaceAll(QUEUE, 'orders')).toMatchInlineSnapshot(`
        "· GET /emit/:name  SERVER web
        └─ · send orders  PRODUCER
           └─ ✗ process orders  CONSUMER worker
                RangeError: no address
                task.state=failed task.reason=rejected task.attempt=1"
      `)
      expect(roles.stderr()).not.toContain('/packages/afterspan/')
      await roles.stop()
    },
  )

  test('what is acknowledged before it fails has failed, and what is not is tried again', async (context) => {
    const env = { AMQP_URL: rabbitmq(context).url, QUEUE: `orders${++count}`, BUS: 'slow' }
    const roles = await startRoles({ app: appFile('nest/microservices.cjs'), node: nodesUnderTest().at(-1)!, env })
    await roles.startReady('slow')
    await expectReceipt(roles.admin, await roles.ask('/emit/acks'), NO_PAPER)
    const open = { verdict: 'open', tasks: [{ state: 'retrying', attempts: [{ failure: { message: 'no paper' } }] }] }
    await expectReceipt(roles.admin, await roles.ask('/emit/rejects'), open)
    expect(roles.stderr()).not.toContain('/packages/afterspan/')
    await roles.stop()
  })

  test('of Nest 10 too', async (context) => {
    const env = { AMQP_URL: rabbitmq(context).url, QUEUE: `orders${++count}`, NEST: '10' }
    const roles = await begin({ app: appFile('nest/microservices.cjs'), node: nodesUnderTest()[0]!, env })
    await expectEnds(roles)
    expect(roles.stderr()).not.toContain('/packages/afterspan/')
    await roles.stop()
  })
})

async function begin(options: RolesOptions): Promise<Roles> {
  const roles = await startRoles(options)
  await roles.startReady('worker')
  return roles
}

async function expectEnds({ admin, ask }: Roles): Promise<void> {
  for (const [path, receipt] of Object.entries(ENDS)) await expectReceipt(admin, await ask(`/${path}`), receipt)
}
