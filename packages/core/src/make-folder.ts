import { mkdirSync, statSync } from 'node:fs'
import { dirname } from 'node:path'

/** Makes a folder, and the folders above it where they are missing, all 0700. Not by mkdirSync's own recursion: that never returns where the system says ENOENT below a folder that is there (/proc, an automounter). */
export function makeFolder(path: string): void {
  try {
    mkdirSync(path, { mode: 0o700 })
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException
    if (code === 'EEXIST' && statSync(path).isDirectory()) return
    const above = dirname(path)
    if (code !== 'ENOENT' || statSync(above, { throwIfNoEntry: false })) throw error
    makeFolder(above)
    makeFolder(path)
  }
}
