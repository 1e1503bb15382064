import { formatsInTurn, nodesUnderTest, sharedService } from '@afterspan/testing'
import { describe, expect, test } from 'vitest'
import { appFile } from './app.ts'
import { holdsAll } from './queue-conformance.ts'
import { holdsItsMail, redisQueue } from './redis-queue.ts'
import { startRoles } from './roles.ts'

const QUEUE = redisQueue('bee-queue')

const redis = sharedService('redis')

describe('a service whose work goes to bee-queue', () => {
  formatsInTurn(
    'succeeded, failed, lost and recovered work stands in the receipt and in the request’s own trace',
    { cjs: appFile('bee-queue.cjs'), mjs: appFile('bee-queue.mjs') },
    async ({ app, node, context }) => {
      await holdsItsMail({ app, node }, redis(context).port, QUEUE)
    },
  )

  test('of the oldest version that is followed is followed as well', async (context) => {
    const roles = await startRoles({
      app: appFile('bee-queue.cjs'),
      node: nodesUnderTest()[0]!,
      env: { REDIS_PORT: String(redis(context).port), LIBRARY: 'bee-queue-oldest' },
    })
    expect(await holdsAll(roles, QUEUE)).toBe('')
  })
})
