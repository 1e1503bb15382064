import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { runApp } from '../src/run-app.ts'
import { pollUntil } from '../src/signals.ts'

test.each(['exit', 'SIGTERM', 'SIGINT', 'uncaught'])(
  'a runner that ends by %s leaves no child and no folder',
  async (way) => {
    const runner = runApp({ args: [join(import.meta.dirname, 'fixtures/forgetful-runner.mjs'), way] })
    const [, pid, child, folder] = await runner.waitForLine(/^left (\d+) (\d+) (\S+)$/)
    expect(await runner.exit).toEqual(
      { exit: { code: 0, signal: null }, uncaught: { code: 1, signal: null } }[way] ?? { code: null, signal: way },
    )
    await pollUntil(() => !isThere(Number(pid)) && !isThere(Number(child)))
    expect(existsSync(folder ?? '')).toBe(false)
  },
)

/** A zombie is gone as well: where pid 1 reaps nobody, it stays in the table. */
function isThere(pid: number): boolean {
  try {
    return !/\) [ZX] /.test(readFileSync(`/proc/${pid}/stat`, 'latin1'))
  } catch {
    return false
  }
}
