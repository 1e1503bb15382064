// What a machine does to the ledger's folder while an app writes to it: each task is there once afterwards, and the app never
// noticed.
import { spawn, spawnSync, type ChildProcess } from 'node:child_process'
import { existsSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import {
  get,
  nodesUnderTest,
  pollUntil,
  registerPath,
  runApp,
  startPreloaded,
  tempDir,
  type PreloadedApp,
  type RunningApp,
} from '@afterspan/testing'
import { startOtlpSink, type OtlpSink, type StoredSpan } from 'afterspan/internal'
import { expect, test } from 'vitest'
import { appFile, listening, traceIdOf } from './app.ts'
import { expectReceipt } from './receipts.ts'

const APP = appFile('counted-work.cjs')
const node = nodesUnderTest()[0]!
const LOST = { verdict: 'broken', tasks: [{ state: 'lost' }] }

function reports(sink: OtlpSink, traceId: string): readonly StoredSpan[] {
  return sink.trace(traceId).filter(({ attributes }) => attributes['afterspan.task.state'] === 'lost')
}

async function request(app: RunningApp, path = '/'): Promise<string> {
  return traceIdOf(await get(`${await listening(app)}${path}`))
}

/** So many of each state, by the counters of the patrol. */
async function settled(admin: string): Promise<Record<string, number>> {
  const { text } = await get(`${admin}/metrics`)
  const states: Record<string, number> = {}
  for (const [, state, count] of text.matchAll(/^afterspan_tasks_total\{.*state="(\w+)".*\} (\d+)$/gm))
    states[state!] = (states[state!] ?? 0) + Number(count)
  return states
}

function until(admin: string, wanted: Record<string, number>): Promise<unknown> {
  return expect.poll(() => settled(admin), { timeout: 30_000, interval: 50 }).toMatchObject(wanted)
}

test('a journal that may not grow (RLIMIT_FSIZE): what it has no room for is in the next one, each once', async () => {
  const sink = await startOtlpSink()
  const ledgerDir = tempDir('ledger')
  const patrol = startPreloaded({ app: APP, node: node.path, sink, ledgerDir })
  const admin = await patrol.adminUrl()
  // In blocks of 512 bytes: 64 kB for each file, of which an event takes some hundred bytes.
  const app = runApp({
    node: 'sh',
    args: ['-c', 'ulimit -f 128 && exec "$@"', 'sh', node.path, '--require', registerPath(), APP],
    env: {
      AFTERSPAN_LEDGER_DIR: ledgerDir,
      AFTERSPAN_PATROL: 'external',
      OTEL_EXPORTER_OTLP_ENDPOINT: sink.url,
      OTEL_EXPORTER_PROMETHEUS_PORT: '0',
    },
  })
  for (let i = 0; i < 150; i++) await request(app)
  const hanging = await request(app, '/hang')
  await until(admin, { succeeded: 150 })
  await expectReceipt(admin, hanging, { verdict: 'open' })
  expect(app.stderr).toMatch(/^\[afterspan\] AFS_JOURNAL_FAILED .*\n$/)
  await app.stop()
  await expectReceipt(admin, hanging, LOST)
  await sink.waitFor(() => reports(sink, hanging).length === 1)
  await until(admin, { succeeded: 150, lost: 1 })
  await patrol.stop()
  await sink.close()
})

/** Work of this app is in the journals again: at the latest when it has looked whether they are there. */
async function untilSeen(app: RunningApp, admin: string): Promise<void> {
  await pollUntil(
    async () => {
      const { text } = await get(`${admin}/receipt/${await request(app)}`)
      return text.includes('"kept"')
    },
    { timeoutMs: 20_000, what: 'work to be seen again' },
  )
}

test.for([
  ['the journals are', ['journal', 'flight', 'spool']],
  ['the whole folder is', ['.']],
] as const)('%s removed under everybody: apps go on, and what they promise then is told once', async ([, folders]) => {
  const sink = await startOtlpSink()
  const ledgerDir = tempDir('ledger')
  const start = (env: Record<string, string> = {}): PreloadedApp =>
    startPreloaded({ app: APP, node: node.path, sink, ledgerDir, env })
  const patrol = start()
  await request(patrol)
  const admin = await patrol.adminUrl()
  const app = start({ AFTERSPAN_PATROL: 'external' })
  await request(app)
  await until(admin, { succeeded: 2 })
  for (const folder of folders) rmSync(join(ledgerDir, folder), { recursive: true, force: true })
  await untilSeen(app, admin)
  // A patrol that comes now does not stand beside the one that is there.
  const late = start()
  await request(late)
  const hanging = await request(app, '/hang')
  await expectReceipt(admin, hanging, { verdict: 'open' })
  await app.stop()
  await expectReceipt(admin, hanging, LOST)
  await expectReceipt(await late.adminUrl(), hanging, LOST)
  await sink.waitFor(() => reports(sink, hanging).length > 0)
  const last = await request(patrol, '/hang')
  await patrol.stop()
  await expectReceipt(await late.adminUrl(), last, LOST)
  await sink.waitFor(() => reports(sink, last).length > 0)
  for (const each of [hanging, last]) expect(reports(sink, each)).toHaveLength(1)
  for (const each of [app, patrol, late]) expect(each.stderr).toBe('')
  await late.stop()
  await sink.close()
})

test('a pid that belongs to somebody else by now: the process that had it is dead, and what it had open is lost once', async (context) => {
  const lastPid = '/proc/sys/kernel/ns_last_pid'
  try {
    writeFileSync(lastPid, readFileSync(lastPid))
  } catch (error) {
    return context.skip(`the next pid cannot be chosen: ${(error as Error).message}`)
  }
  const sink = await startOtlpSink()
  const ledgerDir = tempDir('ledger')
  const app = startPreloaded({ app: APP, node: node.path, sink, ledgerDir, env: { AFTERSPAN_PATROL: 'external' } })
  await request(app)
  const hanging = await request(app, '/hang')
  await app.stop()
  const others: ChildProcess[] = []
  await pollUntil(
    () => {
      writeFileSync(lastPid, String(app.pid - 1))
      others.push(spawn('sleep', ['600'], { stdio: 'ignore' }))
      return existsSync(`/proc/${app.pid}`)
    },
    { timeoutMs: 20_000, what: 'somebody to have that pid' },
  )
  const next = startPreloaded({ app: APP, node: node.path, sink, ledgerDir })
  await request(next)
  const admin = await next.adminUrl()
  const { tasks } = await expectReceipt(admin, hanging, LOST)
  expect(tasks[0]).toMatchObject({ reason: 'process_killed', evidence: 'process_gone' })
  await until(admin, { succeeded: 2, lost: 1 })
  await sink.waitFor(() => reports(sink, hanging).length === 1)
  expect(existsSync(`/proc/${app.pid}`)).toBe(true)
  for (const other of others) other.kill()
  await next.stop()
  await sink.close()
})

test('a disk that fills up while work is promised, and has room again: each task is there once', async (context) => {
  const denied = spawnSync('unshare', ['--mount', 'sh', '-c', 'mount -t tmpfs tmpfs /mnt'], { encoding: 'utf8' })
  if (denied.status !== 0) context.skip(`no mount namespace to be had: ${denied.stderr || denied.error?.message}`)
  const sink = await startOtlpSink()
  const ledgerDir = tempDir('ledger')
  const addressFile = join(tempDir('admin'), 'address')
  const mounted = 'mount -t tmpfs -o size=40m,mode=700 tmpfs "$0" && exec "$@"'
  const app = runApp({
    node: 'unshare',
    args: ['--mount', 'sh', '-c', mounted, ledgerDir, node.path, '--require', registerPath(), APP],
    env: {
      AFTERSPAN_ADMIN_ADDRESS_FILE: addressFile,
      AFTERSPAN_LEDGER_DIR: ledgerDir,
      OTEL_EXPORTER_OTLP_ENDPOINT: sink.url,
      OTEL_EXPORTER_PROMETHEUS_PORT: '0',
    },
  })
  const inside = (command: string): unknown =>
    spawnSync('nsenter', ['--target', String(app.pid), '--mount', 'sh', '-c', command, ledgerDir])
  const some = async (): Promise<void> => {
    for (let i = 0; i < 40; i++) await request(app)
  }
  await some()
  await pollUntil(() => existsSync(addressFile))
  const admin = readFileSync(addressFile, 'utf8').trim()
  await until(admin, { succeeded: 40 })
  inside('dd if=/dev/zero of="$0/filler" bs=1M; dd if=/dev/zero of="$0/rest" bs=1k')
  await some()
  await pollUntil(() => /AFS_JOURNAL_FAILED.*ENOSPC/.test(app.stderr), { what: 'the full disk to be said' })
  await some()
  inside('rm "$0/filler" "$0/rest"')
  await some()
  await until(admin, { succeeded: 160 })
  const ours = app.stderr.split('\n').filter((line) => line !== '')
  expect(ours.filter((line) => !line.startsWith('[afterspan] AFS_'))).toEqual([])
  expect(ours.length).toBeLessThan(6)
  await get(`${await listening(app)}/exit`)
  expect(await app.exit).toEqual({ code: 0, signal: null })
  await sink.close()
})
