import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, onTestFinished, test, vi } from 'vitest'
import { runApp } from '../src/run-app.ts'
import { pollUntil } from '../src/signals.ts'
import { tempDir } from '../src/temp-dir.ts'

const fixture = (name: string) => join(import.meta.dirname, 'fixtures', name)

test('input, folder and environment arrive, and nothing of the runner does', async () => {
  vi.stubEnv('NODE_OPTIONS', '--no-warnings')
  vi.stubEnv('OTEL_SERVICE_NAME', 'the runner')
  onTestFinished(() => void vi.unstubAllEnvs())
  const cwd = tempDir()
  const app = runApp({ args: [fixture('echo.cjs')], cwd, env: { OWN: 'yes', LANG: undefined }, input: 'hello\n' })
  expect(await app.exit).toEqual({ code: 0, signal: null })
  expect(app.stdout).toBe(`started in ${cwd}\ngot hello\n`)
  const env = JSON.parse(app.stderr.slice('env '.length)) as Record<string, string>
  expect(env).toMatchObject({ OWN: 'yes' })
  expect(Object.keys(env).filter((name) => /^(LANG|NODE|OTEL|AFTERSPAN|VITEST|npm_)/.test(name))).toEqual([])
  expect(readdirSync(env['HOME'] ?? '')).toEqual([])
})

test('the wanted Node runs it, and by default 24', async () => {
  const versions = [22, 24, 26, undefined].map(async (node) => {
    const app = runApp({ args: ['-p', 'process.version'], ...(node ? { node: node as 22 | 24 | 26 } : {}) })
    await app.exit
    return app.stdout.slice(0, 4)
  })
  expect(await Promise.all(versions)).toEqual(['v22.', 'v24.', 'v26.', 'v24.'])
})

test('a signal reaches the process, and its end is told', async () => {
  const app = runApp({ args: [fixture('stay.cjs')] })
  onTestFinished(() => void app.stop())
  await app.waitForLine(/^child/)
  expect(app.signal('SIGTERM')).toBe(true)
  expect(await app.exit).toEqual({ code: 7, signal: null })
  expect(app.signal('SIGTERM')).toBe(false)
  await expect(app.waitForLine(/more/)).rejects.toThrow('the process ended (code 7)')
})

test('stop ends the process with those that it started, frozen or not, and is harmless again', async () => {
  const app = runApp({ args: [fixture('stay.cjs')] })
  const child = Number((await app.waitForLine(/^child (\d+)/))[1])
  expect(isThere(child)).toBe(true)
  app.signal('SIGSTOP')
  expect(await app.stop()).toEqual({ code: null, signal: 'SIGKILL' })
  await pollUntil(() => !isThere(child))
  expect(await app.stop()).toEqual({ code: null, signal: 'SIGKILL' })
})

test('an app that cannot be started says so at once', () => {
  expect(() => runApp({ args: [], cwd: '/nowhere' })).toThrow('could not be started in /nowhere')
  expect(() => runApp({ args: [], node: '/nowhere/node' })).toThrow('/nowhere/node could not be started')
})

/** A zombie is gone as well: where pid 1 reaps nobody, it stays in the table. */
function isThere(pid: number): boolean {
  try {
    return !/\) [ZX] /.test(readFileSync(`/proc/${pid}/stat`, 'latin1'))
  } catch {
    return false
  }
}
