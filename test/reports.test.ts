// The app's own callbacks are told of incidents, and whatever they do harms nobody.
import { bothFormats, get, pollUntil, runApp, startPreloaded, type RunningApp } from '@afterspan/testing'
import type { Receipt } from 'afterspan'
import { startOtlpSink } from 'afterspan/internal'
import { expect, test } from 'vitest'
import { appFile, listening, traceIdOf } from './app.ts'
import { settledReceipt } from './receipts.ts'

const apps = { cjs: appFile('reports.cjs'), mjs: appFile('reports.mjs') }

interface Told {
  readonly kind: string
  readonly trace: { readonly traceId: string }
  readonly failure: { readonly type: string; readonly message: string }
  readonly taskId?: string
}
function told({ stdout }: RunningApp): Told[] {
  return [...stdout.matchAll(/^told (.*)$/gm)].map(([, json]) => JSON.parse(json!) as Told)
}

bothFormats('each outcome is told once, with the trace of its request', apps, async ({ app: file, node }) => {
  const sink = await startOtlpSink()
  const app = startPreloaded({ app: file, node: node.path, sink })
  const url = await listening(app)
  const late = await get(`${url}/late`)
  await pollUntil(() => told(app).length > 0, { what: 'the callback is told of the task' })
  await get(`${url}/well`)
  get(`${url}/crash`).catch(() => {})
  expect((await app.exit).code).toBe(1)

  const [task, crash, ...more] = told(app)
  const traceId = traceIdOf(late)
  expect(task).toMatchObject({ kind: 'task_failed', failure: { type: 'RangeError', message: 'the work failed' } })
  expect([task!.trace.traceId, task!.taskId!.slice(0, 32)]).toEqual([traceId, traceId])
  expect(crash).toMatchObject({ kind: 'crash', failure: { type: 'RangeError', message: 'the process ends' } })
  await sink.waitFor((spans) => spans.some(({ attributes }) => attributes['afterspan.crash.role'] === 'culprit'))
  const culprit = sink.spans().find(({ attributes }) => attributes['afterspan.crash.role'] === 'culprit')!
  expect(crash!.trace).toMatchObject({ traceId: culprit.traceId, spanId: culprit.spanId })
  expect(more).toEqual([])
  await sink.close()
})

test('a crash of a request that was answered is told as the crash alone, not as its broken promise too', async () => {
  const app = startPreloaded({ app: apps.cjs })
  const url = await listening(app)
  get(`${url}/late-crash`).catch(() => {})
  expect((await app.exit).code).toBe(1)
  expect(told(app).map(({ kind }) => kind)).toEqual(['crash'])
})

test('what safeHandler catches is told once, with trace and route, and so is a crash in a route', async () => {
  const app = startPreloaded({ app: appFile('reports-express.cjs') })
  const url = await listening(app)
  const safe = await get(`${url}/orders/7/safe`)
  expect([safe.status, safe.text]).toEqual([500, '{"error":"Internal Server Error"}'])
  await app.waitForLine(/^\[afterspan\] AFS_HANDLER_FAILED .*"error":"RangeError"/)
  get(`${url}/orders/7/crash`).catch(() => {})
  expect((await app.exit).code).toBe(1)
  expect(told(app)).toMatchObject([
    {
      kind: 'handler_error',
      trace: { traceId: traceIdOf(safe) },
      route: '/orders/:id/safe',
      failure: { type: 'RangeError', message: 'token=… is no order' },
    },
    { kind: 'crash', route: '/orders/:id/crash' },
  ])
})

bothFormats('safeHandler reports, also where the answer had begun', apps, async ({ app: file, node }) => {
  const app = startPreloaded({ app: file, node: node.path })
  const url = await listening(app)
  const safe = await get(`${url}/safe`)
  await expect(get(`${url}/safe-late`)).rejects.toBeInstanceOf(Error)
  await pollUntil(() => told(app).length > 1, { what: 'the callback is told of both' })
  expect((await get(`${url}/well`)).status).toBe(200)
  expect(told(app).map(({ kind }) => kind)).toEqual(['handler_error', 'handler_error'])
  expect(told(app)[0]!.trace.traceId).toBe(traceIdOf(safe))
  await app.stop()
})

test('callbacks that throw, reject, hang or fail at work of their own harm neither the app, nor the others, nor its end', async () => {
  const app = startPreloaded({ app: apps.cjs, env: { CALLBACKS: 'throws,rejects,odd,works,hangs' } })
  const url = await listening(app)
  await get(`${url}/late`)
  await get(`${url}/late`)
  await pollUntil(() => told(app).length >= 2, { what: 'the last callback is told' })
  // What a callback leaves behind would be told by now.
  expect((await get(`${url}/well`)).status).toBe(200)
  expect(app.stderr.match(/AFS_\w+.*/g)).toEqual([
    'AFS_REPORT_FAILED a callback of onReport(), or Sentry, failed: the callback failed',
  ])
  await get(`${url}/end`)
  await get(`${url}/late`)
  app.signal('SIGTERM')
  expect(await app.exit).toEqual({ code: null, signal: 'SIGTERM' })
  expect(told(app).map(({ failure }) => failure.message)).toEqual(['the work failed', 'the work failed'])
})

test('what a killed process leaves open is told to the callbacks of one that lives, once, and as one where it is much', async () => {
  const sink = await startOtlpSink()
  const living = startPreloaded({ app: apps.cjs, sink })
  // It has the ledger to patrol from now on.
  await get(`${await listening(living)}/well`)
  await sink.waitFor((spans) => spans.length > 0)
  const states: Told[][] = []
  for (const path of ['/hangs', '/hangs-12']) {
    const env = { OTEL_SERVICE_NAME: 'worker' }
    const dying = startPreloaded({ app: apps.cjs, sink, ledgerDir: living.ledgerDir, env })
    const traceId = traceIdOf(await get(`${await listening(dying)}${path}`))
    const before = told(living).length
    const isRunning = ({ tasks }: Receipt): boolean =>
      tasks.filter(({ state }) => state === 'running').length === (path === '/hangs' ? 1 : 12)
    await settledReceipt(await living.adminUrl(), traceId, isRunning)
    dying.signal('SIGKILL')
    await pollUntil(() => told(living).length > before, { what: 'the living is told', timeoutMs: 20_000 })
    states.push(told(living).slice(before))
    expect(told(living).at(-1)!.trace.traceId).toBe(traceId)
  }
  const lost = { kind: 'task_lost', service: 'worker', failure: { type: 'process_killed' } }
  expect(states).toMatchObject([[lost], [{ ...lost, count: 12 }]])
  expect(told(living)).toHaveLength(2)
  expect(living.stderr).toBe('')
  await living.stop()
  await sink.close()
})

test('without the preload nothing is told, and nothing is said', async () => {
  const app = runApp({ args: [apps.cjs] })
  const url = await listening(app)
  await get(`${url}/late`)
  expect((await get(`${url}/well`)).status).toBe(200)
  await app.stop()
  expect([told(app), app.stderr]).toEqual([[], ''])
})
