import { get, present, service, startPreloaded } from '@afterspan/testing'
import { describe, expect, test } from 'vitest'
import { appFile, listening } from './app.ts'
import { untilAnswer } from './until-answer.ts'

describe.each([
  { library: 'nats', file: 'nats.cjs' },
  { library: '@nats-io/transport-node', file: 'nats.mjs' },
])('a connection of $library', ({ file }) => {
  test('is found, and judged by a round trip and by what the app asks of JetStream', async (context) => {
    const server = present(await service('nats'), context)
    const env = {
      NATS_URL: server.url,
      QUEUE: 'mail',
      AFTERSPAN_HEALTH_INTERVAL: '500',
      AFTERSPAN_HEALTH_TIMEOUT: '500',
    }
    const child = startPreloaded({ app: appFile(file), env })
    try {
      await listening(child)
      const admin = await child.adminUrl()
      const until = (status: number, text: string): Promise<string> =>
        untilAnswer(`${admin}/readyz?verbose`, status, text)
      await until(200, '[+]nats ok')
      await expect
        .poll(async () => JSON.parse((await get(`${admin}/health`)).text), { timeout: 20_000 })
        .toMatchObject({
          checks: {
            'nats:responseTime': [{ madeAt: expect.stringContaining('nats') }],
            'nats:roundTrip': [{ observedUnit: 'ms' }],
          },
        })

      await server.freeze()
      await until(503, '[-]nats failed: timeout')
      expect((await get(`${admin}/livez`)).status).toBe(200)
      const seenByOthers = await get(`${admin}/health`, { headers: { 'x-forwarded-for': '203.0.113.9' } })
      expect(seenByOthers.text).toContain('timeout')
      expect(seenByOthers.text).not.toMatch(/127\.0\.0\.1|:\d{4,5}/)
      await server.thaw()
      await until(200, '[+]nats ok')

      await server.stop()
      await until(503, '[-]nats failed: not_connected')
      // Each trouble and each end of one is said, and nothing else.
      expect(child.stderr.replace(/^\[afterspan\] AFS_HEALTH_CHANGED nats (?:turned|is well) .*\n/gm, '')).toBe('')
    } finally {
      await child.stop()
      await server.stop()
    }
  })
})
