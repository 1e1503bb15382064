import { spawn } from 'node:child_process'
import { fileURLToPath } from 'node:url'

/** Starts an app of `apps/` under a contestant and waits until it listens. */
export async function startApp(app, contestant) {
  const env = { ...process.env, ...contestant.env }
  delete env.NODE_OPTIONS
  for (const name of Object.keys(env)) if (name.startsWith('AFTERSPAN_TEST_')) delete env[name]
  const startedAt = performance.now()
  const child = spawn(
    process.execPath,
    [...contestant.args, fileURLToPath(new URL(`apps/${app}.cjs`, import.meta.url))],
    { env, stdio: ['ignore', 'ignore', 'inherit', 'ipc'] },
  )
  const listening = await message(child, 'listening')
  return {
    ...listening,
    wallMs: performance.now() - startedAt,
    usage() {
      child.send('usage')
      return message(child, 'usage')
    },
    /** Of an app that tells it. */
    memory() {
      child.send('memory')
      return message(child, 'memory')
    },
    async stop() {
      const gone = new Promise((resolve) => child.once('exit', resolve))
      child.kill('SIGKILL')
      await gone
    },
  }
}

function message(child, kind) {
  return new Promise((resolve, reject) => {
    const ended = (code) => reject(new Error(`the app ended with ${code} before it said ${kind}`))
    child.on('message', function listen(received) {
      if (received.kind !== kind) return
      child.off('message', listen)
      child.off('exit', ended)
      resolve(received)
    })
    child.once('exit', ended)
  })
}
