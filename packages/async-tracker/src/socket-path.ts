import { closeSync, openSync } from 'node:fs'
import { join } from 'node:path'

/** Longest name that the kernel takes for a socket. */
const MOST_PATH_BYTES = 107

/** Calls `use` with a path of the socket that is short enough, whatever the folder's length: by way of a descriptor of the folder. */
export function withSocketPath<T>(dir: string, name: string, use: (path: string, done: () => void) => T): T {
  const path = join(dir, name)
  if (Buffer.byteLength(path) <= MOST_PATH_BYTES) return use(path, () => {})
  let fd: number | undefined = openSync(dir, 'r')
  return use(`/proc/self/fd/${fd}/${name}`, () => {
    if (fd !== undefined) closeSync(fd) // once: its number may be somebody else's by now
    fd = undefined
  })
}
