// Its native part is built for one Node, takes minutes, and is not in the ordinary run. Where CONFLUENT_KAFKA_DIR names a folder in which
// @confluentinc/kafka-javascript is installed for the project's Node, it is asked the same as the other clients of Kafka.
import { randomUUID } from 'node:crypto'
import { nodesUnderTest, sharedService } from '@afterspan/testing'
import { describe, expect, test } from 'vitest'
import { appFile } from './app.ts'
import { kafkaQueue } from './kafka-queue.ts'
import { holdsAll } from './queue-conformance.ts'
import { expectReceipt } from './receipts.ts'
import { startRoles, type Roles } from './roles.ts'

const folder = process.env['CONFLUENT_KAFKA_DIR'] ?? ''
const kafka = sharedService('kafka')
const SUCCEEDED = { state: 'succeeded', reader: 'mailers', attempts: [{ state: 'succeeded' }] }

describe.skipIf(!folder)('a service whose work goes through @confluentinc/kafka-javascript', () => {
  const start = (url: string, topic: string, env = {}): Promise<Roles> =>
    startRoles({
      app: appFile('confluent-kafka.cjs'),
      node: nodesUnderTest().find(({ major }) => major === Number(process.versions.node.split('.')[0]))!,
      env: { KAFKA: url, TOPIC: topic, CONFLUENT_KAFKA_DIR: folder, ...env },
    })

  test.for([
    ['eachMessage', {}],
    ['eachBatch', { BATCH: '1' }],
  ] as const)('by %s: done, retried, lost and recovered work stands in the receipt', async ([, env], context) => {
    const topic = `mail-${randomUUID()}`
    expect(await holdsAll(await start(kafka(context).url, topic, env), kafkaQueue(topic))).toBe('')
  })

  test('what is sent in one call, in a transaction, without an answer, or refused', async (context) => {
    const topic = `mail-${randomUUID()}`
    const roles = await start(kafka(context).url, topic)
    const { admin, ask } = roles
    await roles.startReady('worker')
    await expectReceipt(admin, await ask('/batch'), { verdict: 'kept', tasks: [SUCCEEDED, SUCCEEDED] })
    await expectReceipt(admin, await ask('/transaction/commit'), { verdict: 'kept', tasks: [SUCCEEDED] })
    await expectReceipt(admin, await ask('/transaction/abort'), {
      verdict: 'kept',
      tasks: [{ state: 'cancelled', reason: 'rolled_back', attempts: [] }],
    })
    await expectReceipt(admin, await ask('/transaction/commit'), { verdict: 'kept', tasks: [SUCCEEDED] })
    await expectReceipt(admin, await ask('/unanswered'), { verdict: 'kept', tasks: [SUCCEEDED] })
    await expectReceipt(admin, await ask('/refused'), {
      tasks: [{ state: 'lost', reason: 'never_enqueued', confirmed: false, attempts: [] }],
    })
    expect(roles.stderr()).toBe('')
    await roles.stop()
  })
})
