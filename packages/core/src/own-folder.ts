import { lstatSync, mkdirSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

/** The user's own folder in the system's folder for temporary files; undefined on Windows, which has no users by number. It need not be there. */
export function ownFolder(): string | undefined {
  return process.getuid ? join(tmpdir(), `afterspan-${process.getuid()}`) : undefined
}

/** Makes the folder where it is missing, and says whether it is only ours (0700). Throws where it cannot be made. */
export function isOurs(path: string): boolean {
  try {
    mkdirSync(path, { mode: 0o700 })
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error
  }
  const found = lstatSync(path)
  return found.isDirectory() && found.uid === process.getuid?.() && (found.mode & 0o077) === 0
}
