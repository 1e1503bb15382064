import { spawn, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { mkdirSync } from 'node:fs'
import { join } from 'node:path'

/** Holds a door as `createDoor` does, in a process of its own, which the caller ends. */
export async function holdDoor(dir: string, key: string): Promise<ChildProcess> {
  const script = `require('node:net').createServer((s) => s.destroy()).listen(${JSON.stringify(join(dir, 'doors', key))}, () => console.log('held'))`
  mkdirSync(join(dir, 'doors'), { recursive: true })
  const child = spawn(process.execPath, ['-e', script], { stdio: ['ignore', 'pipe', 'inherit'] })
  await once(child.stdout!, 'data')
  return child
}
