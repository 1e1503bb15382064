import { mkdirSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:net'
import { once } from 'node:events'
import { dirname, join } from 'node:path'
import { afterEach, beforeEach, expect, test, vi } from 'vitest'
import { wakeWhenListening } from '../../src/side-thread/wake.ts'
import { tempDir } from '../../../testing/src/temp-dir.ts'

const script = process.argv[1]
beforeEach(() => {
  vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] })
})
afterEach(() => {
  vi.useRealTimers()
  process.argv[1] = script!
})

function run(path: string): string {
  const file = join(tempDir('script'), path)
  mkdirSync(dirname(file), { recursive: true })
  writeFileSync(file, '')
  return (process.argv[1] = file)
}

test("an app's own script is looked at when it has lived for five seconds", () => {
  run('app.js')
  const wake = vi.fn<() => void>()
  wakeWhenListening(wake)
  vi.advanceTimersByTime(4_999)
  expect(wake).not.toHaveBeenCalled()
  vi.advanceTimersByTime(1)
  expect(wake).toHaveBeenCalledOnce()
})

test('a tool that lives long does not take the port of the app that it starts', async () => {
  run('node_modules/watcher/bin/watcher.js')
  const wake = vi.fn<() => void>()
  wakeWhenListening(wake)
  vi.advanceTimersByTime(60_000)
  const pipe = createServer().listen(join(tempDir('pipe'), 'rpc.sock'))
  await once(pipe, 'listening')
  expect(wake).not.toHaveBeenCalled()
  pipe.close()

  const server = createServer().listen(0, '127.0.0.1') // `next start` is such a script too
  await once(server, 'listening')
  expect(wake).toHaveBeenCalledOnce()
  server.close()
})

test('a process manager that runs the app in its own process has named its script by then', () => {
  run('node_modules/pm2/lib/ProcessContainer.js')
  const wake = vi.fn<() => void>()
  wakeWhenListening(wake)
  run('app.js')
  vi.advanceTimersByTime(5_000)
  expect(wake).toHaveBeenCalledOnce()
})
