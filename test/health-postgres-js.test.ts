import { formatsInTurn, get, sharedService, startPreloaded } from '@afterspan/testing'
import { expect } from 'vitest'
import { appFile, listening } from './app.ts'
import { untilAnswer } from './until-answer.ts'

const apps = { cjs: appFile('postgres-js.cjs'), mjs: appFile('postgres-js.mjs') }
const FOREIGN = { headers: { 'x-forwarded-for': '203.0.113.9' } }

const server = sharedService('postgres')

formatsInTurn('a pool of postgres.js is found, and judged by what its server refuses', apps, async (scenario) => {
  const found = server(scenario.context)
  const env = { DATABASE_URL: found.url, AFTERSPAN_HEALTH_INTERVAL: '300' }
  const child = startPreloaded({ app: scenario.app, node: scenario.node.path, env })
  const url = await listening(child)
  const admin = await child.adminUrl()
  const until = (status: number, text: string): Promise<string> => untilAnswer(`${admin}/readyz?verbose`, status, text)
  const sql = async (text: string): Promise<string> => (await get(`${url}/?sql=${encodeURIComponent(text)}`)).text
  await until(200, '[+]postgresql warn: not_connected')
  expect(await sql('SELECT 1 AS one')).toBe('[{"one":1}]')
  await until(200, '[+]postgresql ok')
  expect(JSON.parse((await get(`${admin}/health`)).text)).toMatchObject({
    checks: { 'postgresql:responseTime': [{ madeAt: expect.stringMatching(/postgres-js-app\.cjs:5$/) }] },
  })

  await sql('SET SESSION CHARACTERISTICS AS TRANSACTION READ ONLY')
  await until(503, '[-]postgresql failed: read_only')
  expect((await get(`${admin}/livez`)).status).toBe(200)
  const seenByOthers = await get(`${admin}/health`, FOREIGN)
  expect(seenByOthers.text).toContain('read_only')
  expect(seenByOthers.text).not.toMatch(/127\.0\.0\.1|refuses|madeAt|:\d{4,5}/)
  await sql('SET SESSION CHARACTERISTICS AS TRANSACTION READ WRITE')
  await until(200, '[+]postgresql ok')

  // Every reader is served while the disk is full: the app's own writes say so, until one of them goes well.
  const saving = (body: string): Promise<string> =>
    sql(`CREATE OR REPLACE FUNCTION pg_temp.save() RETURNS int LANGUAGE plpgsql AS $$BEGIN ${body} RETURN 1; END$$`)
  await saving("RAISE EXCEPTION 'could not extend file' USING ERRCODE = 'disk_full';")
  for (let i = 0; i < 2; i++) expect(await sql('SELECT pg_temp.save()')).toContain('could not extend file')
  await until(503, '[-]postgresql failed: 53100')
  expect((await get(`${admin}/livez`)).status).toBe(200)
  await saving('')
  expect(await sql('SELECT pg_temp.save()')).toBe('[{"save":1}]')
  await until(200, '[+]postgresql ok')
  expect(child.stderr.replace(/^\[afterspan\] AFS_HEALTH_CHANGED postgresql .*\n/gm, '')).toBe('')
  await child.stop()
})
