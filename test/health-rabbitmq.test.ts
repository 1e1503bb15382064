import { formatsInTurn, get, sharedService, startPreloaded } from '@afterspan/testing'
import { describe, expect } from 'vitest'
import { appFile, listening } from './app.ts'
import { untilAnswer } from './until-answer.ts'

const rabbitmq = sharedService('rabbitmq')
let count = 0

describe('a connection to RabbitMQ', () => {
  formatsInTurn(
    'is found, and judged by a round trip; a frozen broker turns /readyz and not /livez',
    // the one by the library's callbacks, the other by its promises
    { cjs: appFile('rabbitmq.cjs'), mjs: appFile('rabbitmq.mjs') },
    async ({ app, node, context }) => {
      const server = rabbitmq(context)
      const child = startPreloaded({
        app,
        node: node.path,
        env: {
          AMQP_URL: server.url,
          QUEUE: `orders.mail${++count}`,
          AFTERSPAN_HEALTH_INTERVAL: '500',
          AFTERSPAN_HEALTH_TIMEOUT: '700',
        },
      })
      try {
        await listening(child)
        const admin = await child.adminUrl()
        const until = (path: string, status: number, text: string): Promise<string> =>
          untilAnswer(`${admin}${path}`, status, text, 30_000)
        await until('/readyz?verbose', 200, '[+]rabbitmq ok')
        expect(JSON.parse(await until('/health', 200, 'rabbitmq:waiting'))).toMatchObject({
          checks: {
            'rabbitmq:responseTime': [{ madeAt: expect.stringMatching(/rabbitmq(?:-app)?\.[cm]js:\d+$/) }],
            'rabbitmq:roundTrip': [{ observedUnit: 'ms' }],
          },
        })

        await server.freeze()
        try {
          await until('/readyz?verbose', 503, '[-]rabbitmq failed: timeout')
          expect((await get(`${admin}/livez`)).status).toBe(200)
          const seenByOthers = await get(`${admin}/health`, { headers: { 'x-forwarded-for': '203.0.113.9' } })
          expect(seenByOthers.status).toBe(503)
          expect(seenByOthers.text).toContain('timeout')
          expect(seenByOthers.text).not.toMatch(/127\.0\.0\.1|:\d{4,5}|guest|orders/)
        } finally {
          await server.thaw()
        }
        await until('/readyz?verbose', 200, '[+]rabbitmq ok')
        // Each trouble and each end of one is said, and nothing else.
        expect(child.stderr.replace(/^\[afterspan\] AFS_HEALTH_CHANGED rabbitmq (?:turned|is well) .*\n/gm, '')).toBe(
          '',
        )
      } finally {
        await child.stop()
      }
    },
  )
})
