import { createServer, type Server as HttpServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { setTimeout as delay } from 'node:timers/promises'
import {
  faultyProxy,
  get,
  pollUntil,
  present,
  service,
  startPreloaded,
  type Fault,
  type FaultyProxy,
  type MissingServer,
  type PreloadedApp,
  type Server,
} from '@afterspan/testing'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { appFile, listening } from './app.ts'

const FOREIGN = { headers: { 'x-forwarded-for': '203.0.113.9' } }
const CHECKS = ['mysql', 'nats', 'payments', 'postgresql', 'postgresql-2', 'redis', 'redis-2']
const USES = ['/ioredis', '/mysql', '/nats', '/pg', '/postgres-js', '/redis']
/** What each reply must keep, whatever happens behind it. */
const REPLY_MS = 2000

const servers: Record<'mariadb' | 'nats' | 'postgres' | 'redis', Server | MissingServer> = Object.create(null)
let payments: HttpServer
beforeAll(async () => {
  payments = createServer((_, response) =>
    response.setHeader('content-type', 'application/json').end('{"status":"up"}'),
  )
  await new Promise<void>((resolve) => payments.listen(0, '127.0.0.1', resolve))
  await Promise.all(
    (['mariadb', 'nats', 'postgres', 'redis'] as const).map(async (name) => {
      servers[name] = await service(name)
    }),
  )
})
afterAll(async () => {
  payments.close()
  await Promise.all(Object.values(servers).map(async (server) => 'missing' in server || server.stop()))
})

interface Bundle {
  readonly admin: string
  readonly child: PreloadedApp
  readonly proxies: Readonly<Record<string, FaultyProxy>>
  readonly url: string
  set(fault: Fault): Promise<void>
  /** The lines of /readyz?verbose once each check has its own, by its name or by '*'. */
  until(status: number, lines: Readonly<Record<string, RegExp>>): Promise<void>
  stop(): Promise<void>
}

/** The app, with a proxy before each of its servers, all of them well. */
async function start(context: { skip(reason: string): never | void }): Promise<Bundle> {
  const to = { http: { host: '127.0.0.1', port: (payments.address() as AddressInfo).port } }
  const proxies: Record<string, FaultyProxy> = { http: await faultyProxy(to.http) }
  for (const [name, server] of Object.entries(servers)) proxies[name] = await faultyProxy(present(server, context))
  const env = {
    AFTERSPAN_HEALTH_INTERVAL: '500',
    AFTERSPAN_HEALTH_TIMEOUT: '500',
    ...Object.fromEntries(Object.entries(proxies).map(([name, { port }]) => [`${name.toUpperCase()}_PORT`, `${port}`])),
  }
  const child = startPreloaded({ app: appFile('network.cjs'), env })
  const url = await listening(child)
  const admin = await child.adminUrl()
  const bundle: Bundle = {
    admin,
    child,
    proxies,
    url,
    async set(fault) {
      for (const proxy of Object.values(proxies)) await proxy.set(fault)
    },
    async until(status, lines) {
      await pollUntil(
        async () => {
          const { status: its, text } = await get(`${admin}/readyz?verbose`)
          const all = text.split('\n')
          const lineOf = (name: string): string =>
            all.find((line) => new RegExp(`^\\[.\\]${name}[ :]`).test(line)) ?? ''
          return its === status && CHECKS.every((name) => (lines[name] ?? lines['*']!).test(lineOf(name)))
        },
        { timeoutMs: 30_000, what: `/readyz to be ${status} with ${Object.values(lines).join(' ')}` },
      )
    },
    async stop() {
      await child.stop()
      for (const proxy of Object.values(proxies)) await proxy.stop()
    },
  }
  await use(bundle)
  await use(bundle) // a pool of mysql2/promise is known from its second use on
  await bundle.until(200, { '*': /^\[\+\]\S+ ok/ })
  return bundle
}

async function use({ url }: Bundle): Promise<void> {
  for (const path of USES) expect([path, (await get(`${url}${path}`)).status]).toEqual([path, 200])
}

/** Asks all the time, as balancers do; what is returned says what was wrong with the replies. */
function watchReplies(admin: string): () => Promise<string[]> {
  const wrong: string[] = []
  let isOver = false
  const ask = async (path: string, expected: readonly number[], options: object): Promise<void> => {
    try {
      const { status } = await get(`${admin}${path}`, { ...options, timeoutMs: REPLY_MS })
      if (!expected.includes(status)) wrong.push(`${path} was ${status}`)
    } catch (error) {
      wrong.push(`${path} ${String(error)}`)
    }
  }
  const watching = (async () => {
    for (let i = 0; !isOver; i++) {
      const reader = i % 2 === 0 ? {} : FOREIGN
      await Promise.all([
        ask('/livez', [200], reader),
        ask('/readyz', [200, 503], reader),
        ask('/health', [200, 503], reader),
      ])
      await delay(50)
    }
  })()
  return async () => {
    isOver = true
    await watching
    return wrong
  }
}

/** How often this check has been asked, and has ended. */
async function rounds(admin: string, check: string): Promise<number> {
  const { text } = await get(`${admin}/metrics`)
  const line = new RegExp(`^afterspan_health_check_duration_seconds_count\\{[^}]*name="${check}"[^}]*\\} (\\d+)`, 'm')
  return Number(line.exec(text)?.[1] ?? 0)
}

type Counts = Readonly<
  Record<'mysql' | 'pg', { readonly total: number; readonly idle: number; readonly waiting: number }>
>
async function counts(url: string): Promise<Counts> {
  return JSON.parse((await get(`${url}/counts`)).text) as Counts
}

const SILENT = {
  '*': /^\[-\]\S+ failed: timeout/,
  nats: /^\[-\]nats failed: (?:connection_lost|not_connected|timeout)/,
}
const FAULTS: readonly { name: string; fault: Fault; shown: Readonly<Record<string, RegExp>> }[] = [
  { name: 'swallows every byte', fault: 'swallow', shown: SILENT },
  { name: 'holds every byte back', fault: 'hold', shown: SILENT },
  { name: 'is slower than the deadline', fault: { delayMs: 1500 }, shown: SILENT },
  { name: 'lets answers through byte by byte', fault: { trickleMs: 100 }, shown: SILENT },
  {
    name: 'breaks each connection off',
    fault: 'reset',
    shown: {
      '*': /^\[-\]\S+ failed: (?:ECONNRESET|connection_lost|not_connected)/,
      'postgresql-2': /^\[-\]\S+ failed: /,
    },
  },
  {
    name: 'refuses connections',
    fault: 'refuse',
    shown: { '*': /^\[-\]\S+ failed: (?:ECONNREFUSED|not_connected)/, 'postgresql-2': /^\[-\]\S+ failed: / },
  },
]

describe.concurrent.each(FAULTS)('a way to the servers that $name', ({ fault, shown }) => {
  test('is told by each check, holds no reply, fills no pool, and is well again when it is over', async (context) => {
    const bundle = await start(context)
    const { admin, url } = bundle
    const endWatch = watchReplies(admin)
    await bundle.set(fault)
    await bundle.until(503, shown)

    const body = JSON.parse((await get(`${admin}/health`)).text) as { checks: Record<string, [object]> }
    const seen = JSON.parse((await get(`${admin}/health`, FOREIGN)).text) as typeof body
    for (const check of CHECKS) {
      expect(body.checks[`${check}:responseTime`]).toMatchObject([
        {
          status: 'fail',
          lastPass: expect.any(String),
          madeAt: expect.stringContaining('network.cjs:'),
        },
      ])
      expect(seen.checks[`${check}:responseTime`]).toEqual([{ status: 'fail', code: expect.any(String) }])
    }
    expect(Object.keys(seen)).toEqual(['status', 'checks'])

    const before = await rounds(admin, 'mysql')
    const later = await pollUntil(async () => (await rounds(admin, 'mysql')) >= before + 6 && counts(url), {
      timeoutMs: 30_000,
      what: 'six more rounds',
    })
    for (const pool of Object.values(later)) {
      expect(pool.total).toBeLessThanOrEqual(1)
      expect(pool.waiting).toBe(0)
    }

    await bundle.set('none')
    if (fault === 'swallow') await lost(bundle)
    await bundle.until(200, {
      '*': /^\[\+\]\S+ ok/,
      'postgresql-2': /^\[\+\]postgresql-2 (?:ok|warn: connection_lost)/,
    })
    await use(bundle)
    await pollUntil(
      async () => {
        expect(await leftOver(bundle)).toEqual([])
        return true
      },
      { timeoutMs: 20_000, what: 'the connections to be those of the app' },
    )
    expect(await endWatch()).toEqual([])
    expect(bundle.child.stderr.replace(/^\[afterspan\] AFS_HEALTH_CHANGED .*\n/gm, '')).toBe('')
    await bundle.stop()
  })
})

/** What is open beside the connections that the app itself has used at once, and one that the probe may have had then. */
async function leftOver({ proxies, url }: Bundle): Promise<string[]> {
  // nats itself leaves those open that it gave up before they were greeted.
  const most: Record<string, number> = { http: 0, mariadb: 2, nats: Infinity, postgres: 2 + 3, redis: 2 }
  const pools = Object.entries(await counts(url)).filter(([, { idle, total, waiting }]) => idle < total || waiting > 0)
  const open = Object.entries(proxies).filter(([name, { connections }]) => connections > most[name]!)
  return [
    ...pools.map(([name, counted]) => `${name} ${JSON.stringify(counted)}`),
    ...open.map(([name, { connections }]) => `${name} ${connections}`),
  ]
}

/** Clients without deadlines of their own wait on a connection that lost their bytes until it breaks: health says so all the while. */
async function lost({ admin, proxies }: Bundle): Promise<void> {
  await pollUntil(async () => /\[\+\]mysql ok/.test((await get(`${admin}/readyz?verbose`)).text), {
    timeoutMs: 20_000,
    what: 'mysql to be well',
  })
  expect((await get(`${admin}/readyz?verbose`)).text).toMatch(
    /\[-\]redis failed: timeout[^]*\[-\]redis-2 failed: timeout/,
  )
  await proxies['redis']!.set('reset')
  await proxies['redis']!.set('none')
}
