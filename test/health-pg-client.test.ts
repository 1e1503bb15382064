import { formatsInTurn, get, sharedService, startPreloaded } from '@afterspan/testing'
import { Client } from 'pg'
import { describe, expect } from 'vitest'
import { appFile, listening } from './app.ts'
import { untilAnswer } from './until-answer.ts'

const postgres = sharedService('postgres')

describe('a client of pg that no pool has', () => {
  formatsInTurn(
    'is found beside the pool, is not asked within a transaction of the app, and is told of when it is lost',
    { cjs: appFile('pg-client.cjs'), mjs: appFile('pg-client.mjs') },
    async ({ app, node, context }) => {
      const { url: DATABASE_URL } = postgres(context)
      const env = { DATABASE_URL, AFTERSPAN_HEALTH_INTERVAL: '300', AFTERSPAN_HEALTH_PASSIVE: 'off' }
      const child = startPreloaded({ app, node: node.path, env })
      try {
        const url = await listening(child)
        const admin = await child.adminUrl()
        const ask = async (path: string): Promise<string> => (await get(`${url}${path}`)).text
        const until = (status: number, text: string): Promise<string> =>
          untilAnswer(`${admin}/readyz?verbose`, status, text)
        await until(200, '[+]postgresql-2 ok')
        const health = await untilAnswer(`${admin}/health`, 200, '"postgresql-2:open":[{"observedValue":1')
        expect(health).not.toContain('postgresql-3')
        expect(JSON.parse(health)).toMatchObject({
          checks: {
            'postgresql:responseTime': [{ madeAt: expect.stringMatching(/pg-client-app\.cjs:\d+$/) }],
            'postgresql-2:responseTime': [{ madeAt: expect.stringMatching(/pg-client-app\.cjs:\d+$/) }],
          },
        })

        await ask('/begin')
        await untilAnswer(`${admin}/health`, 200, '"postgresql-2:checked":[{"observedValue":"status"')
        expect(await ask('/break')).toBe('"22012"')
        // Whatever is asked in a broken transaction is refused: what is said of it was not.
        expect(await get(`${admin}/readyz?verbose`)).toMatchObject({ status: 200 })
        await ask('/rollback')

        const pid = Number(await ask('/pid'))
        const operator = new Client(DATABASE_URL)
        await operator.connect()
        await operator.query('SELECT pg_terminate_backend($1)', [pid])
        await operator.end()
        await until(503, '[-]postgresql-2 failed: connection_lost')
        const seenByOthers = await get(`${admin}/health`, { headers: { 'x-forwarded-for': '203.0.113.9' } })
        expect(seenByOthers.text).not.toMatch(/127\.0\.0\.1|pg-client-app/)
        await ask('/again')
        await until(200, '[+]postgresql-2 ok')
      } finally {
        await child.stop()
      }
    },
  )
})
