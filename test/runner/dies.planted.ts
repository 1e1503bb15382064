/* oxlint-disable -- planted for test/runner.test.ts */
import { test } from 'vitest'

test('takes its process with it', () => {
  process.kill(process.pid, 'SIGKILL')
  return new Promise(() => {})
})
