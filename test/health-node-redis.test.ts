import { formatsInTurn, get, sharedService, startPreloaded } from '@afterspan/testing'
import { expect } from 'vitest'
import { appFile, listening } from './app.ts'
import { untilAnswer } from './until-answer.ts'

const apps = { cjs: appFile('node-redis.cjs'), mjs: appFile('node-redis.mjs') }
const FOREIGN = { headers: { 'x-forwarded-for': '203.0.113.9' } }

const server = sharedService('redis')

formatsInTurn('a client of node-redis is found, and unready while every write is refused', apps, async (scenario) => {
  const found = server(scenario.context)
  const env = { REDIS_URL: found.url, AFTERSPAN_HEALTH_INTERVAL: '300' }
  const child = startPreloaded({ app: scenario.app, node: scenario.node.path, env })
  const url = await listening(child)
  const admin = await child.adminUrl()
  const until = (status: number, text: string): Promise<string> => untilAnswer(`${admin}/readyz?verbose`, status, text)
  const command = async (text: string): Promise<string> =>
    (await get(`${url}/?command=${encodeURIComponent(text)}`)).text
  await until(200, '[+]redis ok')
  expect(JSON.parse((await get(`${admin}/health`)).text)).toMatchObject({
    checks: {
      'redis:responseTime': [
        { status: 'pass', componentType: 'datastore', madeAt: expect.stringMatching(/node-redis-app\.cjs:5$/) },
      ],
    },
  })

  await command('REPLICAOF 127.0.0.1 1')
  expect(await command('PING')).toBe('"PONG"')
  await until(503, '[-]redis failed: READONLY: READONLY You can')
  expect((await get(`${admin}/livez`)).status).toBe(200)
  const seenByOthers = await get(`${admin}/health`, FOREIGN)
  expect([seenByOthers.status, JSON.parse(seenByOthers.text)]).toMatchObject([
    503,
    { checks: { 'redis:responseTime': [{ status: 'fail', code: 'READONLY' }] } },
  ])
  expect(seenByOthers.text).not.toMatch(/127\.0\.0\.1|You can|madeAt|:\d{4,5}/)
  await command('REPLICAOF NO ONE')
  await until(200, '[+]redis ok')
  expect(await command('CLIENT LIST')).toMatch(/^"id=[^\n]*"$/) // of one connection: the app's own
  expect(child.stderr.replace(/^\[afterspan\] AFS_HEALTH_CHANGED redis .*\n/gm, '')).toBe('')
  await child.stop()
})
