// One flag in NODE_OPTIONS reaches everything that is Node. What is no app of anybody's must not notice.
import { cpSync, mkdirSync, readFileSync, readdirSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { pathToFileURL } from 'node:url'
import {
  get,
  node,
  nodesUnderTest,
  registerPath,
  repositoryRoot,
  runApp,
  startPreloaded,
  tempDir,
  type AppOptions,
} from '@afterspan/testing'
import { startOtlpSink } from 'afterspan/internal'
import { describe, expect, test } from 'vitest'
import { appFile, listening } from './app.ts'

const NODE_OPTIONS = `--require ${JSON.stringify(registerPath())}`
/** At the end of a process, on a busy machine: what is asked here is that everything arrives. */
const HOLD = { AFTERSPAN_EXIT_HOLD_MS: '10000' }
const file = (name: string): string => appFile(join('loading', name))
const wrong = join(tempDir('wrong'), 'wrong.cjs')
writeFileSync(wrong, 'const a = ;\n')

interface Outcome {
  readonly code: number | null
  readonly stderr: string
  readonly stdout: string
  /** What stands in HOME afterwards: the ledger's folder would. */
  readonly home: readonly string[]
}

async function outcomeOf(options: AppOptions): Promise<Outcome> {
  const home = tempDir('home')
  const app = runApp({ ...options, env: { HOME: home, ...options.env } })
  const { code } = await app.exit
  return {
    code,
    stderr: plain(app.stderr),
    stdout: plain(app.stdout),
    home: readdirSync(home, { recursive: true })
      .map(String)
      .filter((name) => !/^\.npm\b/.test(name)),
  }
}

/** Times, pids, and the line numbers inside of Node's own files: where its loader calls hooks it stands on another line. */
function plain(text: string): string {
  return text
    .replace(/\d+(\.\d+)? ?ms\b|(duration_ms:?) [\d.]+/g, '$2 T')
    .replace(/\(node:\d+\)/g, '(node:PID)')
    .replace(/(node:internal\/[\w/]+):\d+:\d+/g, '$1')
    .replace(
      /^ +at .*(?:resolveAndMaybeBlock|ModuleLoader\.resolve|ModuleLoader\.getModuleJob|ModuleJob\._?link).*\n/gm,
      '',
    )
}

describe.each(nodesUnderTest())('on Node $major', ({ path }) => {
  test.each([
    { what: 'node -e', args: ['-e', 'console.log(6 * 7)'] },
    { what: 'node -e that throws', args: ['-e', 'throw new Error("here")'] },
    { what: 'node -p', args: ['-p', '6 * 7'] },
    {
      what: 'an ES module by -e',
      args: ['--input-type=module', '-e', 'import { sep } from "node:path"; console.log(sep)'],
    },
    { what: 'import() by -e', args: ['-e', 'import("node:path").then(({ sep }) => console.log(sep))'] },
    { what: 'stdin', args: ['-'], input: 'console.log(6 * 7)' },
    { what: 'the terminal', args: ['-i'], input: '6 * 7\n' },
    { what: 'node --check', args: ['--check', file('say.mjs')] },
    { what: 'node --check of what is wrong', args: ['--check', wrong] },
    { what: 'node --version', args: ['--version'] },
    { what: 'an ES module', args: [file('say.mjs')] },
    { what: 'TypeScript', args: ['--no-warnings', file('say.ts')] },
    { what: 'TypeScript as ES module', args: ['--no-warnings', file('say.mts')] },
    { what: 'TypeScript as CommonJS', args: ['--no-warnings', file('say.cts')] },
    { what: 'a module that throws as it is loaded', args: [file('throws.cjs')] },
    { what: 'a syntax error', args: [wrong] },
    { what: 'a file that is not there', args: [file('none.cjs')] },
    { what: 'require of a file that is not there', args: [file('misses.cjs')] },
    { what: 'import of a file that is not there', args: [file('misses.mjs')] },
    { what: 'a thread and a child where intrinsics are frozen', args: ['--frozen-intrinsics', file('thread.cjs')] },
    { what: 'node --test', args: ['--test', '--test-reporter=tap', file('serves.test.mjs')] },
  ])('$what says and leaves behind what it does without us', async ({ args, input }) => {
    const app = { args, node: path, ...(input === undefined ? {} : { input }) }
    const [bare, preloaded] = await Promise.all([outcomeOf(app), outcomeOf({ ...app, env: { NODE_OPTIONS } })])
    expect(preloaded).toEqual(bare)
    expect(preloaded.home).toEqual([])
  })

  test.each([
    { app: appFile('express.cjs'), preload: 'import' },
    { app: appFile('express.mjs'), preload: 'NODE_OPTIONS' },
    { app: appFile('express.mjs'), preload: 'import' },
    { app: file('express.ts'), preload: 'require' },
    { app: file('express.mts'), preload: 'import' },
    { app: file('express.cts'), preload: 'NODE_OPTIONS' },
    { app: file('hono-by-import.cjs'), preload: 'require' },
    { app: file('hono-by-require.cjs'), preload: 'require' },
  ] as const)('$app is instrumented by $preload', async ({ app, preload }) => {
    const sink = await startOtlpSink()
    const service = startPreloaded({ app, preload, node: path, sink, env: { ...HOLD, NODE_NO_WARNINGS: '1' } })
    expect((await get(`${await listening(service)}/api/a/orders/1`)).status).toBe(200)
    service.signal('SIGTERM')
    await service.exit
    await sink.waitFor((spans) => spans.length > 0)
    expect(sink.spans().map(({ name }) => name)).toEqual(['GET /api/:tenant/orders/:id'])
    expect(service.stderr).toBe('')
    await sink.close()
  })

  test('an app whose working directory is gone was ended by the search for its group', async () => {
    const nameless = join(tempDir('nameless'), 'gone.cjs') // no package.json names the service
    cpSync(file('gone.cjs'), nameless)
    const app = startPreloaded({ app: nameless, node: path })
    expect(await app.exit).toEqual({ code: 0, signal: null })
    expect(app.stdout).toBe('closed\n')
  })

  test('node --watch: the app is watched, the watcher is not', async () => {
    const app = runApp({ args: ['--watch', file('stays.cjs')], node: path, env: { NODE_OPTIONS } })
    await app.waitForLine(/^said true$/)
    expect(app.stderr).toBe('')
    await app.stop()
  })

  test('preloaded twice, also from two copies of the package, is once', async () => {
    const copy = join(tempDir('copy'), 'dist')
    cpSync(join(registerPath(), '..'), copy, { recursive: true })
    const flags = ['--require', join(copy, 'register.js'), '--import', pathToFileURL(registerPath()).href]
    const sink = await startOtlpSink()
    const app = startPreloaded({
      app: flags[0]!,
      args: [...flags.slice(1), appFile('express.cjs')],
      node: path,
      sink,
      env: HOLD,
    })
    expect((await get(`${await listening(app)}/api/a/orders/1`)).status).toBe(200)
    await sink.waitFor((spans) => spans.length > 0)
    app.signal('SIGTERM')
    await app.exit
    expect(sink.spans().map(({ name }) => name)).toEqual(['GET /api/:tenant/orders/:id'])
    expect(app.stderr).toBe('')
    await sink.close()
  })
})

test('a clock that the app put in place of Node’s held what we wait for, and found our timers in it', async () => {
  const sink = await startOtlpSink()
  const app = startPreloaded({ app: appFile('faked-timers.cjs'), sink, env: { OTEL_BSP_SCHEDULE_DELAY: '5' } })
  const url = await listening(app)
  await get(url)
  // They never fire: what was sent was sent by Node's own.
  await sink.waitFor((spans) => spans.length > 0)
  expect(await app.adminUrl()).toBeTruthy()
  expect(JSON.parse((await get(url)).text)).toEqual([])
  expect(app.stderr).toBe('')
  await app.stop()
  await sink.close()
})

test('an older Node is told so in one line, and the app runs', async () => {
  const args = ['--require', file('pretend-old.cjs'), '--require', registerPath(), file('say.cjs')]
  const { code, stderr, stdout } = await outcomeOf({ args })
  expect([code, stdout]).toEqual([0, 'said true\n'])
  expect(stderr).toMatch(/^\[afterspan\] AFS_NODE_UNSUPPORTED Node v18\.20\.8 is too old: .* 22\.15 or newer.*\n$/)
})

test.each([
  { what: 'CommonJS', app: appFile('express.cjs') },
  { what: 'CommonJS that is imported', app: appFile('express.mjs') },
])('where Node cannot hook imports $what is complete, and nothing is said', async ({ app }) => {
  const sink = await startOtlpSink()
  const service = startPreloaded({ ...on2215(app), sink, env: HOLD })
  expect((await get(`${await listening(service)}/api/a/orders/1`)).status).toBe(200)
  service.signal('SIGTERM')
  await service.exit
  await sink.waitFor((spans) => spans.length > 0)
  expect(sink.spans()[0]!.name).toBe('GET /api/:tenant/orders/:id')
  expect(service.stderr).toBe('')
  await sink.close()
})

test('where Node cannot hook imports an ES module that is not seen is named, with the versions that can', async () => {
  const service = startPreloaded(on2215(file('imports-hono.mjs')))
  expect(await service.exit).toEqual({ code: 0, signal: null })
  expect(service.stderr).toMatch(
    /^\[afterspan\] AFS_HOOK_UNSUPPORTED Node v22\.15\.0 cannot instrument ES modules: hono is not seen\. Node 22\.22\.3, 24\.11\.1 or 26 can.*\n$/,
  )
})

/** A Node that calls itself 22.15.0 before we look. */
function on2215(app: string): { readonly app: string; readonly args: readonly string[]; readonly register: string } {
  return { register: file('pretend-22-15.cjs'), app: '--require', args: [registerPath(), app] }
}

test('an older Node can read the preload', () => {
  const text = readFileSync(registerPath(), 'utf8')
  expect(text).not.toMatch(/\?\?|\?\.\w|require\("node:|^import /m)
})

test.each([
  { script: 'turbo.js', isWatched: true },
  { script: 'bin/turbo.js', isWatched: false },
  { script: 'node_modules/.bin/turbo', isWatched: false },
  { script: 'node_modules/mocha/bin/mocha.js', isWatched: false },
  { script: '.yarn/releases/yarn-4.9.1.cjs', isWatched: false },
  { script: 'node_modules/next/dist/bin/next', isWatched: true },
])('a tool is known by its name where tools are: $script', async ({ script, isWatched }) => {
  const path = join(tempDir('tool'), script)
  mkdirSync(dirname(path), { recursive: true })
  writeFileSync(path, readFileSync(file('say.cjs'), 'utf8'))
  expect((await outcomeOf({ args: [path], env: { NODE_OPTIONS } })).stdout).toBe(`said ${isWatched}\n`)
})

test('npm, and the script that it runs, work unchanged', async () => {
  const npm = {
    args: [
      '-e',
      'process.exit(require("child_process").spawnSync("npm", ["run", "say"], { stdio: "inherit" }).status)',
    ],
    cwd: file(''),
  }
  const [bare, preloaded] = await Promise.all([outcomeOf(npm), outcomeOf({ ...npm, env: { NODE_OPTIONS } })])
  expect(bare).toMatchObject({ code: 0, stdout: expect.stringContaining('said false') as string })
  expect(preloaded).toMatchObject({
    code: 0,
    stderr: bare.stderr,
    stdout: bare.stdout.replace('said false', 'said true'),
  })
  expect(preloaded.home).toEqual(bare.home)
})

test('vitest works unchanged', async () => {
  const args = [
    join(repositoryRoot(), 'node_modules/vitest/vitest.mjs'),
    'run',
    '--config',
    'test/runner/vitest.config.mjs',
    'passes',
  ]
  const vitest = { args, cwd: repositoryRoot(), node: node(24).path }
  const [bare, preloaded] = await Promise.all([
    outcomeOf({ ...vitest, env: { NO_COLOR: '1' } }),
    outcomeOf({ ...vitest, env: { NO_COLOR: '1', NODE_OPTIONS } }),
  ])
  const lines = (text: string): string[] => text.split('\n').filter((line) => !/^ +(?:Start at|Duration)/.test(line))
  expect(lines(preloaded.stdout)).toEqual(lines(bare.stdout))
  expect(preloaded).toMatchObject({ code: 0, stderr: bare.stderr, home: bare.home }) // vitest keeps something there itself
})

test('a package that is not whole, as it is while it is being installed, ended the app', async () => {
  const register = join(tempDir('torn'), 'register.js')
  cpSync(registerPath(), register)
  const app = runApp({ args: ['--require', register, '--print', '1 + 1'] })
  expect(await app.exit).toEqual({ code: 0, signal: null })
  expect(app.stdout).toBe('2\n')
  expect(app.stderr).toMatch(
    /^\[afterspan\] AFS_BOOT_FAILED Afterspan could not be loaded: .*The app runs without it\.\n$/,
  )
})
