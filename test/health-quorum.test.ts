// Two instances of one service, each on a host of its own, with one ledger.
import {
  faultyProxy,
  get,
  pollUntil,
  sharedService,
  startPreloaded,
  type FaultyProxy,
  type PreloadedApp,
} from '@afterspan/testing'
import pg from 'pg'
import { expect, test } from 'vitest'
import { appFile, listening } from './app.ts'

const found = sharedService('postgres')
const ledger = sharedService('postgres')

interface Instance {
  readonly admin: string
  readonly child: PreloadedApp
  readonly proxy: FaultyProxy
}

test('what is down for all instances is a warning, what is down for one alone takes it out', async (context) => {
  const server = found(context)
  const { url: ledgerUrl } = ledger(context)
  const start = async (): Promise<Instance> => {
    const proxy = await faultyProxy(server)
    const env = {
      AFTERSPAN_HEALTH_INTERVAL: '500',
      AFTERSPAN_HEALTH_SHARED: 'quorum',
      AFTERSPAN_LEDGER_URL: ledgerUrl,
      DATABASE_URL: server.url.replace(`:${server.port}`, `:${proxy.port}`),
      OTEL_SERVICE_NAME: 'shop',
    }
    const child = startPreloaded({ app: appFile('clients.cjs'), env })
    expect((await get(await listening(child))).status).toBe(200)
    return { admin: await child.adminUrl(), child, proxy }
  }
  const until = async ({ admin }: Instance, status: number, line: RegExp): Promise<void> => {
    await pollUntil(
      async () => {
        const reply = await get(`${admin}/readyz?verbose`)
        return reply.status === status && line.test(reply.text)
      },
      { timeoutMs: 30_000, what: `/readyz to be ${status} with ${line}` },
    )
  }
  const votes = new pg.Pool({ connectionString: ledgerUrl, max: 1 })
  /** How many of the two say so in the ledger. */
  const untilVotes = async (expected: { readonly down: number; readonly up: number }): Promise<void> => {
    await pollUntil(
      async () => {
        const { rows } = await votes.query<{ view: string }>('SELECT view FROM afterspan.vote')
        const says = (word: 'down' | 'up'): number =>
          rows.filter(({ view }) => (JSON.parse(view) as Record<string, string[]>)[word]!.includes('postgresql')).length
        return says('down') === expected.down && says('up') === expected.up
      },
      { timeoutMs: 30_000, what: `votes to be ${JSON.stringify(expected)}` },
    )
  }
  const [one, other] = [await start(), await start()]
  for (const each of [one, other]) await until(each, 200, /^\[\+\]postgresql ok/m)
  await untilVotes({ down: 0, up: 2 })

  await one.proxy.set('refuse')
  await until(one, 503, /^\[-\]postgresql failed: ECONNREFUSED/m)
  await untilVotes({ down: 1, up: 1 })
  expect((await get(`${one.admin}/readyz`)).status).toBe(503)
  expect((await get(`${other.admin}/readyz`)).status).toBe(200)

  await other.proxy.set('refuse')
  for (const each of [one, other]) {
    await until(each, 200, /^\[\+\]postgresql warn: ECONNREFUSED/m)
    expect(JSON.parse((await get(`${each.admin}/health`)).text)).toMatchObject({
      status: 'warn',
      checks: { 'postgresql:responseTime': [{ status: 'warn', code: 'ECONNREFUSED', shared: 'open' }] },
    })
  }

  await other.proxy.set('none')
  await until(other, 200, /^\[\+\]postgresql ok/m)
  await until(one, 503, /^\[-\]postgresql failed: ECONNREFUSED/m)
  await one.proxy.set('none')
  await until(one, 200, /^\[\+\]postgresql ok/m)
  for (const { child, proxy } of [one, other]) {
    expect(child.stderr.replace(/^\[afterspan\] AFS_HEALTH_CHANGED postgresql .*\n/gm, '')).toBe('')
    await child.stop()
    await proxy.stop()
  }
  await votes.end()
})

test('without a ledger that they share it says so, and an instance that cannot reach it is out', async (context) => {
  const proxy = await faultyProxy(found(context))
  const { url, port } = found(context)
  const env = { AFTERSPAN_HEALTH_SHARED: 'quorum', DATABASE_URL: url.replace(`:${port}`, `:${proxy.port}`) }
  const child = startPreloaded({ app: appFile('clients.cjs'), env })
  const admin = await child.adminUrl()
  await child.waitForLine(/AFS_CONFIG_INVALID AFTERSPAN_HEALTH_SHARED=quorum needs AFTERSPAN_LEDGER_URL/)
  await pollUntil(async () => (await get(`${admin}/readyz`)).status === 200)
  await proxy.set('refuse')
  const out = await pollUntil(async () => {
    const reply = await get(`${admin}/readyz?verbose`)
    return reply.status === 503 && reply.text
  })
  expect(out).toContain('[-]postgresql failed: ECONNREFUSED')
  await child.stop()
  await proxy.stop()
})
