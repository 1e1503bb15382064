import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { formatsInTurn, get, pollUntil, startPreloaded, tempDir } from '@afterspan/testing'
import { startOtlpSink } from 'afterspan/internal'
import { expect, test } from 'vitest'
import { appFile, listening, traceIdOf } from './app.ts'
import { expectReceipt, toldTrace } from './receipts.ts'

const apps = { cjs: appFile('late-timers.cjs'), mjs: appFile('late-timers.mjs') }
const WORK = ['callback', 'module', 'sleep', 'promised']
/** They have run, were called off, or are no work: what the app says then. */
const OTHERS = {
  ran: /ran/,
  slept: /slept/,
  cleared: /cleared/,
  aborted: /AbortError/,
  limit: /./,
  unheld: /./,
  long: /./,
}

function library(): string {
  const folder = join(tempDir('library'), 'node_modules', 'pool')
  mkdirSync(folder, { recursive: true })
  writeFileSync(join(folder, 'index.js'), 'module.exports = (ms) => setTimeout(() => {}, ms)')
  return folder
}

formatsInTurn(
  'timers that a request has left behind are lost with the process; those that have run, were called off, or limit a wait are nothing',
  apps,
  async (scenario) => {
    const sink = await startOtlpSink()
    const ledgerDir = tempDir('ledger')
    const env = { OTEL_SERVICE_NAME: 'web', LIBRARY: library() }
    const common = { node: scenario.node.path, sink, ledgerDir, env }
    const app = startPreloaded({ ...common, app: scenario.app })
    const url = await listening(app)
    const traces = new Map<string, string>()
    for (const way of [...WORK, ...Object.keys(OTHERS)]) traces.set(way, traceIdOf(await get(`${url}/${way}`)))
    for (const line of Object.values(OTHERS)) await app.waitForLine(line)

    const witness = startPreloaded({ ...common, app: scenario.app })
    const admin = await witness.adminUrl()
    await get(`${url}/kill`).catch(() => {})
    await app.exit
    for (const way of WORK)
      await expectReceipt(admin, traces.get(way)!, {
        verdict: 'broken',
        tasks: [
          {
            system: 'process',
            name: 'setTimeout',
            destination: expect.stringMatching(/^late-timers-app\.cjs:\d+$/),
            state: 'lost',
            reason: 'process_killed',
            evidence: 'process_gone',
          },
        ],
      })
    const { tasks } = JSON.parse((await get(`${admin}/tasks`)).text) as { tasks: { trace_id: string }[] }
    expect(tasks.map((row) => row.trace_id).toSorted()).toEqual(WORK.map((way) => traces.get(way)!).toSorted())
    const falseSuccesses = /^afterspan_requests_effective_total\{[^}]*outcome="false_success"[^}]*\} 4$/m
    await pollUntil(async () => falseSuccesses.test((await get(`${admin}/metrics`)).text))
    expect(await toldTrace(sink, traces.get('callback')!, 'lost')).toMatchInlineSnapshot(`
      "· GET  SERVER web
      └─ ✗ setTimeout  INTERNAL
           process_killed: the process is gone and left no exit record: SIGKILL, out of memory or alike
           task.state=lost task.reason=process_killed task.evidence=process_gone task.attempt=1"
    `)
    await witness.stop()
    await sink.close()
  },
)

test.each([
  ['is lost', 'late', [{ state: 'lost', reason: 'process_exit', evidence: 'exit_record', exitCode: 0 }]],
  ['is nobody’s work with AFTERSPAN_TIMERS=off', 'off', []],
])('a timer that is left when the app calls process.exit() %s', async (_what, timers, tasks) => {
  const ledgerDir = tempDir('ledger')
  const witness = startPreloaded({ app: apps.cjs, ledgerDir })
  const admin = await witness.adminUrl()
  const app = startPreloaded({ app: apps.cjs, ledgerDir, env: { AFTERSPAN_TIMERS: timers } })
  const url = await listening(app)
  const traceIds = [traceIdOf(await get(`${url}/callback`)), traceIdOf(await get(`${url}/tracked`))]
  await get(`${url}/exit`).catch(() => {})
  expect(await app.exit).toMatchObject({ code: 0 })
  // What is lost with it says that the death has been dealt with.
  await expectReceipt(admin, traceIds[1]!, { tasks: [{ name: 'tracked', state: 'lost' }] })
  await expectReceipt(admin, traceIds[0]!, { tasks })
  await witness.stop()
})

test('a timer that has run, and is set again by refresh(), does not take the note of another', async () => {
  const ledgerDir = tempDir('ledger')
  const witness = startPreloaded({ app: apps.cjs, ledgerDir })
  const admin = await witness.adminUrl()
  const app = startPreloaded({ app: apps.cjs, ledgerDir })
  const url = await listening(app)
  const hasRun = (times: number): Promise<unknown> =>
    pollUntil(() => app.stdout.split('kept has run').length === times + 1)
  await get(`${url}/kept`)
  await hasRun(1)
  const traceId = traceIdOf(await get(`${url}/callback`))
  await get(`${url}/again`)
  await hasRun(2)
  await get(`${url}/kill`).catch(() => {})
  expect(await app.exit).toMatchObject({ signal: 'SIGKILL' })
  await expectReceipt(admin, traceId, { verdict: 'broken', tasks: [{ name: 'setTimeout', state: 'lost' }] })
  await witness.stop()
})

test('a SIGTERM that nobody handles waits for the timers that requests left behind, within its bound', async () => {
  const app = startPreloaded({ app: apps.cjs, env: { AFTERSPAN_DRAIN_MS: '60000' } })
  const url = await listening(app)
  await get(`${url}/soon`)
  await get(`${url}/ran`)
  await app.waitForLine(/^ran/m)
  app.signal('SIGTERM')
  expect(await app.exit).toMatchObject({ signal: 'SIGTERM' })
  expect(app.stdout).toContain('done soon')
})
