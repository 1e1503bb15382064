import { randomUUID } from 'node:crypto'
import { formatsInTurn, nodesUnderTest, sharedService } from '@afterspan/testing'
import { describe, expect, test } from 'vitest'
import { appFile } from './app.ts'
import { holdsAll, holdsItsTongue, holdsWhatIsDone, holdsWhatIsKilled } from './queue-conformance.ts'
import { startRoles } from './roles.ts'

const kafka = sharedService('kafka')

// Here is no handler that could fail: packages/async-tracker/test/integrations/platformatic-kafka.test.ts asks how a loop is left.
describe('a service whose work goes through @platformatic/kafka', () => {
  formatsInTurn(
    'work that is done, and work that is lost with its process and taken up by the next',
    { cjs: appFile('platformatic-kafka.cjs'), mjs: appFile('platformatic-kafka.mjs') },
    async ({ app, node, context }) => {
      const topic = `mail-${randomUUID()}`
      const roles = await startRoles({ app, node, env: { KAFKA: kafka(context).url, TOPIC: topic } })
      const queue = { system: 'kafka', destination: topic, hanging: /^record hangs$/ }
      const worker = await roles.startReady('worker')
      await holdsWhatIsDone(roles, queue)
      await holdsWhatIsKilled(roles, worker, queue)
      await holdsItsTongue(roles)
    },
  )

  test('the oldest version that is followed is followed as well', async (context) => {
    const topic = `mail-${randomUUID()}`
    const roles = await startRoles({
      app: appFile('platformatic-kafka.cjs'),
      node: nodesUnderTest()[0]!,
      env: { KAFKA: kafka(context).url, TOPIC: topic, LIBRARY: 'platformatic-kafka-oldest' },
    })
    expect(
      await holdsAll(roles, { system: 'kafka', destination: topic, hanging: /^record hangs$/ }, 'nothing fails'),
    ).toBe('')
  })
})
