import { closeSync, existsSync, fstatSync, openSync, readdirSync, readSync } from 'node:fs'
import { join } from 'node:path'
import { HEADER_BYTES } from '../journal/record-header.ts'

/**
 * A ledger that may have something to tell, a journal to read, or what a dead process left. Not what process `own` writes of requests
 * alone: while it lives there is nothing to tell of them, and when it is dead it is others who find that.
 */
export function hasWork(dir: string, own = ''): boolean {
  if (existsSync(join(dir, 'ledger.db'))) return true
  return ['journal', 'flight', 'spool'].some((name) => {
    const folder = join(dir, name)
    try {
      // Asked four times a second, mostly of folders that are not there: an error is dearer than the question.
      return (
        existsSync(folder) && readdirSync(folder).some((file) => !file.startsWith(`${own}.`) || isNews(folder, file))
      )
    } catch {
      return false
    }
  })
}

/** Of the own files: spans that the process has left to the patrol, and a journal that says more than whose it is. */
function isNews(folder: string, file: string): boolean {
  return file.endsWith('.wal') ? hasMoreThanOne(join(folder, file)) : !/\.(slots|timers|live)$/.test(file)
}

/** Records, by the length that the first of them has. */
function hasMoreThanOne(journal: string): boolean {
  const fd = openSync(journal, 'r')
  try {
    const header = Buffer.alloc(HEADER_BYTES)
    if (readSync(fd, header, 0, HEADER_BYTES, 0) < HEADER_BYTES) return false
    return fstatSync(fd).size > HEADER_BYTES + header.readUInt32LE(4)
  } finally {
    closeSync(fd)
  }
}
