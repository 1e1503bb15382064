// One patrol for one ledger folder. The lock is the kernel's, on a file that nothing else opens: POSIX locks are dropped by any
// close of the same file in the process, so not even a reader may touch it.
import { statSync, unlinkSync } from 'node:fs'
import { join } from 'node:path'
import type { DatabaseSync } from 'node:sqlite'

export interface PatrolLock {
  /** True: this process is the patrol, until it ends or releases. */
  tryTake(): boolean
  /** Held, and of the folder that is there: where somebody has removed that, another may take the lock of the next. */
  isGood(): boolean
  release(): void
}

export function createPatrolLock(dir: string): PatrolLock {
  let db: DatabaseSync | undefined
  let isHeld = false
  const path = join(dir, 'patrol.lock')
  let inode: bigint | undefined
  const isThere = (): boolean => inode === inodeOf(path)
  const release = (): void => {
    isHeld = false
    inode = undefined
    db?.close()
    db = undefined
  }
  return {
    tryTake() {
      if (isHeld) return true
      if (db && !isThere()) release()
      const { DatabaseSync: Database } = require('node:sqlite') as typeof import('node:sqlite')
      try {
        db ??= new Database(path, { timeout: 0 })
        inode ??= inodeOf(path)
        db.exec('BEGIN EXCLUSIVE')
        isHeld = true
      } catch (error) {
        if (isGarbage(error)) {
          // Nobody holds it, else it were busy. Whoever makes it anew at the same time is told by isGood().
          release()
          unlinkSync(path)
        } else if (!isBusy(error)) throw error
      }
      return isHeld
    },
    isGood: () => isHeld && isThere(),
    release,
  }
}

/** Without opening it. */
function inodeOf(path: string): bigint | undefined {
  return statSync(path, { bigint: true, throwIfNoEntry: false })?.ino
}

/** What stands there is no database, as it was when it was made: empty. */
function isGarbage(error: unknown): boolean {
  const code = (error as { errcode?: number }).errcode ?? 0
  return (code & 0xff) === 11 || (code & 0xff) === 26 // SQLITE_CORRUPT, SQLITE_NOTADB
}

function isBusy(error: unknown): boolean {
  const code = (error as { errcode?: number }).errcode ?? 0
  return (code & 0xff) === 5 || (code & 0xff) === 6 // SQLITE_BUSY, SQLITE_LOCKED
}
