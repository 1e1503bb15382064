// Against a stand-in that speaks its protocol: no server of MongoDB can be had where the tests run.
import { createRequire } from 'node:module'
import { get, startMongoDbStandIn, startPreloaded, type Bson } from '@afterspan/testing'
import { describe, expect, test } from 'vitest'
import { appFile, listening } from './app.ts'
import { untilAnswer } from './until-answer.ts'

const FOREIGN = { headers: { 'x-forwarded-for': '203.0.113.9' } }
const { BSON } = createRequire(import.meta.url)('mongodb') as { BSON: Bson }

describe.each([
  {
    format: 'CommonJS, version 6',
    file: 'mongodb.cjs',
    library: 'mongodb-oldest',
    // What is asked makes spans from 6.4 on.
    untold: /^\[afterspan\] AFS_HOOK_UNSUPPORTED mongodb 6\.0\.0 .*\n/,
  },
  { format: 'ESM, version 7', file: 'mongodb.mjs', library: 'mongodb', untold: '' },
])('a client of mongodb in $format', ({ file, library, untold }) => {
  test('is found as it is first used, and judged by a read, and by what its driver sees of the set', async () => {
    const server = await startMongoDbStandIn(BSON, 'primary')
    const env = {
      LIBRARY: library,
      MONGODB_URL: `${server.url}/?replicaSet=rs0`,
      AFTERSPAN_HEALTH_INTERVAL: '300',
      AFTERSPAN_HEALTH_TIMEOUT: '300',
    }
    const child = startPreloaded({ app: appFile(file), env })
    try {
      const url = await listening(child)
      const admin = await child.adminUrl()
      const until = (status: number, text: string): Promise<string> =>
        untilAnswer(`${admin}/readyz?verbose`, status, text)
      expect(await get(`${url}/orders/1`)).toMatchObject({ status: 200 })
      await until(200, '[+]mongodb ok')
      const full = await get(`${admin}/health`)
      expect(JSON.parse(full.text)).toMatchObject({
        checks: {
          'mongodb:responseTime': [
            { componentType: 'datastore', madeAt: expect.stringMatching(/mongodb-app\.cjs:\d+$/) },
          ],
        },
      })
      expect(new Set(server.asked)).toEqual(new Set(['shop.find']))

      server.role = 'secondary'
      await until(503, '[-]mongodb failed: no_primary')
      server.role = 'primary'
      await until(200, '[+]mongodb ok')
      server.freeze()
      await until(503, '[-]mongodb failed: timeout')
      expect((await get(`${admin}/livez`)).status).toBe(200)
      const seenByOthers = await get(`${admin}/health`, FOREIGN)
      expect(seenByOthers.text).toContain('timeout')
      expect(seenByOthers.text).not.toMatch(/127\.0\.0\.1|shop|:\d{4,5}/)
      server.thaw()
      await until(200, '[+]mongodb ok')

      expect(await get(`${url}/orders/1`)).toMatchObject({ status: 200 })

      expect(await get(`${url}/close`)).toMatchObject({ status: 200 })
      await expect.poll(async () => (await get(`${admin}/readyz?verbose`)).text).not.toContain('mongodb')
      // Each trouble and each end of one is said, and nothing else.
      const unsaid = child.stderr.replace(/^\[afterspan\] AFS_HEALTH_CHANGED mongodb (?:turned|is well) .*\n/gm, '')
      expect(unsaid.replace(untold, '')).toBe('')
    } finally {
      await child.stop()
      await server.stop()
    }
  })
})
