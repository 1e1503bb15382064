import { get, pollUntil, sharedService, startPreloaded } from '@afterspan/testing'
import { createConnection } from 'mysql2/promise'
import { describe, expect, test } from 'vitest'
import { appFile, listening } from './app.ts'
import { untilAnswer } from './until-answer.ts'

const FOREIGN = { headers: { 'x-forwarded-for': '203.0.113.9' } }

const server = sharedService('mariadb')

describe.each([
  { api: 'mysql2', file: 'mysql.cjs' },
  { api: 'mysql2/promise', file: 'mysql.mjs' },
])('a pool of $api', ({ file }) => {
  test('is found, and judged by what its server and the pool itself refuse', async (context) => {
    const found = server(context)
    const env = {
      DATABASE_URL: found.url,
      AFTERSPAN_HEALTH_INTERVAL: '500',
      AFTERSPAN_HEALTH_TIMEOUT: '500',
      AFTERSPAN_HEALTH_DEAD_POOL: '1000',
    }
    const child = startPreloaded({ app: appFile(file), env })
    const url = await listening(child)
    const admin = await child.adminUrl()
    const until = (status: number, text: string): Promise<string> =>
      untilAnswer(`${admin}/readyz?verbose`, status, text)
    const ask = async (path: string): Promise<void> => {
      expect(await get(`${url}${path}`)).toMatchObject({ status: 200 })
    }
    await ask('/')
    await ask('/') // where only mysql2/promise is loaded, a pool is known from its second use on
    await until(200, '[+]mysql ok')
    const full = await get(`${admin}/health`)
    expect(JSON.parse(full.text)).toMatchObject({
      checks: { 'mysql:responseTime': [{ componentType: 'datastore', madeAt: expect.stringContaining('mysql') }] },
    })

    await ask('/read-only')
    await until(503, '[-]mysql failed: read_only')
    await ask('/read-write')
    await until(200, '[+]mysql ok')

    // A backup, or an operator, has locked every table: every reader is served, and every write waits.
    const operator = await createConnection(found.url)
    await operator.query('CREATE TABLE IF NOT EXISTS writes (n INT)')
    await operator.query('FLUSH TABLES WITH READ LOCK')
    const writing = ask('/write')
    await until(503, '[-]mysql failed: locked: statements of the app wait for a lock on the whole server')
    await operator.query('UNLOCK TABLES')
    await writing
    await until(200, '[+]mysql ok')
    await operator.end()

    await ask('/hold')
    await until(503, '[-]mysql failed: pool_exhausted')
    // Who holds them is said; and that a restart would help, once somebody wants one and the server has shown that it is well.
    const waiting = ask('/')
    await untilAnswer(`${admin}/livez?verbose`, 503, '[-]mysql failed: pool_dead: the pool has given nothing for ')
    expect((await get(`${admin}/health`)).text).toMatch(/"mysql:heldAt":\[\{"observedValue":"[^"]*mysql-app\.cjs:\d+"/)
    expect((await get(`${admin}/health`, FOREIGN)).text).not.toContain('mysql-app.cjs')
    await ask('/free')
    await waiting
    await untilAnswer(`${admin}/livez`, 200, '')
    await until(200, '[+]mysql ok')

    await found.freeze()
    await until(503, '[-]mysql failed: timeout')
    expect((await get(`${admin}/livez`)).status).toBe(200)
    const seenByOthers = await get(`${admin}/health`, FOREIGN)
    expect(seenByOthers.text).toContain('timeout')
    expect(seenByOthers.text).not.toMatch(/127\.0\.0\.1|root|:\d{4,5}/)
    await found.thaw()
    await until(200, '[+]mysql ok')
    // Nobody keeps a connection for the probe, and none was left behind: the pool's own two are all.
    await pollUntil(async () => Number(JSON.parse((await get(`${url}/connections`)).text)) <= 2, {
      timeoutMs: 20_000,
      what: 'the connections to be those of the pool',
    })
    // Each trouble and each end of one is said, and nothing else.
    expect(child.stderr.replace(/^\[afterspan\] AFS_HEALTH_CHANGED mysql (?:turned|is well) .*\n/gm, '')).toBe('')
    await child.stop()
  })
})

describe.each([
  { api: 'mysql2', file: 'mysql.cjs' },
  { api: 'mysql2/promise', file: 'mysql.mjs' },
])('a connection of $api that no pool has', ({ file }) => {
  test('is found, and judged by what its server refuses; one that is lost is told of', async (context) => {
    const { url: DATABASE_URL } = server(context)
    const env = { DATABASE_URL, AFTERSPAN_HEALTH_INTERVAL: '300' }
    const child = startPreloaded({ app: appFile(file), env })
    const operator = await createConnection(DATABASE_URL)
    try {
      const url = await listening(child)
      const admin = await child.adminUrl()
      const until = (status: number, text: string): Promise<string> =>
        untilAnswer(`${admin}/readyz?verbose`, status, text)
      const threadId = Number((await get(`${url}/again`)).text)
      expect((await get(`${url}/single`)).text).toBe('[{"one":1}]')
      await until(200, '[+]mysql ok')
      expect(JSON.parse((await get(`${admin}/health`)).text)).toMatchObject({
        checks: { 'mysql:responseTime': [{ madeAt: expect.stringMatching(/mysql(?:-app)?\.[cm]js:\d+$/) }] },
      })
      await operator.query('SET GLOBAL read_only = 1')
      await until(503, '[-]mysql failed: read_only')
      await operator.query('SET GLOBAL read_only = 0')
      await until(200, '[+]mysql ok')
      await operator.query(`KILL ${threadId}`)
      await until(503, '[-]mysql failed: connection_lost')
      expect((await get(`${admin}/livez`)).status).toBe(200)
      const seenByOthers = await get(`${admin}/health`, FOREIGN)
      expect(seenByOthers.text).not.toMatch(/127\.0\.0\.1|mysql(?:-app)?\.[cm]js/)
      await get(`${url}/again`)
      await until(200, '[+]mysql ok')
      expect((await get(`${admin}/health`)).text).not.toContain('mysql-2')

      // Every reader is served while the disk is full: the app's own writes say so, until one of them goes well.
      const saving = (body: string): Promise<unknown> =>
        operator.query(`CREATE OR REPLACE PROCEDURE save_order() ${body}`)
      for (const path of ['/save', '/save-prepared']) {
        await saving("SIGNAL SQLSTATE 'HY000' SET MYSQL_ERRNO = 1114, MESSAGE_TEXT = 'The table is full'")
        for (let i = 0; i < 2; i++) expect((await get(`${url}${path}`)).text).toBe('1114')
        await until(503, '[-]mysql failed: disk_full')
        expect((await get(`${admin}/livez`)).status).toBe(200)
        await saving('DO 1')
        expect((await get(`${url}${path}`)).text).toBe('"saved"')
        await until(200, '[+]mysql ok')
      }
    } finally {
      await operator.query('SET GLOBAL read_only = 0')
      await operator.end()
      await child.stop()
    }
  })
})
