import { existsSync, readdirSync } from 'node:fs'
import { join } from 'node:path'

/** A ledger that may have something to tell, a journal to read, or what a dead process left. */
export function hasWork(dir: string): boolean {
  if (existsSync(join(dir, 'ledger.db'))) return true
  return ['journal', 'flight', 'spool'].some((folder) => {
    try {
      return readdirSync(join(dir, folder)).length > 0
    } catch {
      return false
    }
  })
}
