import { chmodSync, existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { createServer, type AddressInfo } from 'node:net'
import { join } from 'node:path'
import {
  node,
  nodesUnderTest,
  pollUntil,
  registerPath,
  repositoryRoot,
  runApp,
  tempDir,
  type RunningApp,
} from '@afterspan/testing'
import { startOtlpSink } from 'afterspan/internal'
import { build } from 'esbuild'
import { describe, expect, test } from 'vitest'
import { appFile } from './app.ts'

const BIN = join(repositoryRoot(), 'packages/afterspan/bin/afterspan.js')
const NODE = node(24).path

interface Finding {
  readonly level: string
  readonly about: string
  readonly text: string
  readonly todo?: string
}

function doctor(args: readonly string[], env: Record<string, string> = {}, path = NODE): RunningApp {
  return runApp({
    args: [BIN, 'doctor', '--seconds', '60', ...args],
    node: path,
    env: { AFTERSPAN_LEDGER_DIR: join(tempDir('ledger'), 'state'), OTEL_EXPORTER_PROMETHEUS_PORT: '0', ...env },
  })
}

/** What is found about each thing, in JSON. */
async function findings(
  args: readonly string[],
  env?: Record<string, string>,
): Promise<{ code: number | null; about: (name: string) => Finding | undefined; all: readonly Finding[] }> {
  const app = doctor(['--json', '--', NODE, ...args], env)
  const { code } = await app.exit
  const all = (JSON.parse(app.stdout) as { findings: readonly Finding[] }).findings
  return { code, all, about: (name) => all.find(({ about }) => about.startsWith(name)) }
}

describe.each(nodesUnderTest())('on Node $major', ({ path }) => {
  test('an app with which all is well: what is instrumented, where things are, exit code 0', async () => {
    const sink = await startOtlpSink()
    const addressFile = join(tempDir('admin'), 'address')
    const env = { OTEL_EXPORTER_OTLP_ENDPOINT: sink.url, AFTERSPAN_ADMIN_ADDRESS_FILE: addressFile }
    const app = doctor(['--', path, appFile('doctor/well.cjs')], env, path)
    await app.waitForLine(/^listening/)
    await pollUntil(() => existsSync(addressFile) && readFileSync(addressFile, 'utf8').endsWith('\n'))
    app.signal('SIGINT') // enough seen
    expect(await app.exit).toEqual({ code: 0, signal: null })
    const lines = app.stdout.split('\n').map((line) => line.replace(/ {2,}/g, ' '))
    expect(lines).toEqual(
      expect.arrayContaining([
        expect.stringMatching(/^✓ preload loaded in doctor\/well\.cjs \(pid \d+, Node v\d+/),
        expect.stringMatching(/^✓ express 5\.\S+ instrumented$/),
        expect.stringMatching(/^✓ pg 8\.\S+ instrumented/),
        expect.stringMatching(
          /^✓ collector http:\/\/127\.0\.0\.1:\d+\/v1\/traces answers; it took 0 spans of this run$/,
        ),
        expect.stringMatching(/^✓ ledger \/\S+\/state$/),
        expect.stringMatching(/^✓ admin listener http:\/\/127\.0\.0\.1:\d+\/metrics, \/health$/),
        '✓ health: its-own pass',
        // It was called well, without its reason.
        '· health: its-worry warn: little is left',
        'all is well',
      ]),
    )
    expect(app.stderr).toMatch(/^(?:\[afterspan\] AFS_HEALTH_CHANGED its-worry .*\n)?$/)
    await sink.close()
  })
})

test('what is wrong around the app: collector, port, ledger folder', async () => {
  const other = createServer().listen(0, '127.0.0.1')
  await new Promise((resolve) => other.once('listening', resolve))
  const { port } = other.address() as AddressInfo
  const state = tempDir('state')
  const open = join(state, 'afterspan')
  mkdirSync(open)
  chmodSync(open, 0o777)
  const sink = await startOtlpSink()
  const { code, about } = await findings(['-e', ''], {
    OTEL_EXPORTER_OTLP_ENDPOINT: 'http://127.0.0.1:9',
    OTEL_EXPORTER_OTLP_LOGS_ENDPOINT: `${sink.url}/v1/logs`,
    OTEL_LOGS_EXPORTER: 'otlp',
    OTEL_METRICS_EXPORTER: 'prometheus,otlp',
    OTEL_EXPORTER_PROMETHEUS_PORT: String(port),
    AFTERSPAN_LEDGER_DIR: '',
    XDG_STATE_HOME: state,
  })
  other.close()
  expect(code).toBe(1)
  expect(about('collector')).toMatchObject({
    level: 'problem',
    text: 'http://127.0.0.1:9/v1/traces does not take spans: ECONNREFUSED',
  })
  expect(about('collector of metrics')).toMatchObject({
    level: 'problem',
    text: 'http://127.0.0.1:9/v1/metrics does not take metrics: ECONNREFUSED',
  })
  expect(about('collector of logs')).toMatchObject({ level: 'well', text: `${sink.url}/v1/logs answers` })
  await sink.close()
  expect(about('admin listener')).toMatchObject({
    level: 'problem',
    text: `127.0.0.1:${port} cannot be had: EADDRINUSE`,
  })
  expect(about('ledger')).toMatchObject({
    level: 'problem',
    text: `others may write to ${open} (mode 777): allowed is 700`,
  })
})

test('what is wrong with modules: too early, unsupported, no instrumentation, two copies of the API', async () => {
  const folder = tempDir('modules')
  fakePackage(folder, 'pg', '5.1.0')
  fakePackage(folder, 'cassandra-driver', '4.8.0')
  const app = join(folder, 'app.cjs')
  const test_ = JSON.stringify(appFile('neighbours'))
  writeFileSync(
    app,
    `require('pg'); require('cassandra-driver'); const from = require('module').createRequire(${test_}); from('@opentelemetry/api'); from('opentelemetry-api-1.9')`,
  )
  const { code, about } = await findings([app], {
    OTEL_TRACES_EXPORTER: 'none',
    NODE_OPTIONS: `--require ${JSON.stringify(appFile('neighbours/express-first.cjs'))}`,
  })
  expect(code).toBe(1)
  expect(about('express')).toMatchObject({ level: 'problem', text: 'loaded too early: before the preload' })
  expect(about('pg 5.1.0')).toMatchObject({
    level: 'problem',
    text: expect.stringMatching(/^unsupported: the range is >=8\S* <9$/) as string,
  })
  expect(about('cassandra-driver')).toMatchObject({
    level: 'note',
    text: expect.stringContaining('has no instrumentation for it') as string,
  })
  expect(about('@opentelemetry/api')).toMatchObject({
    text: "the app has several copies: 1.10.0 and 1.9.0, beside Afterspan's",
  })
  expect(about('collector')).toMatchObject({ level: 'note' })
})

test('an app that asks for the preload in its own code, after its libraries, was told that all is well', async () => {
  const file = appFile('doctor/asks-itself.mjs')
  const env = { OTEL_TRACES_EXPORTER: 'none' }
  const { code, about } = await findings([file], env)
  expect(code).toBe(1)
  expect(about('afterspan/register')).toMatchObject({ level: 'note' })
  const tooEarly = { level: 'problem', text: 'loaded too early: before the preload' }
  expect(['express', 'hono'].map(about)).toMatchObject([tooEarly, tooEarly])
  const flagged = await findings(['--require', registerPath(), file], env)
  expect(['afterspan/register', 'express', 'hono', 'pg '].map((name) => flagged.about(name)?.level)).toEqual([
    undefined,
    'well',
    'well',
    'well',
  ])
})

test.each([false, true])('a bundled app: what is inside of it is named (minified: %s)', async (minify) => {
  const outfile = join(tempDir('bundle'), 'app.cjs')
  await build({
    entryPoints: [appFile('doctor/bundle-me.mjs')],
    outfile,
    bundle: true,
    platform: 'node',
    minify,
    logLevel: 'error',
  })
  const { code, about } = await findings([outfile], { OTEL_TRACES_EXPORTER: 'none' })
  expect(code).toBe(1)
  expect(about('app.cjs')).toMatchObject({
    level: 'problem',
    text: expect.stringMatching(minify ? /^bundled: its dependencies/ : /^bundled: express\b/) as string,
    todo: expect.stringContaining('--packages=external') as string,
  })
})

test('a command that ends badly, by itself, is told, with what the preload said', async () => {
  const { code, about } = await findings(['-e', 'console.log("out"); process.exit(3)'], {
    OTEL_TRACES_EXPORTER: 'zipkin',
    OTEL_EXPORTER_OTLP_ENDPOINT: 'http://127.0.0.1:9',
  })
  expect(code).toBe(1)
  expect(about('command')).toMatchObject({
    text: expect.stringMatching(/^ended by itself with code 3 after \d+ ms$/) as string,
  })
  expect(about('AFS_CONFIG_INVALID')).toMatchObject({ text: expect.stringContaining('zipkin') as string })
})

test('a command that is no Node, or is not there, and what is not understood', async () => {
  const none = doctor(['--', '/bin/true'], { OTEL_TRACES_EXPORTER: 'none' })
  expect(await none.exit).toEqual({ code: 1, signal: null })
  expect(none.stdout).toContain('no process of the command has loaded Afterspan')
  const missing = doctor(['--', '/no/such/program'], { OTEL_TRACES_EXPORTER: 'none' })
  expect(await missing.exit).toEqual({ code: 1, signal: null })
  expect(missing.stderr).toMatch(/^afterspan doctor: spawn \/no\/such\/program ENOENT$/m)
  for (const args of [[], ['--seconds', 'x', '--', 'true'], ['--loud', '--', 'true']])
    expect((await doctor(args).exit).code).toBe(2)
  const help = doctor(['--help'])
  expect(await help.exit).toEqual({ code: 0, signal: null })
  expect(help.stdout).toContain('Usage: afterspan doctor [--seconds N] [--json] -- <command>')
})

test('what the command has started ends with it', async () => {
  const app = doctor(['--', '/bin/sh', '-c', `${NODE} ${appFile('loading/stays.cjs')} & echo child $!; wait`], {
    OTEL_TRACES_EXPORTER: 'none',
  })
  const [, pid] = await app.waitForLine(/^child (\d+)$/)
  await app.waitForLine(/^said true$/)
  app.signal('SIGINT')
  await app.exit
  await pollUntil(() => !isAlive(Number(pid)))
  expect(app.stdout).toContain('loading/stays.cjs')
})

function fakePackage(folder: string, name: string, version: string): void {
  const place = join(folder, 'node_modules', name)
  mkdirSync(place, { recursive: true })
  writeFileSync(join(place, 'package.json'), JSON.stringify({ name, version, main: 'index.js' }))
  writeFileSync(join(place, 'index.js'), 'exports.Client = class Client {}')
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0)
    return true
  } catch {
    return false
  }
}

test.each(['SIGINT', 'SIGHUP'] as const)(
  'a command that does not end when it is asked to is not left behind by a doctor that is, twice: %s',
  async (signal) => {
    const stubborn =
      "process.on('SIGTERM', () => console.error('asked')); setInterval(() => {}, 1e6); console.error('pid ' + process.pid)"
    const app = doctor(['--', NODE, '-e', stubborn])
    const [, pid] = await app.waitForLine(/^pid (\d+)$/)
    app.signal(signal)
    await app.waitForLine(/^asked$/)
    app.signal(signal)
    expect((await app.exit).signal).toBeNull()
    await pollUntil(() => !isAlive(Number(pid)))
  },
)
