// Builds every package: TypeScript to one CommonJS build, then the preload bundles.
// Bundles, because resolving 500 small files is half of what a preload costs at start (docs/decisions/bundled-preload.md).
import { spawnSync } from 'node:child_process'
import { existsSync, mkdirSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { build } from 'esbuild'
import { filesNamedIn, integrationsIn, integrationsOutside, internalFromPreload } from './integration-bundles.mjs'

const root = dirname(dirname(fileURLToPath(import.meta.url)))
const packages = join(root, 'packages')
const major = Number(process.versions.node.split('.')[0])
if (major < 24) {
  console.error(
    `build: this is Node ${process.version}; the project brings its own Node 24. Run it by: npx -y pnpm@12.21.0 build`,
  )
  process.exit(1)
}

function step(name, work) {
  if (!process.argv.includes('--quiet')) console.error(`build: ${name}`)
  work()
}

function run(command, args) {
  const done = spawnSync(command, args, { cwd: root, stdio: ['ignore', 'inherit', 'inherit'] })
  if (done.status !== 0) process.exit(done.status ?? 1)
}

async function bundle() {
  if (!process.argv.includes('--quiet')) console.error('build: bundles')
  const core = join(packages, 'core')
  const all = join(packages, 'afterspan')
  const tracker = join(packages, 'async-tracker/src')
  const folder = join(tracker, 'integrations')
  for (const dir of [core, all]) rmSync(join(dir, 'dist/bundle'), { recursive: true, force: true })
  const integrations = integrationsIn(folder)
  const bundleDir = join(all, 'dist/bundle')
  await Promise.all(
    integrations.map(({ name }) =>
      one(join(folder, `${name}.ts`), join(bundleDir, `integration-${name}.js`), [sharedModules, internalFromPreload]),
    ),
  )
  const jobs = []
  for (const dir of [core, all]) {
    const into = (name) => join(dir, 'dist/bundle', name)
    // The register overwrites what tsc wrote: it must load one file, not the package.
    // Any Node must be able to read it: an old one is told so, and runs the app.
    jobs.push(
      one(join(dir, 'src/register.ts'), join(dir, 'dist/register.js'), [bundleStaysOutside, plainBuiltins], {
        target: 'node12',
        inject: [],
      }),
    )
    const outside = integrationsOutside(folder, bundleDir, integrations)
    jobs.push(one(join(dir, 'src/preload.ts'), into('preload.js'), [outside]))
    jobs.push(one(join(core, 'src/side-thread/entry.ts'), into('side-thread.js'), []))
    jobs.push(one(join(core, 'src/side-thread/main.ts'), into('side-main.js'), []))
    jobs.push(one(join(core, 'src/sdk/other-propagators.ts'), into('other-propagators.js'), [sharedModules]))
    jobs.push(one(join(core, 'src/sdk/otlp/other-protocols.ts'), into('other-protocols.js'), []))
    jobs.push(one(join(core, 'src/config/config-file.ts'), into('config-file.js'), []))
    jobs.push(one(join(core, 'src/spool/undelivered-files.ts'), into('undelivered.js'), []))
    jobs.push(one(join(core, 'src/logs/export/send-logs.ts'), into('logs-export.js'), [sharedModules]))
    jobs.push(one(join(core, 'src/metrics/push/pusher.ts'), into('metrics-push.js'), []))
    jobs.push(one(join(core, 'src/metrics/otel-bridge.ts'), into('otel-metrics.js'), [sharedModules]))
    for (const name of filesNamedIn(join(core, 'src/databases/clients.ts')))
      jobs.push(one(join(core, `src/databases/${name}.ts`), into(`database-${name}.js`), [sharedModules]))
    const official = (name, file) => one(`@opentelemetry/${name}`, into(file), [sharedModules], { resolveDir: core })
    jobs.push(official('instrumentation', 'otel-instrumentation.js'))
    for (const name of filesNamedIn(join(core, 'src/queues/queue-hooks.ts')))
      jobs.push(one(join(core, `src/queues/${name}.ts`), into(`queue-${name}.js`), [sharedModules]))
    for (const name of instrumentations()) jobs.push(official(`instrumentation-${name}`, `instrumentation-${name}.js`))
  }
  jobs.push(one(join(tracker, 'side.ts'), join(all, 'dist/bundle/side-patrol.js'), []))
  jobs.push(one(join(tracker, 'patrol/beside-app.ts'), join(all, 'dist/bundle/patrol.js'), []))
  jobs.push(one(join(packages, 'health/src/side.ts'), join(all, 'dist/bundle/side-health.js'), []))
  const health = join(packages, 'health/src')
  jobs.push(one(join(health, 'grpc-server.ts'), join(bundleDir, 'grpc-server.js'), [sharedModules]))
  for (const name of filesNamedIn(join(health, 'client-hooks.ts')))
    jobs.push(one(join(health, `probes/${name}.ts`), join(bundleDir, `probe-${name}.js`), [sharedModules]))
  jobs.push(one(join(all, 'src/cli/main.ts'), join(bundleDir, 'cli.js'), []))
  jobs.push(one(join(all, 'src/cli/drill/canary.ts'), join(bundleDir, 'canary.js'), []))
  for (const name of ['core', 'health', 'async-tracker', 'afterspan']) jobs.push(inCode(join(packages, name)))
  await Promise.all(jobs)
}

/** What an app imports by the package's name, overwriting what tsc wrote: few functions, which would load all of core by `internal`. */
function inCode(dir) {
  const timersOfTheApp = { inject: [] }
  return one(join(dir, 'src/index.ts'), join(dir, 'dist/index.js'), [], timersOfTheApp)
}

/** In place of the globals, which the app may replace. */
const ownGlobals = join(packages, 'core/src/own-globals.ts')

/** The official instrumentations that core depends on by name. */
function instrumentations() {
  return readdirSync(join(packages, 'core/node_modules/@opentelemetry'))
    .filter((name) => name.startsWith('instrumentation-'))
    .map((name) => name.slice('instrumentation-'.length))
}

async function one(entry, outfile, plugins, { resolveDir, target = 'node22.15', inject = [ownGlobals] } = {}) {
  const input = resolveDir
    ? { stdin: { contents: `export * from ${JSON.stringify(entry)}`, resolveDir } }
    : { entryPoints: [entry] }
  if (!resolveDir && !existsSync(entry)) throw new Error(`build: ${entry} is missing`)
  const { outputFiles } = await build({
    ...input,
    write: false,
    outfile,
    plugins: [...plugins, onlyWhatIsUsed, workspaceSources, noMachineId],
    absWorkingDir: root,
    bundle: true,
    platform: 'node',
    format: 'cjs',
    target,
    inject,
    logLevel: 'warning',
    legalComments: 'none',
    external: ['import-in-the-middle', 'import-in-the-middle/*', 'pg'],
    // Both formats of a dual package in one bundle would be two copies of it.
    conditions: ['import'],
    mainFields: ['module', 'main'],
  })
  mkdirSync(dirname(outfile), { recursive: true })
  for (const { path, text } of outputFiles) writeFileSync(path, lazyBuiltins(text))
}

/** Our own packages enter bundles from their sources, so that one build step does not wait for another. */
const workspaceSources = {
  name: 'workspace-sources',
  setup(b) {
    b.onResolve({ filter: /^@afterspan\/(core|health|async-tracker)(\/.*)?$/ }, ({ path }) => {
      const [, name, sub] = /^@afterspan\/([^/]+)(?:\/(.*))?$/.exec(path)
      return { path: join(packages, name, 'src', `${sub ?? 'index'}.ts`) }
    })
  },
}

/** Modules of ours of which nothing is used are left out: none does anything for others when it is loaded. Else each bundle that asks `internal` for one thing holds a good part of core. */
const onlyWhatIsUsed = {
  name: 'only-what-is-used',
  setup(b) {
    b.onResolve({ filter: /^\.\.?\/.*\.ts$/ }, ({ path, resolveDir }) => ({
      path: join(resolveDir, path),
      sideEffects: false,
    }))
  },
}

/** Built-in modules that are loaded by the first use of one of their names: TLS, perf_hooks or crypto cost a millisecond and more each, and not every app has them already. */
const LAZY_BUILTINS = /^var (import_\w+) = require\("((?:node:)?(?:crypto|https|perf_hooks|v8|zlib))"\);$/gm

/** In place of the module an object with a getter for each name that the bundle asks of it; the first one that is used puts the module itself there. */
function lazyBuiltins(text) {
  return text.replace(LAZY_BUILTINS, (line, variable, module) => {
    const uses = [...text.matchAll(new RegExp(`\\b${variable}\\b(?:\\.(\\w+))?`, 'g'))].slice(1)
    if (uses.some(([, name]) => name === undefined)) return line
    const getters = [...new Set(uses.map(([, name]) => name))].map(
      (name) => `get ${name}() { return (${variable} = require(${JSON.stringify(module)})).${name}; }`,
    )
    return `var ${variable} = { ${getters.join(', ')} };`
  })
}

/** Machine ids, which nothing of ours asks for: by their dynamic imports esbuild would wrap every module that they need in a function. */
const noMachineId = {
  name: 'no-machine-id',
  setup(b) {
    b.onLoad({ filter: /\/getMachineId\.m?js$/ }, () => ({ contents: 'export async function getMachineId() {}' }))
  },
}

/** Without `node:`, which old versions do not know. */
const plainBuiltins = {
  name: 'plain-builtins',
  setup(b) {
    b.onResolve({ filter: /^node:/ }, ({ path }) => ({ path: path.slice('node:'.length), external: true }))
  },
}

/** The register stays one small file: the preload bundle is loaded by it, after its guard. */
const bundleStaysOutside = {
  name: 'bundle-stays-outside',
  setup(b) {
    b.onResolve({ filter: /^\.\/bundle\/preload\.js$/ }, ({ path }) => ({ path, external: true }))
  },
}

/** Instrumentation bundles take the OpenTelemetry base from the preload bundle: one copy in the process, and it costs its start-up time once. For require-in-the-middle they get our own hook; why, is said there. */
const sharedModules = {
  name: 'shared-modules',
  setup(b) {
    b.onResolve({ filter: /^(@opentelemetry\/(api|core|instrumentation)|require-in-the-middle)$/ }, ({ path, kind }) =>
      kind === 'entry-point' || b.initialOptions.stdin?.contents.includes(JSON.stringify(path))
        ? undefined
        : { path, namespace: 'shared' },
    )
    b.onLoad({ filter: /.*/, namespace: 'shared' }, ({ path }) => ({
      contents: `module.exports = globalThis[Symbol.for('afterspan/1')].shared[${JSON.stringify(path)}]`,
      loader: 'js',
    }))
  },
}

const started = performance.now()
step('generated files', () => run(process.execPath, [join(root, 'scripts/gen.mjs')]))
step('types and CommonJS', () =>
  run(process.execPath, [
    join(root, 'node_modules/typescript/bin/tsc'),
    '-b',
    ...(process.argv.includes('--force') ? ['--force'] : []),
  ]),
)
await bundle()
if (!process.argv.includes('--quiet')) console.error(`built in ${((performance.now() - started) / 1000).toFixed(1)} s`)
