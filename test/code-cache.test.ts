// V8's code of the preload, kept from one start of a service to the next.
import { existsSync, readdirSync, readFileSync, statSync, truncateSync, utimesSync } from 'node:fs'
import { platform } from 'node:os'
import { dirname, join } from 'node:path'
import { get, nodesUnderTest, pollUntil, startPreloaded, tempDir } from '@afterspan/testing'
import { describe, expect, test } from 'vitest'
import { appFile, listening } from './app.ts'

const PARTS = ['preload', 'side-health', 'side-main', 'side-patrol']

/** Part to its kept file; undefined as long as one of them is missing. */
function keptIn(tmp: string): Map<string, string> | undefined {
  const dir = join(tmp, `afterspan-${process.getuid?.()}`, 'code')
  try {
    const files = readdirSync(dir).filter((name) => !name.includes('.'))
    const kept = new Map(files.map((name) => [name.replace(/-[0-9a-f]+$/, ''), join(dir, name)]))
    return PARTS.every((part) => kept.has(part)) ? kept : undefined
  } catch {
    return undefined // none yet
  }
}

describe.skipIf(platform() === 'win32').each(nodesUnderTest())('on Node $major', ({ path: node }) => {
  test('a start takes the kept code, and one whose kept code is torn compiles and keeps it again', async () => {
    const TMPDIR = tempDir('tmp')
    const start = async (): Promise<() => Promise<void>> => {
      const app = startPreloaded({ app: appFile('express.cjs'), node, env: { TMPDIR } })
      const url = await listening(app)
      expect((await get(`${url}/throws`)).status).toBe(500)
      expect((await get(`${await app.adminUrl()}/readyz`)).status).toBe(200)
      return async () => {
        expect(app.stderr).not.toContain('[afterspan]')
        await app.stop()
      }
    }
    const stopFirst = await start()
    const kept = await pollUntil(() => keptIn(TMPDIR), { what: 'the kept code' })
    await stopFirst()
    expect([...kept.values()].map((file) => (statSync(file).mode & 0o777).toString(8))).toEqual(
      [...kept.values()].map(() => '600'),
    )

    const inode = (part: string): number => statSync(kept.get(part)!).ino
    const preload = inode('preload')
    const torn = kept.get('side-main')!
    const whole = readFileSync(torn).length
    truncateSync(torn, whole / 2)
    // What has lain there for long is not swept away with the folders of metrics.
    utimesSync(dirname(torn), 0, 0)
    const stopNext = await start()
    // What is not taken is written again: the side thread starts after the preload, and writes after it.
    await pollUntil(() => statSync(torn).size > whole / 2, { what: 'the code that is kept again' })
    expect(inode('preload')).toBe(preload)
    await stopNext()
  })

  test('a script that ends at once leaves its compiled code to the next, one that fails does not', async () => {
    const TMPDIR = tempDir('tmp')
    const dir = join(TMPDIR, `afterspan-${process.getuid?.()}`, 'code')
    const run = (exitCode: number): Promise<unknown> =>
      startPreloaded({ app: appFile('exits.cjs'), args: [String(exitCode)], node, env: { TMPDIR } }).exit
    await run(3)
    expect(existsSync(dir)).toBe(false)
    await run(0)
    const [preload] = readdirSync(dir).filter((name) => name.startsWith('preload-'))
    const { ino } = statSync(join(dir, preload!))
    await run(0)
    expect(statSync(join(dir, preload!)).ino).toBe(ino)
  })
})
