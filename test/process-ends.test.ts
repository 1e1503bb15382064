import { spawnSync } from 'node:child_process'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { deferred, get, nodesUnderTest, registerPath, runApp, startPreloaded, tempDir } from '@afterspan/testing'
import type { NodeUnderTest, PreloadedApp, RunningApp } from '@afterspan/testing'
import type { Receipt } from 'afterspan'
import { startOtlpSink, type OtlpSink } from 'afterspan/internal'
import { describe, expect, test } from 'vitest'
import { appFile, listening, traceIdOf } from './app.ts'
import { expectReceipt, settledReceipt } from './receipts.ts'

const APP = appFile('open-work.cjs')
const KILLED = { state: 'lost', reason: 'process_killed', evidence: 'process_gone' }
const ENDS: Readonly<Record<string, object>> = {
  kill: KILLED,
  segv: KILLED,
  abort: KILLED,
  memory: KILLED,
  exit: { state: 'lost', reason: 'process_exit', evidence: 'exit_record', exitCode: 0 },
  throw: {
    state: 'lost',
    reason: 'process_exit',
    evidence: 'exit_record',
    exitCode: 1,
    attempts: [{ failure: { type: 'RangeError', message: 'of another request' } }],
  },
}

/** Somebody who answers when he is told to. */
async function slow(): Promise<{
  readonly url: string
  /** By the first of all. */
  readonly asked: Promise<unknown>
  answer(): void
  close(): void
}> {
  const waiting: (() => void)[] = []
  const asked = deferred()
  const server = createServer((_, response) => {
    asked.resolve()
    waiting.push(() => response.end('done'))
  })
  await new Promise<void>((resolve) => {
    server.listen(0, '127.0.0.1', resolve)
  })
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/slow`,
    asked: asked.promise,
    answer() {
      for (const respond of waiting.splice(0)) respond()
    },
    close() {
      server.closeAllConnections()
      server.close()
    },
  }
}

interface Setting {
  readonly node: NodeUnderTest
  readonly sink: OtlpSink
  readonly ledgerDir: string
  readonly slowUrl: string
}

function start({ node, sink, ledgerDir, slowUrl }: Setting, env: Record<string, string> = {}): PreloadedApp {
  const given = { SLOW_URL: slowUrl, OTEL_SERVICE_NAME: 'web', AFTERSPAN_EXIT_HOLD_MS: '5000', ...env }
  return startPreloaded({ app: APP, node: node.path, sink, ledgerDir, env: given })
}

/** The same in a PID namespace of its own, where it is pid 1, as in a container. */
function container({ node, sink, ledgerDir, slowUrl }: Setting): RunningApp {
  return runApp({
    node: 'unshare',
    args: ['--pid', '--fork', '--mount-proc', node.path, '--require', registerPath(), APP],
    env: {
      SLOW_URL: slowUrl,
      AFTERSPAN_LEDGER_DIR: ledgerDir,
      OTEL_EXPORTER_OTLP_ENDPOINT: sink.url,
      OTEL_EXPORTER_PROMETHEUS_PORT: '0',
    },
  })
}

/** The trace of a request whose work is under way. */
async function promised(app: RunningApp): Promise<string> {
  const reply = await get(`${await listening(app)}/work`)
  await app.waitForLine(/^working$/)
  return traceIdOf(reply)
}

function isOver({ verdict, tasks }: Receipt): boolean {
  return tasks.length === 1 && verdict !== 'open'
}

describe.each(nodesUnderTest())('on Node $major', (node) => {
  test('work that is open when its process ends is lost, each way of ending with its own reason', async () => {
    const sink = await startOtlpSink()
    const peer = await slow()
    const setting = { node, sink, ledgerDir: tempDir('ledger'), slowUrl: peer.url }
    const traces = await Promise.all(
      Object.keys(ENDS).map(async (act) => {
        const app = start(setting, act === 'memory' ? { NODE_OPTIONS: '--max-old-space-size=32' } : {})
        const traceId = await promised(app)
        const guilty = traceIdOf(await get(`${await listening(app)}/${act}`))
        await app.exit
        return [act, traceId, guilty] as const
      }),
    )
    const next = start(setting)
    await listening(next)
    const admin = await next.adminUrl()
    for (const [act, traceId] of traces) {
      const { verdict, tasks } = await settledReceipt(admin, traceId, isOver)
      expect([act, verdict, tasks]).toMatchObject([act, 'broken', [ENDS[act]!]])
    }
    const [, traceId, guilty] = traces.find(([act]) => act === 'throw')!
    const isLost = (span: { readonly attributes: object }): boolean =>
      (span.attributes as Record<string, unknown>)['afterspan.task.state'] === 'lost'
    await sink.waitFor(() => sink.trace(traceId).some(isLost))
    const links = sink.trace(traceId).find(isLost)!.links
    expect(links.map((link) => link.traceId)).toEqual([guilty])
    await next.stop()
    peer.close()
    await sink.close()
  })

  test('work of a stopped process is stalled, never lost, and succeeds when it goes on', async () => {
    const sink = await startOtlpSink()
    const peer = await slow()
    const setting = { node, sink, ledgerDir: tempDir('ledger'), slowUrl: peer.url }
    // The other one patrols: whoever stands still cannot.
    const app = start(setting, { AFTERSPAN_PATROL: 'external' })
    const traceId = await promised(app)
    const other = start(setting)
    await listening(other)
    const admin = await other.adminUrl()
    app.signal('SIGSTOP')
    const stalled = await settledReceipt(admin, traceId, ({ tasks }) => tasks[0]?.flags.stalled === true)
    expect(stalled).toMatchObject({ verdict: 'open', tasks: [{ state: 'running' }] })
    await peer.asked
    peer.answer()
    app.signal('SIGCONT')
    const { tasks } = await settledReceipt(admin, traceId, isOver)
    expect(tasks).toMatchObject([{ state: 'succeeded', flags: { stalled: false, recovered: false } }])
    await app.stop()
    await other.stop()
    peer.close()
    await sink.close()
  })

  test('a graceful drain loses nothing', async () => {
    const sink = await startOtlpSink()
    const peer = await slow()
    const setting = { node, sink, ledgerDir: tempDir('ledger'), slowUrl: peer.url }
    const app = start(setting)
    const traceId = await promised(app)
    await get(`${await listening(app)}/drain`, { headers: { connection: 'close' } })
    await peer.asked
    peer.answer()
    expect(await app.exit).toEqual({ code: 0, signal: null })
    expect(app.stderr).toBe('')
    const next = start(setting)
    await listening(next)
    const { tasks } = await settledReceipt(await next.adminUrl(), traceId, isOver)
    expect(tasks).toMatchObject([{ state: 'succeeded' }])
    await next.stop()
    peer.close()
    await sink.close()
  })

  test('work of a killed cluster worker is lost while its primary lives, and told by the next worker', async () => {
    const sink = await startOtlpSink()
    const peer = await slow()
    const setting = { node, sink, ledgerDir: tempDir('ledger'), slowUrl: peer.url }
    const app = start(setting, { CLUSTER: '1' })
    const traceId = await promised(app)
    await get(`${await listening(app)}/kill`)
    await app.waitForLine(/^worker gone$/)
    const next = start(setting)
    await listening(next)
    const { tasks } = await settledReceipt(await next.adminUrl(), traceId, isOver)
    expect(tasks).toMatchObject([KILLED])
    await app.stop()
    await next.stop()
    peer.close()
    await sink.close()
  })

  test('a container that starts again finds what its last life lost, and one that lives is left alone', async (context) => {
    const denied = spawnSync('unshare', ['--pid', '--fork', 'true'], { encoding: 'utf8' })
    if (denied.status !== 0) context.skip(`no PID namespace to be had: ${denied.stderr || denied.error?.message}`)
    const sink = await startOtlpSink()
    const peer = await slow()
    const setting = { node, sink, ledgerDir: tempDir('ledger'), slowUrl: peer.url }
    const [first, second] = [container(setting), container(setting)]
    const [gone, alive] = [await promised(first), await promised(second)]
    await first.stop()
    const next = start(setting)
    await listening(next)
    const admin = await next.adminUrl()
    // Whoever patrols by now, the second one or this: neither sees the first.
    const found = await settledReceipt(admin, gone, isOver)
    expect(found.tasks).toMatchObject([{ ...KILLED, evidence: 'lock_free' }])
    const other = await settledReceipt(admin, alive, ({ tasks }) => tasks.length > 0)
    expect(other.tasks).toMatchObject([{ state: 'running' }])
    await peer.asked
    peer.answer()
    await expectReceipt(admin, alive, { verdict: 'kept' })
    await second.stop()
    await next.stop()
    peer.close()
    await sink.close()
  })
})
