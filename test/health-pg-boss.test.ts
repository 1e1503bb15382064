import { formatsInTurn, get, sharedService, startPreloaded } from '@afterspan/testing'
import { Client } from 'pg'
import { describe, expect } from 'vitest'
import { appFile, listening } from './app.ts'
import { untilAnswer } from './until-answer.ts'

const postgres = sharedService('postgres')

describe('queues of pg-boss', () => {
  formatsInTurn(
    'in which a job waits for too long, or is at work for longer than it may, are a warning until somebody comes',
    { cjs: appFile('pg-boss.cjs'), mjs: appFile('pg-boss.mjs') },
    async ({ app, node, context }) => {
      const { url: DATABASE_URL } = postgres(context)
      const env = { DATABASE_URL, AFTERSPAN_HEALTH_INTERVAL: '400', AFTERSPAN_HEALTH_QUEUE_OLDEST: '1000' }
      const web = startPreloaded({ app, node: node.path, env: { ...env, ROLE: 'web' } })
      try {
        const url = await listening(web)
        const admin = await web.adminUrl()
        const until = (text: string): Promise<string> => untilAnswer(`${admin}/readyz?verbose`, 200, text)
        await until('[+]pg-boss ok')
        await get(`${url}/send/succeeds`)
        await until('[+]pg-boss warn: waiting_too_long')
        const seenByOthers = await get(`${admin}/health`, { headers: { 'x-forwarded-for': '203.0.113.9' } })
        expect(seenByOthers.text).not.toMatch(/mail|127\.0\.0\.1/)
        expect(JSON.parse((await get(`${admin}/health`)).text)).toMatchObject({
          checks: {
            'pg-boss:responseTime': [{ madeAt: expect.stringMatching(/pg-boss-app\.cjs:\d+$/) }],
            'pg-boss:queue': [{ observedValue: 'mail' }],
            'pg-boss:waiting': [{ observedValue: 1 }],
          },
        })
        const db = new Client(DATABASE_URL)
        await db.connect()
        await db.query(
          `UPDATE pgboss.job SET state = 'active', started_on = now() - interval '1 hour' WHERE name = 'mail'`,
        )
        await db.end()
        await until('[+]pg-boss warn: jobs_stalled')
        // What takes it back is the same on every Node.
        if (node.major !== 24) return
        // It supervises: the job has failed, and is tried again.
        const worker = startPreloaded({ app, node: node.path, env: { ...env, ROLE: 'worker' } })
        await worker.waitForLine(/^job \{"succeeds":true/)
        await until('[+]pg-boss ok')
        await worker.stop()
      } finally {
        await web.stop()
        await empty(DATABASE_URL)
      }
    },
  )
})

async function empty(url: string): Promise<void> {
  const db = new Client(url)
  await db.connect()
  await db.query(`DELETE FROM pgboss.job WHERE name = 'mail'`)
  await db.end()
}
