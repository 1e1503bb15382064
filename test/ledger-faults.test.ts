// What a machine does to journals, ledger and patrol. Each time: one report for each outcome, and an app that goes on.
import { spawnSync } from 'node:child_process'
import { readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import {
  get,
  nodesUnderTest,
  pollUntil,
  registerPath,
  repositoryRoot,
  runApp,
  startPreloaded,
  tempDir,
  type NodeUnderTest,
  type PreloadedApp,
  type RunningApp,
} from '@afterspan/testing'
import type { Receipt } from 'afterspan'
import { startOtlpSink, type OtlpSink, type StoredSpan } from 'afterspan/internal'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { appFile, listening, traceIdOf } from './app.ts'
import { expectReceipt } from './receipts.ts'

const APP = appFile('open-work.cjs')
const CLI = join(repositoryRoot(), 'packages/afterspan/bin/afterspan.js')
const LOST = { verdict: 'broken', tasks: [{ state: 'lost' }] }

/** Takes its time for ever. */
let slow: Server
let slowUrl: string
beforeAll(async () => {
  slow = createServer(() => {})
  await new Promise<void>((resolve) => {
    slow.listen(0, '127.0.0.1', resolve)
  })
  slowUrl = `http://127.0.0.1:${(slow.address() as AddressInfo).port}/`
})
afterAll(() => {
  slow.closeAllConnections()
  slow.close()
})

interface Place {
  readonly node: NodeUnderTest
  readonly sink: OtlpSink
  readonly ledgerDir: string
}

function start({ node, sink, ledgerDir }: Place, env: Record<string, string> = {}): PreloadedApp {
  return startPreloaded({ app: APP, node: node.path, sink, ledgerDir, env: { SLOW_URL: slowUrl, ...env } })
}

function patrol({ node, sink, ledgerDir }: Place, addressFile = ''): RunningApp {
  return runApp({
    args: [CLI, 'patrol', '--dir', ledgerDir, ...(addressFile ? ['--port', '0'] : [])],
    node: node.path,
    env: { OTEL_EXPORTER_OTLP_ENDPOINT: sink.url, AFTERSPAN_ADMIN_ADDRESS_FILE: addressFile },
  })
}

/** The trace of a request whose work is under way. */
async function promised(app: RunningApp): Promise<string> {
  const reply = await get(`${await listening(app)}/work`)
  await app.waitForLine(/^working$/)
  return traceIdOf(reply)
}

function reports(sink: OtlpSink, traceId: string): readonly StoredSpan[] {
  return sink.trace(traceId).filter(({ attributes }) => attributes['afterspan.task.state'] === 'lost')
}

/** Those of the one that patrols. */
async function numbersOf(addressFiles: readonly string[]): Promise<string[]> {
  const texts = await Promise.all(
    addressFiles.map(async (file) => (await get(`${readFileSync(file, 'utf8').trim()}/metrics`)).text),
  )
  return texts.filter((text) => text.includes('afterspan_tasks_total'))
}

/** What the command line says of a trace, whoever patrols. */
function asked({ node, ledgerDir }: Place, traceId: string): Receipt {
  const args = [CLI, 'receipt', traceId, '--json', '--dir', ledgerDir]
  const { stdout } = spawnSync(node.path, args, { encoding: 'utf8' })
  return JSON.parse(stdout) as Receipt
}

describe.each(nodesUnderTest())('on Node $major', (node) => {
  test('a patrol that is killed between mark and report: the next one reports, and there is one report', async () => {
    const held: string[] = []
    let isHolding = true
    const sink = await startOtlpSink({
      answer({ spans }) {
        const isReport = spans.some(({ attributes }) => attributes['afterspan.task.state'] === 'lost')
        if (!isReport || !isHolding) return undefined
        held.push(...spans.map(({ spanId }) => spanId))
        return { status: 200, delayMs: Infinity }
      },
    })
    const place = { node, sink, ledgerDir: tempDir('ledger') }
    const app = start(place, { AFTERSPAN_PATROL: 'external' })
    const first = patrol(place)
    await first.waitForLine(/patrols/)
    const traceId = await promised(app)
    await app.stop()
    await pollUntil(() => held.length > 0, { what: 'the report is under way' })
    await first.stop()
    isHolding = false
    // Two at once: one of them patrols.
    const addresses = [1, 2].map(() => join(tempDir('admin'), 'address'))
    const others = addresses.map((address) => patrol(place, address))
    await sink.waitFor(() => reports(sink, traceId).length > 0)
    // No app of this folder has the numbers while another process patrols.
    const [numbers = ''] = await numbersOf(addresses)
    expect(numbers).toMatch(/^afterspan_tasks_total\{[^}]*reason="process_killed",state="lost"[^}]*\} 1$/m)
    expect(numbers).toMatch(/^afterspan_requests_effective_total\{[^}]*outcome="false_success"[^}]*\} 1$/m)
    const byHand = asked(place, traceId)
    expect(byHand).toMatchObject(LOST)
    for (const other of others) {
      other.signal('SIGTERM')
      expect(await other.exit).toEqual({ code: 0, signal: null })
    }
    expect(reports(sink, traceId).map(({ spanId }) => spanId)).toEqual([held[0]])
    await sink.close()
  })

  test('a journal whose first record is damaged: what it left open is lost once, and told', async () => {
    const sink = await startOtlpSink()
    const place = { node, sink, ledgerDir: tempDir('ledger') }
    const app = start(place, { AFTERSPAN_PATROL: 'external' })
    const traceId = await promised(app)
    await app.stop()
    const journals = join(place.ledgerDir, 'journal')
    for (const file of readdirSync(journals)) {
      const bytes = readFileSync(join(journals, file))
      bytes[30]! ^= 0xff
      writeFileSync(join(journals, file), bytes)
    }
    const next = start(place)
    await listening(next)
    const admin = await next.adminUrl()
    const { tasks } = await expectReceipt(admin, traceId, LOST)
    expect(tasks[0]).toMatchObject({ reason: 'process_killed', evidence: 'lock_free' })
    await sink.waitFor(() => reports(sink, traceId).length === 1)
    const { text } = await get(`${admin}/metrics`)
    expect(text).toMatch(/^afterspan_ledger_nameless_writers_total 1$/m)
    expect(text).toMatch(/^afterspan_ledger_torn_records_total 1$/m)
    await next.stop()
    await sink.close()
  })

  test('a process that replaces itself loses what it had open, although its pid and start time live on', async (context) => {
    if (node.major < 24) context.skip('process.execve came with Node 24')
    const sink = await startOtlpSink()
    const place = { node, sink, ledgerDir: tempDir('ledger') }
    const other = start(place)
    await listening(other)
    const admin = await other.adminUrl()
    const app = start(place, { AFTERSPAN_PATROL: 'external' })
    const traceId = await promised(app)
    await get(`${await listening(app)}/replace`)
    await app.waitForLine(/^replaced (\d+)$/)
    await get(`http://127.0.0.1:${/^replaced (\d+)$/m.exec(app.stdout)![1]}/work`)
    const { tasks } = await expectReceipt(admin, traceId, LOST)
    expect(tasks[0]).toMatchObject({ evidence: 'lock_free', attempts: [{ worker: { pid: app.pid } }] })
    await sink.waitFor(() => reports(sink, traceId).length === 1)
    await other.stop()
    await app.stop()
    await sink.close()
  })

  test.each([-5, 5])('a wall clock that jumps by %i hours: work is lost once, and told at once', async (hours) => {
    const sink = await startOtlpSink()
    const place = { node, sink, ledgerDir: tempDir('ledger') }
    const shim = ['--require', appFile('clock-jump.cjs')].join(' ')
    const jumping = { NODE_OPTIONS: shim, JUMP_MS: String(hours * 3_600_000) }
    const patrolling = start(place, jumping)
    await listening(patrolling)
    const admin = await patrolling.adminUrl()
    const app = start(place, { ...jumping, AFTERSPAN_PATROL: 'external' })
    const traceId = await promised(app)
    await expectReceipt(admin, traceId, { verdict: 'open', tasks: [{ state: 'running' }] })
    for (const each of [app, patrolling]) {
      each.signal('SIGUSR2')
      await each.waitForLine(/^jumped$/)
    }
    const later = traceIdOf(await get(`${await listening(app)}/work`))
    await expectReceipt(admin, later, { verdict: 'open', tasks: [{ state: 'running' }] })
    await app.stop()
    for (const each of [traceId, later]) {
      await expectReceipt(admin, each, LOST)
      await sink.waitFor(() => reports(sink, each).length === 1)
    }
    expect(patrolling.stderr).toBe('')
    await patrolling.stop()
    await sink.close()
  })
})

