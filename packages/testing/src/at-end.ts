// What this process leaves behind when it ends: nothing. vitest ends its workers by SIGTERM, where 'exit' is not emitted,
// so that signals are handled too and then do what they would have done.
import { existsSync, rmSync } from 'node:fs'

const children = new Set<number>()
const folders = new Set<string>()
let isArmed = false

/** Kills the process group of this child when the runner ends; the returned function takes that back. */
export function killAtEnd(pid: number): () => void {
  arm()
  children.add(pid)
  return () => {
    children.delete(pid)
  }
}

/** Removes the folder and all in it when the runner ends, after the children are dead. */
export function removeAtEnd(folder: string): void {
  arm()
  folders.add(folder)
}

/** SIGKILL to the child and to what it has started; false if none of them is left. */
export function killGroup(pid: number): boolean {
  try {
    return process.kill(-pid, 'SIGKILL')
  } catch {
    return false
  }
}

/** Whether any process of the child's group is left. */
export function isGroupAlive(pid: number): boolean {
  try {
    return process.kill(-pid, 0)
  } catch {
    return false
  }
}

function arm(): void {
  if (isArmed) return
  isArmed = true
  process.on('exit', cleanUp)
  for (const signal of ['SIGHUP', 'SIGINT', 'SIGTERM'] as const)
    process.once(signal, () => {
      cleanUp()
      process.kill(process.pid, signal)
    })
}

function cleanUp(): void {
  for (const pid of children) killGroup(pid)
  children.clear()
  for (const folder of folders) remove(folder)
  folders.clear()
}

/** Again and again: a dying child may still write, and `rmSync` stops half-way, and says nothing, when it removes a file in the same moment. */
function remove(folder: string): void {
  for (let attempt = 0; attempt < 10 && existsSync(folder); attempt++) {
    try {
      rmSync(folder, { recursive: true, force: true, maxRetries: 3 })
    } catch {
      // what cannot be removed stays where temporary files are
    }
  }
}
