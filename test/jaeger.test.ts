// The same in a real Jaeger, where JAEGER_BIN names one: what the other tests see in our own receiver.
import { join } from 'node:path'
import {
  get,
  nodesUnderTest,
  pollUntil,
  repositoryRoot,
  runApp,
  sharedService,
  startPreloaded,
  tempDir,
} from '@afterspan/testing'
import { drawTrace, jaegerTrace, type StoredSpan } from 'afterspan/internal'
import { describe, expect, test } from 'vitest'
import { appFile, listening } from './app.ts'
import { expectReceipt } from './receipts.ts'
import { startRoles } from './roles.ts'

const CLI = join(repositoryRoot(), 'packages/afterspan/bin/afterspan.js')
const LOST = { state: 'lost', evidence: 'process_gone' }

const redis = sharedService('redis')
const jaegerOf = sharedService('jaeger')

/** The trace as Jaeger has it, once it has so many spans that are no database's. */
async function shown(queryUrl: string, traceId: string, spans: number): Promise<string> {
  let seen: readonly StoredSpan[] = []
  await pollUntil(
    async () => {
      const all = await jaegerTrace(queryUrl, traceId)
      seen = all.filter(({ attributes }) => attributes['db.system.name'] === undefined)
      return seen.length >= spans
    },
    { timeoutMs: 20_000 },
  )
  return drawTrace(seen, { stable: true })
}

interface FoundTrace {
  readonly traceID: string
  readonly spans: readonly { readonly tags: readonly { readonly key: string; readonly value: unknown }[] }[]
}

/** What Jaeger's own page would list. */
async function search(queryUrl: string, wanted: Readonly<Record<string, string>>): Promise<readonly FoundTrace[]> {
  const { text } = await get(`${queryUrl}/api/traces?${new URLSearchParams({ limit: '100', ...wanted })}`)
  return (JSON.parse(text) as { readonly data: readonly FoundTrace[] }).data
}

describe.each(nodesUnderTest())('Jaeger, with Node $major', (node) => {
  test('shows what failed, what was killed and what was taken up again in the trace of the request, and finds it by its state', async (context) => {
    const { port } = redis(context)
    const jaeger = jaegerOf(context)
    const env = { REDIS_PORT: String(port), OTEL_EXPORTER_OTLP_ENDPOINT: jaeger.url }
    const roles = await startRoles({ app: appFile('bullmq.cjs'), node, env })
    const worker = await roles.startReady('worker')
    expect(await shown(jaeger.queryUrl, await roles.ask('/send/fails'), 4)).toMatchInlineSnapshot(`
      "· GET /send/:how  SERVER web
      └─ · send mail  PRODUCER
         ├─ ✗ process mail  CONSUMER worker
         │    TypeError: the mail server said no
         │    task.state=retrying task.reason=rejected task.attempt=1
         └─ ✗ process mail  CONSUMER worker
              TypeError: the mail server said no
              task.state=failed task.reason=retries_exhausted task.attempt=2"
    `)
    const traceId = await roles.ask('/send/hangs')
    await worker.waitForLine(/^job \{"hangs":true\}$/)
    await worker.stop()
    expect(await shown(jaeger.queryUrl, traceId, 3)).toMatchInlineSnapshot(`
      "· GET /send/:how  SERVER web
      └─ · send mail  PRODUCER
         └─ ✗ process mail  CONSUMER worker
              process_killed: the process is gone and left no exit record: SIGKILL, out of memory or alike
              task.state=lost task.reason=process_killed task.evidence=process_gone task.attempt=1"
    `)
    const lost = await search(jaeger.queryUrl, { service: 'worker', tags: '{"afterspan.task.state":"lost"}' })
    expect(lost.map(({ traceID }) => traceID)).toContain(traceId)
    await roles.startReady('worker', { FAST: '1' })
    await expectReceipt(roles.admin, traceId, { verdict: 'kept' })
    expect(await shown(jaeger.queryUrl, traceId, 4)).toMatchInlineSnapshot(`
      "· GET /send/:how  SERVER web
      └─ · send mail  PRODUCER
         ├─ ✗ process mail  CONSUMER worker
         │    process_killed: the process is gone and left no exit record: SIGKILL, out of memory or alike
         │    task.state=lost task.reason=process_killed task.evidence=process_gone task.attempt=1
         └─ · process mail  CONSUMER worker
              task.state=succeeded task.attempt=2"
    `)
    expect(roles.stderr()).toBe('')
    await roles.stop()
  })

  test('has the loss once, when it stood still while the worker died', async (context) => {
    const { port } = redis(context)
    const jaeger = jaegerOf(context)
    const env = {
      REDIS_PORT: String(port),
      OTEL_EXPORTER_OTLP_ENDPOINT: jaeger.url,
      OTEL_EXPORTER_OTLP_TIMEOUT: '1000',
    }
    const roles = await startRoles({ app: appFile('bullmq.cjs'), node, env })
    const worker = await roles.startReady('worker')
    const traceId = await roles.ask('/send/hangs')
    await worker.waitForLine(/^job \{"hangs":true\}$/)
    await jaeger.freeze()
    try {
      await worker.stop()
      await expectReceipt(roles.admin, traceId, { verdict: 'broken', tasks: [LOST] })
    } finally {
      await jaeger.thaw()
    }
    const drawing = await shown(jaeger.queryUrl, traceId, 3)
    expect(drawing.match(/task\.state=lost/g)).toHaveLength(1)
    expect(drawing).not.toContain('duplicate')
    await roles.stop()
  })

  test('has the eleven requests that a killed process had answered, and the one that it had not', async (context) => {
    const { queryUrl, url: collector } = jaegerOf(context)
    const ledgerDir = tempDir('ledger')
    const name = `killed on ${node.major}`
    // Nothing is sent while it lives.
    const env = { OTEL_SERVICE_NAME: name, OTEL_BSP_SCHEDULE_DELAY: '60000' }
    const settings = { app: appFile('ways-to-end.cjs'), args: ['kill'], node: node.path, ledgerDir, env }
    const app = startPreloaded({ ...settings, sink: { url: collector } })
    const url = await listening(app)
    for (let i = 0; i < 11; i++) await get(`${url}/done`)
    void get(`${url}/bystander`).catch(() => {})
    await app.waitForLine(/^bystander$/)
    await app.stop()
    const next = startPreloaded({ ...settings, sink: { url: collector } })
    const roots = await pollUntil(async () => {
      const traces = await search(queryUrl, { service: name })
      return traces.length >= 12 && traces.flatMap(({ spans }) => spans)
    })
    const tags = roots.map((span) => Object.fromEntries(span.tags.map(({ key, value }) => [key, value])))
    expect(tags.filter((tag) => tag['url.path'] === '/done' && tag['http.response.status_code'] === 200)).toHaveLength(
      11,
    )
    expect(tags.filter((tag) => tag['url.path'] === '/bystander' && tag['error'] === true)).toHaveLength(1)
    expect(roots).toHaveLength(12)
    await next.stop()
  })

  test('is where the drill finds its canary', async (context) => {
    const jaeger = jaegerOf(context)
    const drill = runApp({
      args: [CLI, 'drill', '--dir', tempDir('ledger'), '--json', '--jaeger', jaeger.queryUrl],
      env: { OTEL_EXPORTER_OTLP_ENDPOINT: jaeger.url },
      node: node.path,
    })
    expect(await drill.exit).toMatchObject({ code: 0 })
    expect(JSON.parse(drill.stdout)).toMatchObject({ evidence: 'process_gone', jaegerMs: expect.any(Number) })
  })
})