/** An app on a ledger folder of so little space, in a mount namespace of its own; undefined where that is not to be had. */
function onSmallDisk({ node, sink, ledgerDir }: Place, options: string): RunningApp {
  const mount = `mount -t tmpfs -o mode=700,${options} tmpfs "$0" && exec "$@"`
  const app = [node.path, '--require', registerPath(), APP]
  return runApp({
    node: 'unshare',
    args: ['--mount', 'sh', '-c', mount, ledgerDir, ...app],
    env: {
      SLOW_URL: slowUrl,
      AFTERSPAN_LEDGER_DIR: ledgerDir,
      AFTERSPAN_ADMIN_ADDRESS_FILE: join(tempDir('admin'), 'address'),
      OTEL_EXPORTER_OTLP_ENDPOINT: sink.url,
      OTEL_EXPORTER_PROMETHEUS_PORT: '0',
    },
  })
}

describe('a ledger folder', () => {
  const node = nodesUnderTest()[0]!
  test.for([
    ['that is full', 'size=16k', /AFS_JOURNAL_FAILED .*ENOSPC/],
    ['that is read-only', 'ro', /AFS_LEDGER_DIR .*EROFS/],
    ['without a free inode', 'size=1m,nr_inodes=2', /AFS_JOURNAL_FAILED .*ENOSPC/],
  ] as const)('%s: the app serves, says so once, and ends as it would', async ([, options, said], context) => {
    const denied = spawnSync('unshare', ['--mount', 'sh', '-c', 'mount -t tmpfs tmpfs /mnt'], { encoding: 'utf8' })
    if (denied.status !== 0) context.skip(`no mount namespace to be had: ${denied.stderr || denied.error?.message}`)
    const sink = await startOtlpSink()
    const app = onSmallDisk({ node, sink, ledgerDir: tempDir('ledger') }, options)
    const url = await listening(app)
    for (let i = 0; i < 60; i++) expect((await get(`${url}/work`)).status).toBe(200)
    await get(`${url}/exit`)
    expect(await app.exit).toEqual({ code: 0, signal: null })
    const ours = app.stderr.split('\n').filter((line) => line.startsWith('[afterspan]'))
    expect(ours.filter((line) => said.test(line))).toHaveLength(1)
    expect(ours.length).toBeLessThan(6)
    expect(app.stderr.split('\n').filter((line) => line !== '' && !line.startsWith('[afterspan]'))).toEqual([])
    await sink.close()
  })
})
