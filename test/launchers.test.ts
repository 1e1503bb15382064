// What starts, builds or tests apps is left alone, whatever it is started by; what runs an app in its own process is that app.
import { cpSync, mkdirSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { registerPath, runApp, startPreloaded, tempDir } from '@afterspan/testing'
import { startOtlpSink } from 'afterspan/internal'
import { expect, test } from 'vitest'
import { appFile } from './app.ts'

const ASKS_ITSELF = appFile('loading/asks-itself.cjs')

/** A project with a script at that path. */
function projectWith(path: string, script = ASKS_ITSELF): { readonly root: string; readonly file: string } {
  const root = tempDir('project')
  const file = join(root, path)
  mkdirSync(dirname(file), { recursive: true })
  writeFileSync(join(root, 'package.json'), '{"name":"shop","version":"1.2.3"}')
  cpSync(script, file)
  return { root, file }
}

test.each([
  // `next build` said that it could not export, and so did all that pnpm starts by the file behind a command.
  ['node_modules/next/dist/bin/next', 'build', 'left alone'],
  ['node_modules/.bin/next', 'build', 'left alone'],
  ['node_modules/next/dist/bin/next', 'start', 'watched'],
  ['node_modules/next/dist/compiled/jest-worker/processChild.js', '', 'left alone'],
  ['node_modules/@react-router/dev/bin.js', 'build', 'left alone'],
  ['node_modules/@react-router/serve/bin.js', 'build/server.js', 'watched'],
  ['node_modules/.pnpm/tsx@4.0.0/node_modules/tsx/dist/cli.mjs', 'app.ts', 'left alone'],
  ['node_modules/@nestjs/cli/bin/nest.js', 'start', 'left alone'],
  ['node_modules/webpack-cli/bin/cli.js', '', 'left alone'],
  ['node_modules/pm2/lib/Daemon.js', '', 'left alone'],
  ['node_modules/pm2/lib/ProcessContainerFork.js', '', 'watched'],
  ['node_modules/ts-node/dist/bin.js', 'app.ts', 'watched'],
  ['node_modules/@acme/shop/main.js', 'build', 'watched'],
  // A folder that is called as a tool is, and an app that is started by its folder.
  ['nest/index.js', '', 'watched'],
  ['vite.js', 'build', 'watched'],
])('%s %s is %s', async (path, command, expected) => {
  const { root, file } = projectWith(path.replace('.mjs', '.js'))
  const script = path === 'nest/index.js' ? dirname(file) : file
  const env = { NODE_OPTIONS: `--require ${JSON.stringify(registerPath())}`, OTEL_TRACES_EXPORTER: 'none', HOME: root }
  const app = runApp({ cwd: root, args: [script, command], env })
  expect(await app.exit).toMatchObject({ code: 0 })
  expect([app.stdout, app.stderr]).toEqual([`${expected}\n`, ''])
})

/** As PM2 does it in cluster mode. */
const CONTAINER = `
const given = JSON.parse(process.env.pm2_env)
Object.assign(process.env, given)
delete process.env.pm2_env
require(given.pm_exec_path)
`

test.each([
  ['the folder of the app', 'index.js', undefined, 'shop'],
  ['a command of a package', 'node_modules/next/dist/bin/next', undefined, 'shop'],
  // The service was called pm2, and the variables of its own were not seen.
  ['PM2 in cluster mode', 'node_modules/pm2/lib/ProcessContainer.js', {}, 'shop'],
  [
    'PM2 in cluster mode, with a name',
    'node_modules/pm2/lib/ProcessContainer.js',
    { OTEL_SERVICE_NAME: 'till' },
    'till',
  ],
])('a service that is started by %s has its own name', async (_, path, given, name) => {
  const sink = await startOtlpSink()
  const { root, file } = projectWith(path)
  let env: Record<string, string> = { AFTERSPAN_EXIT_HOLD_MS: '10000' }
  if (given) {
    const app = projectWith('bin/app.js')
    writeFileSync(file, CONTAINER)
    env = { ...env, pm2_env: JSON.stringify({ ...given, pm_exec_path: app.file, instances: 2 }) }
  }
  const service = startPreloaded({ app: path === 'index.js' ? root : file, cwd: root, sink, env })
  await service.exit
  await sink.waitFor((spans) => spans.length > 0)
  expect(sink.spans().map(({ resource }) => [resource['service.name'], resource['service.version']])).toEqual(
    sink.spans().map(() => [name, '1.2.3']),
  )
  await sink.close()
})
