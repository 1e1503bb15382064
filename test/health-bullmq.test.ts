import { formatsInTurn, get, sharedService, startPreloaded } from '@afterspan/testing'
import { Redis } from 'ioredis'
import { describe, expect, test } from 'vitest'
import { appFile, listening } from './app.ts'
import { untilAnswer } from './until-answer.ts'

const redis = sharedService('redis')

describe('a queue of BullMQ', () => {
  formatsInTurn(
    'in which jobs wait and nobody is there to run them is a warning, until somebody comes',
    { cjs: appFile('bullmq.cjs'), mjs: appFile('bullmq.mjs') },
    async ({ app, node, context }) => {
      const server = redis(context)
      const start = (role: string): ReturnType<typeof startPreloaded> =>
        startPreloaded({
          app,
          node: node.path,
          env: { REDIS_PORT: String(server.port), ROLE: role, AFTERSPAN_HEALTH_INTERVAL: '400' },
        })
      const web = start('web')
      try {
        const url = await listening(web)
        const admin = await web.adminUrl()
        const until = (text: string): Promise<string> => untilAnswer(`${admin}/readyz?verbose`, 200, text)
        await until('[+]bullmq ok')
        await get(`${url}/send/succeeds`)
        await until('[+]bullmq warn: no_worker')
        expect(JSON.parse((await get(`${admin}/health`)).text)).toMatchObject({
          checks: {
            'bullmq:responseTime': [{ madeAt: expect.stringMatching(/bullmq-app\.cjs:\d+$/) }],
            'bullmq:queue': [{ observedValue: 'mail' }],
            'bullmq:waiting': [{ observedValue: 1 }],
            'bullmq:workers': [{ observedValue: 0 }],
          },
        })
        // That somebody comes is seen in the same way on every Node.
        if (node.major !== 24) return
        const worker = start('worker')
        await worker.waitForLine(/^job \{"succeeds":true\}$/)
        await until('[+]bullmq ok')
        // A job whose only worker was killed is seen at once, and told of when nobody has taken it back.
        await get(`${url}/send/hangs`)
        await worker.waitForLine(/^job \{"hangs":true\}$/)
        worker.signal('SIGKILL')
        await untilAnswer(`${admin}/health`, 200, '"bullmq:unlocked":[{"observedValue":1')
      } finally {
        await web.stop()
        await empty(server.port)
      }
    },
  )

  test('of the first version that is followed was an error as soon as a job waited', async (context) => {
    const server = redis(context)
    const env = { REDIS_PORT: String(server.port), ROLE: 'web', AFTERSPAN_HEALTH_INTERVAL: '400' }
    const web = startPreloaded({ app: appFile('bullmq.cjs'), env: { ...env, LIBRARY: 'bullmq-oldest' } })
    try {
      await get(`${await listening(web)}/send/succeeds`)
      await untilAnswer(`${await web.adminUrl()}/readyz?verbose`, 200, '[+]bullmq warn: no_worker')
      expect(web.stderr).not.toContain('fail')
    } finally {
      await web.stop()
      await empty(server.port)
    }
  })
})

/** The next one begins with queues of its own. */
async function empty(port: number): Promise<void> {
  const redis = new Redis(port, '127.0.0.1')
  await redis.flushall()
  redis.disconnect()
}
