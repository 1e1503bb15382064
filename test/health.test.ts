import {
  formatsInTurn,
  get,
  pollUntil,
  present,
  service,
  startPreloaded,
  type MissingServer,
  type Server,
} from '@afterspan/testing'
import { drawTrace, startOtlpSink } from 'afterspan/internal'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { appFile, listening, traceIdOf } from './app.ts'

const apps = { cjs: appFile('clients.cjs'), mjs: appFile('clients.mjs') }

async function until(admin: string, path: string, status: number): Promise<string> {
  return pollUntil(
    async () => {
      const reply = await get(`${admin}${path}`)
      return reply.status === status && reply.text
    },
    { timeoutMs: 15_000, what: `${path} to be ${status}` },
  )
}

describe.each([
  { name: 'postgres', variable: 'DATABASE_URL', value: (server: Server) => server.url, probe: 'postgresql' },
  { name: 'redis', variable: 'REDIS_PORT', value: (server: Server) => String(server.port), probe: 'redis' },
] as const)('a service with a client of $name', ({ name, variable, value, probe }) => {
  let server: Server | MissingServer
  beforeAll(async () => {
    server = await service(name)
  })
  afterAll(async () => {
    if (!('missing' in server)) await server.stop()
  })

  formatsInTurn('is unready while it is frozen, and alive all the time', apps, async ({ app, node, context }) => {
    const found = present(server, context)
    const sink = await startOtlpSink()
    const child = startPreloaded({ app, node: node.path, sink, env: { [variable]: value(found) } })
    const url = await listening(child)
    const admin = await child.adminUrl()
    expect((await get(url)).status).toBe(200)
    await until(admin, '/readyz', 200)
    expect(JSON.parse(await until(admin, '/health', 200))).toMatchObject({
      status: 'pass',
      checks: { [`${probe}:responseTime`]: [{ status: 'pass' }] },
    })

    await found.freeze()
    const text = await until(admin, '/readyz?verbose', 503)
    expect(text).toContain(`[-]${probe} failed: timeout`)
    expect(await until(admin, '/health', 503)).toContain('timeout')
    expect((await get(`${admin}/livez`)).status).toBe(200)
    const seenByOthers = await get(`${admin}/health`, { headers: { 'x-forwarded-for': '203.0.113.9' } })
    expect(seenByOthers.text).not.toMatch(/127\.0\.0\.1|postgres:|:\d{4,5}/)

    await found.thaw()
    await until(admin, '/readyz', 200)
    await until(admin, '/health', 200)

    expect(
      sink
        .spans()
        .map((span) => span.name)
        .filter((span) => span.includes('health') && !/^health \S+ (?:fail|pass)$/.test(span)),
    ).toEqual([])
    await child.stop()
    await sink.close()
  })

  test('probing leaves no spans', async (context) => {
    const found = present(server, context)
    const sink = await startOtlpSink()
    const child = startPreloaded({ app: apps.cjs, sink, env: { [variable]: value(found) } })
    const url = await listening(child)
    const admin = await child.adminUrl()
    await until(admin, '/readyz', 200)
    const traceId = traceIdOf(await get(url))
    await sink.waitFor(() => sink.trace(traceId).some((span) => span.kind === 'server'))
    expect([...new Set(sink.spans().map((span) => span.traceId))]).toEqual([traceId])
    expect(drawTrace(sink.trace(traceId), { stable: true })).toContain('SERVER')
    await child.stop()
    await sink.close()
  })
})

test('a shared database that is down leaves the instances in the load balancer, where that is the policy', async (context) => {
  const found = present(await service('postgres'), context)
  const env = { DATABASE_URL: found.url, AFTERSPAN_HEALTH_SHARED: 'closed,postgresql=open' }
  const child = startPreloaded({ app: apps.cjs, env })
  const url = await listening(child)
  const admin = await child.adminUrl()
  await get(url)
  await until(admin, '/readyz', 200)
  await found.freeze()
  const text = await pollUntil(
    async () => {
      const reply = await get(`${admin}/readyz?verbose`)
      expect(reply.status).toBe(200)
      return reply.text.includes('[+]postgresql warn: timeout') && reply.text
    },
    { timeoutMs: 20_000, what: 'the warning' },
  )
  expect(text).toContain('readyz check passed')
  const full = await get(`${admin}/health`)
  expect(full.status).toBe(200)
  expect(JSON.parse(full.text)).toMatchObject({
    status: 'warn',
    checks: {
      'postgresql:responseTime': [{ status: 'warn', code: 'timeout', criticality: 'required', shared: 'open' }],
    },
  })
  await child.stop()
  await found.stop()
})

test('/livez and /metrics answer while the main thread is blocked', async () => {
  const child = startPreloaded({ app: apps.cjs })
  const url = await listening(child)
  const admin = await child.adminUrl()
  await get(`${admin}/metrics`)
  const blocked = get(`${url}/block?ms=3000`)
  await child.waitForLine(/^blocking$/)
  const [livez, metrics] = await Promise.all([get(`${admin}/livez`), get(`${admin}/metrics`)])
  expect(livez.status).toBe(200)
  expect(metrics.status).toBe(200)
  expect(metrics.text).toContain('# the main thread did not answer')
  await blocked
  await child.stop()
})
