import { randomBytes } from 'node:crypto'
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'

/** The name of a ledger folder among those of other hosts: made once, kept in it, so that a restart goes on under the same. */
export function folderId(dir: string): string {
  const file = join(dir, 'folder-id')
  const known = read(file)
  if (known) return known
  try {
    writeFileSync(file, randomBytes(16).toString('hex'), { mode: 0o600, flag: 'wx' })
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error
    const other = read(file)
    if (other) return other
    writeFileSync(file, randomBytes(16).toString('hex'), { mode: 0o600 }) // what is there is no id
  }
  return read(file)!
}

function read(file: string): string | undefined {
  try {
    const id = readFileSync(file, 'utf8').trim()
    return /^[0-9a-f]{32}$/.test(id) ? id : undefined
  } catch {
    return undefined
  }
}
