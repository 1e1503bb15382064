import { formatsInTurn, get, sharedService, startPreloaded } from '@afterspan/testing'
import { describe, expect } from 'vitest'
import { appFile, listening } from './app.ts'
import { untilAnswer } from './until-answer.ts'

const kafka = sharedService('kafka')
let count = 0

describe.each([
  { library: 'kafkajs', line: /kafkajs-app\.cjs:\d+$/, topicOf: 'web' },
  { library: 'platformatic-kafka', line: /platformatic-kafka-app\.cjs:\d+$/, topicOf: 'each' },
])('clients of $library', ({ library, line, topicOf }) => {
  formatsInTurn(
    'are found, and judged by a round trip and by their work; frozen brokers turn /readyz and not /livez',
    { cjs: appFile(`${library}.cjs`), mjs: appFile(`${library}.mjs`) },
    async ({ app, node, context }) => {
      const server = kafka(context)
      const TOPIC = `orders.mail-${library}${++count}`
      const start = (role: string): ReturnType<typeof startPreloaded> =>
        startPreloaded({
          app,
          node: node.path,
          env: {
            KAFKA: server.url,
            TOPIC,
            GROUP: TOPIC,
            ROLE: role,
            AFTERSPAN_HEALTH_INTERVAL: '500',
            AFTERSPAN_HEALTH_TIMEOUT: '700',
          },
        })
      const web = start('web')
      let worker = topicOf === 'each' ? start('worker') : web
      const until = async (of: typeof web, path: string, status: number, text: string): Promise<string> =>
        untilAnswer(`${await of.adminUrl()}${path}`, status, text, 40_000)
      try {
        const url = await listening(web)
        if (worker === web) worker = start('worker')
        await get(`${url}/send/succeeds`)
        await worker.waitForLine(/^record succeeds$/)
        await until(web, '/readyz?verbose', 200, '[+]kafka ok')
        expect(JSON.parse(await until(web, '/health', 200, 'kafka:partitions'))).toMatchObject({
          checks: { 'kafka:responseTime': [{ madeAt: expect.stringMatching(line) }] },
        })
        await until(worker, '/readyz?verbose', 200, '[+]kafka-consumer ok')
        await until(worker, '/health', 200, 'kafka-consumer:assigned')

        await worker.stop()
        // What becomes of frozen brokers is the same on every Node.
        if (node.major !== 24) return

        await server.freeze()
        try {
          await until(web, '/readyz?verbose', 503, '[-]kafka failed: timeout')
          const admin = await web.adminUrl()
          expect((await get(`${admin}/livez`)).status).toBe(200)
          const seenByOthers = await get(`${admin}/health`, { headers: { 'x-forwarded-for': '203.0.113.9' } })
          expect(seenByOthers.status).toBe(503)
          expect(seenByOthers.text).not.toMatch(/127\.0\.0\.1|:\d{4,5}|orders/)
        } finally {
          await server.thaw()
        }
        await until(web, '/readyz?verbose', 200, '[+]kafka ok')
      } finally {
        await Promise.all([web.stop(), worker.stop()])
      }
    },
  )
})
