import { existsSync, readdirSync } from 'node:fs'
import { join } from 'node:path'

/** A ledger that may have something to tell, a journal to read, or what a dead process left. */
export function hasWork(dir: string): boolean {
  if (existsSync(join(dir, 'ledger.db'))) return true
  return ['journal', 'flight', 'spool'].some((name) => {
    const folder = join(dir, name)
    try {
      // Asked four times a second, mostly of folders that are not there: an error is dearer than the question.
      return existsSync(folder) && readdirSync(folder).length > 0
    } catch {
      return false
    }
  })
}
