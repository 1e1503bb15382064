import { get, nodesUnderTest, pollUntil, present, service, startPreloaded } from '@afterspan/testing'
import { describe, expect, test } from 'vitest'
import { appFile, listening } from './app.ts'

const app = appFile('stall.cjs')
const JSON_WANTED = { headers: { accept: 'application/json' } }
const FOREIGN = { headers: { 'x-forwarded-for': '203.0.113.9' } }

describe.each(nodesUnderTest())('on Node $major', ({ path: node }) => {
  test('/livez tells the JavaScript that blocks the main thread while it blocks', async () => {
    const child = startPreloaded({ app, node })
    const url = await listening(child)
    const admin = await child.adminUrl()
    expect((await get(`${admin}/livez`)).text).toBe('ok')
    // Longer than the poll below may take: whatever it finds, it finds during the block.
    void get(`${url}/javascript?ms=60000`).catch(() => {})
    await child.waitForLine(/^blocking$/)
    const livez = await pollUntil(
      async () => {
        const answer = await get(`${admin}/livez?verbose`)
        expect(answer.status).toBe(200)
        return answer.text.includes('    at ') && answer.text
      },
      { timeoutMs: 20_000, what: 'the stack of the main thread' },
    )
    expect(livez).toMatch(/^\[\+\]main-thread warn: silent for \d+ ms$/m)
    expect(livez).toMatch(/^ {4}at \S+ \(.*stall\.cjs:\d+\)$/m) // addUp, or where V8 has put it in line
    expect(JSON.parse((await get(`${admin}/livez`, JSON_WANTED)).text)).toMatchObject({
      status: 'warn',
      checks: {
        'main-thread:silence': [{ stack: expect.arrayContaining([expect.stringMatching(/stall\.cjs:\d+\)$/)]) }],
      },
    })
    expect((await get(`${admin}/livez`)).text).toBe('ok')
    expect((await get(`${admin}/livez?verbose`, FOREIGN)).text).not.toContain('stall.cjs')
    await child.stop()
  })

  test('a process that leaves while its stack is taken says nothing of a debugger and keeps its exit code', async () => {
    const child = startPreloaded({ app, node })
    const url = await listening(child)
    const admin = await child.adminUrl()
    // The stack is taken about 1.5 to 2 s after the block began; whenever this one ends, the exit is a plain one.
    void get(`${url}/javascript?ms=1900&exit`).catch(() => {})
    await child.waitForLine(/^blocking$/)
    expect((await get(`${admin}/livez`)).status).toBe(200)
    expect(await child.exit).toEqual({ code: 7, signal: null })
    expect(child.stderr).toBe('')
  })
})

test('/livez says that no JavaScript runs where a synchronous call blocks, and asks for a restart after AFTERSPAN_HEALTH_STALL', async () => {
  const child = startPreloaded({ app, env: { AFTERSPAN_HEALTH_STALL: '3000' } })
  const url = await listening(child)
  const admin = await child.adminUrl()
  void get(`${url}/native?ms=6000`).catch(() => {})
  await child.waitForLine(/^blocking$/)
  const until = (status: number): Promise<string> =>
    pollUntil(
      async () => {
        const answer = await get(`${admin}/livez?verbose`)
        return answer.status === status && answer.text
      },
      { timeoutMs: 20_000, what: `/livez to be ${status}` },
    )
  expect(await until(503)).toMatch(/^\[-\]main-thread failed: silent for \d+ ms\n {4}no JavaScript is running/)
  await until(200)
  await pollUntil(async () => (await get(`${admin}/livez`, JSON_WANTED)).text.includes('main-thread:lastStall'), {
    timeoutMs: 10_000,
    what: 'the stall that is over to be told',
  })
  await child.stop()
})

test('/livez asks for a restart where the pool is dead and its server is not; a server that is down never turns it', async (context) => {
  const server = present(await service('postgres'), context)
  const env = {
    DATABASE_URL: server.url,
    AFTERSPAN_HEALTH_INTERVAL: '500',
    AFTERSPAN_HEALTH_TIMEOUT: '500',
    AFTERSPAN_HEALTH_DEAD_POOL: '1000',
  }
  const child = startPreloaded({ app: appFile('leak.cjs'), env })
  try {
    const url = await listening(child)
    const admin = await child.adminUrl()
    const until = (path: string, status: number, text = ''): Promise<string> =>
      pollUntil(
        async () => {
          const answer = await get(`${admin}${path}`)
          return answer.status === status && answer.text.includes(text) && answer.text
        },
        { timeoutMs: 30_000, what: `${path} to be ${status} ${text}` },
      )
    await until('/readyz', 200)

    await server.freeze()
    await get(`${url}/want`)
    await until('/readyz?verbose', 503, '[-]postgresql failed: ')
    // In all the time that a dead pool would take to be found, and more.
    const frozenAt = performance.now()
    while (performance.now() - frozenAt < 5000) {
      expect((await get(`${admin}/livez`)).status).toBe(200)
      await get(`${url}/want`)
    }
    await server.thaw()
    await until('/readyz', 200)

    await get(`${url}/leak`)
    await get(`${url}/want`)
    const told = await until('/livez', 503)
    expect(told).toMatch(
      /^\[\+\]main-thread ok\n\[-\]postgresql failed: pool_dead: the pool has given nothing for \d+ ms/,
    )
    expect((await get(`${admin}/livez`, FOREIGN)).text).toContain('[-]postgresql failed: reason withheld\n')
    expect(await until('/health', 503)).toMatch(/"postgresql:heldAt":\[\{"observedValue":"[^"]*leak\.cjs:\d+"/)
    expect((await get(`${admin}/health`, FOREIGN)).text).not.toContain('leak.cjs')
    await get(`${url}/free`)
    await until('/livez', 200)
    await until('/readyz', 200)
  } finally {
    await child.stop()
    await server.stop()
  }
})
