import { execFileSync } from 'node:child_process'
import { join } from 'node:path'
import {
  get,
  nodesUnderTest,
  pollUntil,
  present,
  repositoryRoot,
  service,
  sharedService,
  startPreloaded,
} from '@afterspan/testing'
import { startOtlpSink } from 'afterspan/internal'
import { Client } from 'pg'
import { expect, test } from 'vitest'
import { appFile, listening, traceIdOf } from './app.ts'
import { untilAnswer } from './until-answer.ts'

const app = appFile('health-changes.cjs')
const CLI = join(repositoryRoot(), 'packages/afterspan/bin/afterspan.js')

const server = sharedService('postgres')

function cli(...args: string[]): string {
  return execFileSync(process.execPath, [CLI, ...args], { encoding: 'utf8', env: { PATH: process.env['PATH'] } })
}

test.for(nodesUnderTest())(
  'a change of health is one span, one line and one report: Node $major',
  async (node, context) => {
    const found = server(context)
    const sink = await startOtlpSink()
    const child = startPreloaded({
      app,
      node: node.path,
      sink,
      env: { DATABASE_URL: found.url, OTEL_SERVICE_NAME: 'shop', AFTERSPAN_HEALTH_INTERVAL: '500' },
    })
    const url = await listening(child)
    const admin = await child.adminUrl()
    const before = traceIdOf(await get(`${url}/orders/1`))
    expect((await get(`${url}/wrong`)).text).toBe('42703') // an error, and none of the server's
    await pollUntil(async () => (await get(`${admin}/readyz/postgresql`)).text === 'ok')
    await found.freeze()
    const waiting = get(`${url}/orders/2`, { timeoutMs: 60_000 })
    const [, changed] = await child.waitForLine(/^changed (?=.*"from":"pass")(?=.*"to":"fail")(.*)$/)
    const change = JSON.parse(changed!)
    const body = await pollUntil(async () => {
      const { text } = await get(`${admin}/health`)
      return text.includes('affectedEndpoints') && JSON.parse(text)
    })
    const seenByOthers = await get(`${admin}/health`, { headers: { 'x-forwarded-for': '203.0.113.9' } })
    const ofSpring = await get(`${admin}/health?format=spring`)
    await found.thaw()
    const shown = traceIdOf(await waiting)
    const [, changedBack] = await child.waitForLine(/^changed (?=.*"from":"fail")(?=.*"to":"pass")(.*)$/)
    const back = JSON.parse(changedBack!)

    expect(change).toMatchObject({
      name: 'postgresql',
      code: 'timeout',
      madeAt: expect.stringMatching(/health-changes\.cjs:6$/),
      evidence: [{ trace: { traceId: shown }, waitingMs: expect.any(Number) }],
    })
    expect(body.checks['postgresql:responseTime'][0]).toMatchObject({
      // Also the one that fails by a statement of its own: it uses the database too.
      affectedEndpoints: expect.arrayContaining(['/orders/{id}', '/wrong']),
      trace: change.trace.traceId,
      evidence: [{ trace: shown, waitingMs: expect.any(Number) }],
    })
    expect(seenByOthers.text).not.toMatch(/orders|[0-9a-f]{32}/)
    expect(ofSpring.headers).toMatchObject({ 'content-type': 'application/vnd.spring-boot.actuator.v3+json' })
    expect(JSON.parse(ofSpring.text)).toMatchObject({ status: 'DOWN', components: { postgresql: { status: 'DOWN' } } })
    const spanOf = ({ trace }: { trace: { traceId: string } }) => sink.trace(trace.traceId)[0]!
    await sink.waitFor(() => sink.trace(back.trace.traceId).length > 0)
    expect(spanOf(change)).toMatchObject({
      name: 'health postgresql fail',
      kind: 'internal',
      status: { code: 'error' },
      links: [{ traceId: shown, spanId: change.evidence[0].trace.spanId }],
      attributes: { 'afterspan.health.code': 'timeout', 'error.type': 'timeout' },
    })
    expect(spanOf(change).parentSpanId).toBeUndefined()
    await sink.waitFor(() => sink.trace(shown).some(({ kind }) => kind === 'server'))
    expect(sink.trace(shown).find(({ kind }) => kind === 'server')!.spanId).toBe(spanOf(change).links[0]!.spanId)
    expect(spanOf(back)).toMatchObject({ name: 'health postgresql pass', status: { code: 'unset' } })
    expect(spanOf(back).endMs - spanOf(back).startMs).toBeGreaterThanOrEqual(1000) // the whole trouble

    const lineOf = ({ trace }: { trace: { traceId: string } }) =>
      child.stderr.split('\n').find((line) => line.endsWith(` trace ${trace.traceId}`))
    expect(lineOf(change)).toMatch(
      /^\[afterspan\] AFS_HEALTH_CHANGED postgresql turned from pass to fail: timeout: .* 1 of the app's own calls showed it, the first in trace [0-9a-f]{32}\. trace /,
    )
    expect(lineOf(change)).toContain(shown)
    expect(lineOf(back)).toMatch(
      /^\[afterspan\] AFS_HEALTH_CHANGED postgresql is well again after [\d.]+ s; it was fail \(timeout\)\. trace /,
    )
    const told = child.stdout.match(/^told .*/gm)!.map((line) => JSON.parse(line.slice('told '.length)))
    const reportOf = ({ trace }: { trace: { traceId: string } }) =>
      told.find(({ health }) => health.trace.traceId === trace.traceId)
    expect(reportOf(change)).toMatchObject({
      kind: 'health_changed',
      trace: { traceId: shown },
      failure: { type: 'timeout' },
      health: { to: 'fail' },
    })
    expect(reportOf(back)).toMatchObject({
      kind: 'health_changed',
      health: { from: 'fail', to: 'pass', previousCode: 'timeout' },
    })

    // Rounds that went well have left nothing: what is there is the app's.
    const others = sink.spans().filter(({ name }) => !name.startsWith('health '))
    expect(others.filter(({ traceId }) => traceId === before).length).toBeGreaterThan(0)
    expect(others.filter(({ kind, parentSpanId }) => kind !== 'server' && !parentSpanId)).toEqual([])
    // Each change once in each way; on a slow machine there may be more of them.
    const changes = child.stdout.match(/^changed \{"name":"postgresql"/gm)!.length
    expect(child.stderr.match(/^\[afterspan\] AFS_HEALTH_CHANGED postgresql /gm)).toHaveLength(changes)
    await sink.waitFor(
      () => sink.spans().filter(({ name }) => name.startsWith('health postgresql ')).length === changes,
    )
    await child.stop()
    await sink.close()
  },
)

test('a server that is gone is found by the app’s own requests, long before the next round', async (context) => {
  const gone = present(await service('postgres'), context)
  const child = startPreloaded({ app, env: { DATABASE_URL: gone.url, AFTERSPAN_HEALTH_INTERVAL: '600000' } })
  const url = await listening(child)
  const admin = await child.adminUrl()
  await get(`${url}/orders/1`)
  await pollUntil(async () => (await get(`${admin}/readyz/postgresql`)).text === 'ok')
  await gone.stop()
  await pollUntil(
    async () => {
      await get(`${url}/orders/2`)
      return (await get(`${admin}/readyz`)).status === 503
    },
    { timeoutMs: 30_000, what: '/readyz to be 503' },
  )
  const { code, evidence } = JSON.parse((await child.waitForLine(/^changed (.*"to":"fail".*)$/))[1]!)
  expect(code).toBe('ECONNREFUSED')
  expect(evidence[0]).toMatchObject({ route: '/orders/:id' })
  await child.stop()
})

test('the last changes survive a kill', async (context) => {
  const found = server(context)
  const env = { DATABASE_URL: found.url, OTEL_SERVICE_NAME: 'shop', AFTERSPAN_HEALTH_INTERVAL: '500' }
  const child = startPreloaded({ app, env })
  const url = await listening(child)
  const admin = await child.adminUrl()
  await get(`${url}/orders/1`)
  await pollUntil(async () => (await get(`${admin}/readyz/postgresql`)).text === 'ok')
  expect(cli('health', '--url', admin)).toMatch(/^shop: pass\n.* {2}postgresql +pass {2}required {2}since 2/s)
  expect(cli('health', 'explain', '--dir', child.ledgerDir)).toMatch(/^no change of health is known/)

  await found.freeze()
  await child.waitForLine(/^changed .*"to":"fail"/)
  await found.thaw()
  await child.waitForLine(/^changed .*"to":"pass"/)
  const living = cli('health', 'explain', '--dir', child.ledgerDir)
  expect(living).toMatch(/^shop pid \d+ \(running\)\n {2}\S+(?: \(optional\))?\n/)
  expect(living).toMatch(/ pass to fail \(timeout\), told in trace [0-9a-f]{32}\n/)
  expect(living).toMatch(/ well again after \d+\.\d s, told in trace [0-9a-f]{32}\n/)

  const fails = (): number => child.stdout.match(/^changed \{"name":"postgresql".*"to":"fail"/gm)?.length ?? 0
  const failsBefore = fails()
  await found.freeze()
  await pollUntil(() => fails() > failsBefore, { timeoutMs: 20_000, what: 'the next change' })
  child.signal('SIGKILL')
  await child.exit
  await found.thaw()
  const dead = cli('health', 'explain', '--dir', child.ledgerDir)
  expect(dead).toMatch(/^shop pid \d+ \(gone\)\n/)
  expect(dead).toMatch(/ it was not well again\n/)
  expect(dead).toMatch(/ {2}when it was last heard of: .*postgresql fail.*\n$/)
  expect(JSON.parse(cli('health', 'explain', '--json', '--dir', child.ledgerDir))).toMatchObject([
    {
      service: 'shop',
      pid: child.pid,
      process: 'dead',
      now: { postgresql: 'fail' },
      episodes: expect.arrayContaining([
        expect.objectContaining({ check: 'postgresql', lasted_ms: expect.any(Number) }),
      ]),
    },
  ])
})

test('a full disk under a server that answers every reader is told by what the app’s own writes are refused', async (context) => {
  const { url: DATABASE_URL } = server(context)
  const operator = new Client(DATABASE_URL)
  await operator.connect()
  const saving = (body: string): Promise<unknown> =>
    operator.query(`CREATE OR REPLACE FUNCTION save_order() RETURNS void LANGUAGE plpgsql AS $$BEGIN ${body} END$$`)
  await saving("RAISE EXCEPTION 'could not extend file' USING ERRCODE = 'disk_full';")
  const child = startPreloaded({ app, env: { DATABASE_URL, AFTERSPAN_HEALTH_INTERVAL: '500' } })
  try {
    const url = await listening(child)
    const admin = await child.adminUrl()
    const ask = async (path: string): Promise<string> => (await get(`${url}${path}`)).text
    await ask('/orders/1')
    await untilAnswer(`${admin}/readyz?verbose`, 200, '[+]postgresql ok')
    expect([await ask('/save'), await ask('/save')]).toEqual(['53100', '53100'])
    await ask('/orders/1') // a reader is served
    await untilAnswer(`${admin}/readyz?verbose`, 503, '[-]postgresql failed: 53100')
    const told = JSON.parse((await get(`${admin}/health`)).text)
    expect(told.checks['postgresql:responseTime']).toMatchObject([
      { cause: 'dependency', evidence: [{ route: '/save', error: '53100' }, {}], affectedEndpoints: expect.any(Array) },
    ])
    expect((await get(`${admin}/livez`)).status).toBe(200)
    await saving('')
    expect(await ask('/save')).toBe('saved')
    await untilAnswer(`${admin}/readyz?verbose`, 200, '[+]postgresql ok')
  } finally {
    await child.stop()
    await operator.query('DROP FUNCTION save_order')
    await operator.end()
  }
})
