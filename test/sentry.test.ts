// Sentry is told where the app has it. A small package of that name says what it gets.
import { once } from 'node:events'
import { copyFileSync, mkdirSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { dirname, join } from 'node:path'
import { bothFormats, get, pollUntil, startPreloaded, tempDir, type RunningApp } from '@afterspan/testing'
import { startOtlpSink } from 'afterspan/internal'
import { expect, test } from 'vitest'
import { appFile, listening, traceIdOf } from './app.ts'

const BODY = `
let isOn = false
const init = () => { isOn = true }
const isInitialized = () => isOn
const captureException = ({ name, message, stack }, context) => {
  console.log('sentry ' + JSON.stringify({ name, message, stack, ...context }))
  if (process.env.SENTRY_URL) process.getBuiltinModule('node:http').get(process.env.SENTRY_URL).on('error', () => {})
  if (process.env.SENTRY_THROWS) throw new TypeError('sentry is broken')
}
`
const NAMES = 'init, isInitialized, captureException'

/** The app in a folder of its own, with `@sentry/node` beside it. */
function folderWith(form: 'cjs' | 'mjs'): string {
  const dir = tempDir('sentry')
  const sentry = join(dir, 'node_modules/@sentry/node')
  mkdirSync(sentry, { recursive: true })
  const entries = { '.': { import: './index.mjs', require: './index.cjs' } }
  writeFileSync(
    join(sentry, 'package.json'),
    JSON.stringify({ name: '@sentry/node', version: '10.0.0', exports: entries }),
  )
  writeFileSync(join(sentry, 'index.cjs'), `${BODY}module.exports = { ${NAMES} }`)
  writeFileSync(join(sentry, 'index.mjs'), `${BODY}export { ${NAMES} }`)
  copyFileSync(appFile('sentry-app.cjs'), join(dir, 'sentry-app.cjs'))
  const app = join(dir, `app.${form}`)
  writeFileSync(
    app,
    form === 'cjs'
      ? `require('./sentry-app.cjs')(require('@sentry/node'))`
      : `import * as sentry from '@sentry/node'\nimport start from './sentry-app.cjs'\nstart(sentry)`,
  )
  return app
}
interface Event {
  readonly name: string
  readonly tags: Record<string, string>
}
function events({ stdout }: RunningApp): Event[] {
  return [...stdout.matchAll(/^sentry (.*)$/gm)].map(([, json]) => JSON.parse(json!) as Event)
}

const forms = { cjs: 'cjs', mjs: 'mjs' } as const
bothFormats('broken work is one event in Sentry, with its trace and state', forms, async ({ format, node }) => {
  const app = startPreloaded({ app: folderWith(format), node: node.path })
  const url = await listening(app)
  const call = await get(`${url}/call`)
  await pollUntil(() => events(app).length > 0, { what: 'Sentry hears of the task' })
  const traceId = traceIdOf(call)
  const tags = { 'afterspan.kind': 'task_failed', 'afterspan.task.state': 'failed', trace_id: traceId }
  expect(events(app)).toMatchObject([
    { message: expect.stringContaining('ECONNREFUSED') as string, level: 'error', tags },
  ])
  expect(events(app)[0]!.tags['afterspan.task.id']).toMatch(new RegExp(`^${traceId}`))
  expect(app.stderr).toBe('')
  await app.stop()
})

test('Sentry that was loaded before the preload is told too, and is not called too early', async () => {
  const file = folderWith('cjs')
  const env = {
    NODE_OPTIONS: `--require ${JSON.stringify(join(dirname(file), 'node_modules/@sentry/node/index.cjs'))}`,
  }
  const app = startPreloaded({ app: file, env })
  await get(`${await listening(app)}/call`)
  await pollUntil(() => events(app).length > 0, { what: 'Sentry hears of the task' })
  expect([events(app).length, app.stderr]).toEqual([1, ''])
  await app.stop()
})

test('what nobody caught is left to Sentry, which sees it by itself', async () => {
  const sink = await startOtlpSink()
  const app = startPreloaded({ app: folderWith('cjs'), sink })
  const url = await listening(app)
  const rejected = await get(`${url}/reject`)
  await sink.waitFor(() => sink.trace(traceIdOf(rejected)).some(({ name }) => name === 'unhandledRejection'))
  const called = await get(`${url}/call`)
  await pollUntil(() => events(app).length > 0, { what: 'Sentry hears of the task' })
  expect(events(app).map(({ tags }) => tags['trace_id'])).toEqual([traceIdOf(called)])
  await app.stop()
  await sink.close()
})

test.each([
  { why: 'the app has not initialised it', env: { SENTRY_INIT: 'no' } },
  { why: 'it is off', env: { AFTERSPAN_SENTRY: 'off' } },
])('Sentry is told nothing where $why', async ({ env }) => {
  const sink = await startOtlpSink()
  const app = startPreloaded({ app: folderWith('cjs'), env, sink })
  const call = await get(`${await listening(app)}/call`)
  await sink.waitFor(() =>
    sink.trace(traceIdOf(call)).some(({ attributes }) => attributes['afterspan.task.state'] === 'failed'),
  )
  expect([events(app), app.stderr]).toEqual([[], ''])
  await app.stop()
  await sink.close()
})

test('a Sentry that throws harms nothing and is said once', async () => {
  const app = startPreloaded({ app: folderWith('cjs'), env: { SENTRY_THROWS: '1' } })
  const url = await listening(app)
  await get(`${url}/call`)
  await get(`${url}/call`)
  await pollUntil(() => events(app).length > 1, { what: 'Sentry hears of both' })
  expect((await get(url)).status).toBe(200)
  expect(app.stderr.match(/AFS_\w+.*/g)).toEqual([expect.stringMatching(/^AFS_REPORT_FAILED .*sentry is broken$/)])
  await app.stop()
})

test('a process without anything left to do lived on, for as long as a Sentry that hangs did not answer', async () => {
  const hanging = createServer().listen(0, '127.0.0.1')
  const asked = once(hanging, 'request')
  await once(hanging, 'listening')
  const env = { SENTRY_URL: `http://127.0.0.1:${(hanging.address() as AddressInfo).port}` }
  const app = startPreloaded({ app: folderWith('cjs'), env })
  const url = await listening(app)
  await get(`${url}/call`)
  await asked
  await get(`${url}/end`)
  expect(await app.exit).toEqual({ code: 0, signal: null })
  hanging.closeAllConnections()
  hanging.close()
})
