import { spawn } from 'node:child_process'
import { createRequire } from 'node:module'
import { dirname, join } from 'node:path'
import { createInterface } from 'node:readline'

const folder = dirname(createRequire(import.meta.url).resolve('shop/package.json'))

/** A process of the shop, started with nothing but the preload. `line` waits for a line of its output. */
export function startShop(script, env) {
  const child = spawn(process.execPath, ['--require', 'afterspan/register', join(folder, script)], {
    cwd: folder,
    env: { ...process.env, ...env, NODE_OPTIONS: '' },
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  const lines = []
  const waiting = new Set()
  for (const stream of [child.stdout, child.stderr])
    createInterface({ input: stream }).on('line', (line) => {
      lines.push(line)
      console.log(`   │ ${line}`)
      for (const look of waiting) look(line)
    })
  const gone = new Promise((resolve) => child.once('exit', (code, signal) => resolve({ code, signal })))
  return {
    pid: child.pid,
    gone,
    line: (pattern, seconds = 20) =>
      new Promise((resolve, reject) => {
        const timer = setTimeout(
          () => reject(new Error(`${script} did not say ${pattern} within ${seconds} s`)),
          seconds * 1000,
        )
        const look = (line) => {
          const found = pattern.exec(line)
          if (!found) return
          clearTimeout(timer)
          waiting.delete(look)
          resolve(found)
        }
        waiting.add(look)
        for (const line of lines) look(line)
        void gone.then(({ code, signal }) =>
          reject(new Error(`${script} ended (${signal ?? code}) before it said ${pattern}`)),
        )
      }),
    async end(signal) {
      child.kill(signal)
      await gone
    },
  }
}
