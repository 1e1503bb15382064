// Incidents are told to the operator's webhook, which may be well or not.
import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { get, pollUntil, startPreloaded } from '@afterspan/testing'
import { startOtlpSink } from 'afterspan/internal'
import { expect, test } from 'vitest'
import { appFile, listening } from './app.ts'

const APP = appFile('sampling.cjs')
interface Line {
  readonly kind: string
  readonly type: string
  readonly traceId: string
}

/** Keeps every line that was posted; answers, or does not. */
async function startHook(isDeaf = false): Promise<{ server: Server; url: string; lines: Line[]; posts: () => number }> {
  const lines: Line[] = []
  let posts = 0
  const server = createServer((request, response) => {
    const chunks: Buffer[] = []
    request.on('data', (chunk: Buffer) => chunks.push(chunk))
    request.on('end', () => {
      posts++
      lines.push(...(JSON.parse(Buffer.concat(chunks).toString()) as { incidents: Line[] }).incidents)
      if (!isDeaf) response.end('ok')
    })
  })
  await new Promise<void>((resolve) => {
    server.listen(0, '127.0.0.1', resolve)
  })
  return { server, url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/hook`, lines, posts: () => posts }
}
function close(server: Server): void {
  server.closeAllConnections()
  server.close()
}

test('work that failed is told once, and a crash by the next process on the folder', async () => {
  const hook = await startHook()
  const sink = await startOtlpSink()
  const env = { AFTERSPAN_WEBHOOK_URL: hook.url }
  const app = startPreloaded({ app: APP, sink, env })
  const url = await listening(app)
  await get(`${url}/late`)
  await pollUntil(() => hook.lines.length > 0, { what: 'the webhook hears of the task' })
  expect(hook.lines).toMatchObject([{ kind: 'task_failed', type: 'RangeError' }])
  get(`${url}/crash`).catch(() => {})
  await app.exit
  const next = startPreloaded({ app: APP, sink, env, ledgerDir: app.ledgerDir })
  await get(`${await listening(next)}/well`)
  await pollUntil(() => hook.lines.length > 1, { what: 'the webhook hears of the crash', timeoutMs: 20_000 })
  expect(hook.lines.slice(1)).toMatchObject([{ kind: 'crash', type: 'RangeError' }])
  await sink.waitFor((spans) => spans.some(({ attributes }) => attributes['afterspan.crash.role'] === 'culprit'))
  const culprit = sink.spans().find(({ attributes }) => attributes['afterspan.crash.role'] === 'culprit')!
  expect(hook.lines[1]!.traceId).toBe(culprit.traceId)
  await next.stop()
  await sink.close()
  close(hook.server)
})

test('a webhook that does not answer holds neither the app, nor its end, nor what goes to the collector', async () => {
  const hook = await startHook(true)
  const sink = await startOtlpSink()
  const app = startPreloaded({ app: APP, sink, env: { AFTERSPAN_WEBHOOK_URL: hook.url } })
  const url = await listening(app)
  await get(`${url}/late`)
  await pollUntil(() => hook.posts() > 0, { what: 'the webhook is asked' })
  await get(`${url}/late`)
  await sink.waitFor((spans) => spans.filter(({ name }) => name === 'late work').length === 2)
  app.signal('SIGTERM')
  expect(await app.exit).toEqual({ code: null, signal: 'SIGTERM' })
  expect(app.stderr).toBe('')
  await sink.close()
  close(hook.server)
})
