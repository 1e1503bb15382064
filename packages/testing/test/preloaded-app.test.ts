import { mkdirSync, copyFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, onTestFinished, test } from 'vitest'
import { startPreloaded } from '../src/preloaded-app.ts'
import type { PreloadedOptions } from '../src/preloaded-app.ts'
import { tempDir } from '../src/temp-dir.ts'

const fixtures = join(import.meta.dirname, 'fixtures')

test.each(['require', 'import', 'NODE_OPTIONS'] as const)('by %s the preload comes before the app', async (preload) => {
  const app = start({ preload, args: ['one', 'two'] })
  await app.exit
  expect(app.stdout.replace(/\{.*\}/, '…')).toBe('preloaded …\napp one two\n')
})

test('a path with a space survives NODE_OPTIONS', async () => {
  const folder = join(tempDir(), 'with space')
  mkdirSync(folder)
  copyFileSync(join(fixtures, 'register.cjs'), join(folder, 'register.cjs'))
  const app = start({ preload: 'NODE_OPTIONS', register: join(folder, 'register.cjs') })
  await app.exit
  expect(app.stdout).toContain('preloaded')
})

test('spans go to the sink, the ledger into a folder, and the admin listener takes any port', async () => {
  const app = start({ sink: { url: 'http://127.0.0.1:9' } })
  await app.exit
  expect(configOf(app.stdout)).toEqual({
    AFTERSPAN_LEDGER_DIR: app.ledgerDir,
    OTEL_EXPORTER_OTLP_ENDPOINT: 'http://127.0.0.1:9',
    OTEL_EXPORTER_PROMETHEUS_PORT: '0',
  })
})

test('without a sink spans go nowhere; what the test sets goes before', async () => {
  const app = start({ ledgerDir: '/given', env: { OTEL_EXPORTER_PROMETHEUS_PORT: '9464' } })
  await app.exit
  expect(configOf(app.stdout)).toEqual({
    AFTERSPAN_LEDGER_DIR: '/given',
    OTEL_EXPORTER_PROMETHEUS_PORT: '9464',
    OTEL_TRACES_EXPORTER: 'none',
  })
})

test('the address of the admin listener is awaited, and can be asked again', async () => {
  const app = start({ env: { ADDRESS: 'http://127.0.0.1:4711\n', STAY_MS: '10000' } })
  expect(await app.adminUrl()).toBe('http://127.0.0.1:4711')
  expect(await app.adminUrl()).toBe('http://127.0.0.1:4711')
})

test('an app that ends without an admin listener is told with its output', async () => {
  const app = start({})
  await expect(app.adminUrl()).rejects.toThrow(/the app ended \(code 0\), no admin listener\n-- stdout --\npreloaded/)
})

test('an admin listener that does not come is told at the deadline', async () => {
  const app = start({ env: { STAY_MS: '10000' } })
  await expect(app.adminUrl(50)).rejects.toThrow('no admin listener within 50 ms')
})

function start(options: Partial<PreloadedOptions>): ReturnType<typeof startPreloaded> {
  const app = startPreloaded({ app: join(fixtures, 'app.cjs'), register: join(fixtures, 'register.cjs'), ...options })
  onTestFinished(async () => void (await app.stop()))
  return app
}

function configOf(stdout: string): unknown {
  return JSON.parse(/^preloaded (.*)$/m.exec(stdout)?.[1] ?? '')
}
