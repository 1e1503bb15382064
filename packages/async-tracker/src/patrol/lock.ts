// One patrol for one ledger folder. The lock is the kernel's, on a file that nothing else opens: POSIX locks are dropped by any
// close of the same file in the process, so not even a reader may touch it.
import { join } from 'node:path'
import type { DatabaseSync } from 'node:sqlite'

export interface PatrolLock {
  /** True: this process is the patrol, until it ends or releases. */
  tryTake(): boolean
  release(): void
}

export function createPatrolLock(dir: string): PatrolLock {
  let db: DatabaseSync | undefined
  let isHeld = false
  return {
    tryTake() {
      if (isHeld) return true
      const { DatabaseSync: Database } = require('node:sqlite') as typeof import('node:sqlite')
      try {
        db ??= new Database(join(dir, 'patrol.lock'), { timeout: 0 })
        db.exec('BEGIN EXCLUSIVE')
        isHeld = true
      } catch (error) {
        if (!isBusy(error)) throw error
      }
      return isHeld
    },
    release() {
      isHeld = false
      db?.close()
      db = undefined
    },
  }
}

function isBusy(error: unknown): boolean {
  const code = (error as { errcode?: number }).errcode ?? 0
  return (code & 0xff) === 5 || (code & 0xff) === 6 // SQLITE_BUSY, SQLITE_LOCKED
}
