// The side thread among the threads of the app: how much of the machine it takes, and where its files are found.
import { readdirSync, readFileSync } from 'node:fs'
import { platform } from 'node:os'
import { join } from 'node:path'
import { nodesUnderTest, registerPath, startPreloaded, tempDir } from '@afterspan/testing'
import { expect, test } from 'vitest'
import { appFile, listening } from './app.ts'

/** Thread id to its niceness, from /proc: the 19th field, counted after the name. */
function nicenessOf(pid: number): ReadonlyMap<number, number> {
  return new Map(
    readdirSync(`/proc/${pid}/task`).map((thread) => {
      const stat = readFileSync(`/proc/${pid}/task/${thread}/stat`, 'latin1')
      return [Number(thread), Number(stat.slice(stat.lastIndexOf(')') + 2).split(' ')[16])]
    }),
  )
}

test.skipIf(platform() !== 'linux').each(nodesUnderTest())(
  'one thread yields to the app, and the app’s own keep their priority, on Node $major',
  async ({ path }) => {
    const app = startPreloaded({ app: appFile('express.cjs'), node: path })
    await listening(app)
    await app.adminUrl()
    const niceness = nicenessOf(app.pid)
    const own = niceness.get(app.pid)!
    expect([...niceness.values()].filter((value) => value !== own)).toEqual([own + 5])
    await app.stop()
  },
)

test.each(nodesUnderTest())(
  'the side thread did not find its files under the Plug’n’Play of Yarn, on Node $major',
  async ({ path }) => {
    const loadedIn = join(tempDir('plug-n-play'), 'threads')
    const env = { LOADED_IN: loadedIn, REGISTER: registerPath() }
    const app = startPreloaded({ app: appFile('express.cjs'), env, node: path, register: appFile('plug-n-play.cjs') })
    await listening(app)
    await app.adminUrl()
    expect(readFileSync(loadedIn, 'utf8')).toMatch(/^main\n(?:afterspan|thread)\n$/)
    await app.stop()
  },
)
