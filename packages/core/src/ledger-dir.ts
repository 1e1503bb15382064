import { accessSync, chmodSync, constants, lstatSync, statSync } from 'node:fs'
import { dirname, isAbsolute, join, resolve } from 'node:path'
import type { Env } from './config/load.ts'
import { makeFolder } from './make-folder.ts'

/** Where journals and ledger are, or why they can be nowhere. */
export type LedgerDir = { readonly dir: string } | { readonly trouble: string }

/**
 * The folder by AFTERSPAN_LEDGER_DIR, else in the user's or the service's state folder; undefined where there is none to be named. Where the one that is
 * given is there for several to write to, as a volume of Kubernetes is (root's, or that of a group by `fsGroup`), one of our own in it.
 */
export function nameLedgerDir(given: string, env: Env): string | undefined {
  if (given) return ownIn(resolve(given))
  // systemd names the folders of a service that has StateDirectory=, more than one with a colon between them.
  const state = env['XDG_STATE_HOME'] || env['STATE_DIRECTORY']?.split(':')[0]
  if (state && isAbsolute(state)) return join(state, 'afterspan')
  const home = env['HOME']
  return home && isAbsolute(home) ? join(home, '.local', 'state', 'afterspan') : undefined
}

function ownIn(dir: string): string {
  const user = process.getuid?.()
  if (user === undefined) return dir
  try {
    const stat = lstatSync(dir)
    // What is another user's alone is refused when it is opened, with the reason.
    const isForSeveral = isOpen(stat.mode) || (stat.uid === 0 && user !== 0)
    if (!stat.isDirectory() || !isForSeveral) return dir
    accessSync(dir, constants.W_OK | constants.X_OK)
    const own = join(dir, `ledger-${user}`)
    const there = lstatSync(own, { throwIfNoEntry: false })
    // By `fsGroup` all that is in a volume becomes the group's with each mount.
    if (there?.isDirectory() && there.uid === user && isOpen(there.mode)) chmodSync(own, 0o700)
    return own
  } catch {
    return dir // not there yet, or of no use: told when it is opened
  }
}

function isOpen(mode: number): boolean {
  return (mode & 0o022) !== 0
}

/** Makes the folder (0700) and looks whether it can be trusted: our own, and nobody else may write to it. */
export function openLedgerDir(dir: string | undefined): LedgerDir {
  if (dir === undefined) return { trouble: NOWHERE }
  try {
    makeFolder(dir)
    return look(dir)
  } catch (error) {
    return { trouble: `${dir} cannot be used: ${(error as Error).message}` }
  }
}

/** The same without making it: it comes with the first thing to be kept, so that a tool which inherits NODE_OPTIONS leaves nothing behind. */
export function findLedgerDir(dir: string | undefined): LedgerDir {
  if (dir === undefined) return { trouble: NOWHERE }
  try {
    if (lstatSync(dir, { throwIfNoEntry: false })) return look(dir)
    let above = dirname(dir)
    while (!statSync(above, { throwIfNoEntry: false }) && above !== dirname(above)) above = dirname(above)
    if (!statSync(above).isDirectory()) return { trouble: `${dir} cannot be made: ${above} is not a folder` }
    accessSync(above, constants.W_OK | constants.X_OK)
    return { dir }
  } catch (error) {
    return { trouble: `${dir} cannot be used: ${(error as Error).message}` }
  }
}

const NOWHERE = 'no folder for the ledger: AFTERSPAN_LEDGER_DIR, XDG_STATE_HOME, STATE_DIRECTORY and HOME are not set'

function look(dir: string): LedgerDir {
  const { mode, uid } = lstatSync(dir)
  const isOurs = process.getuid === undefined || uid === process.getuid()
  if (!lstatSync(dir).isDirectory()) return { trouble: `${dir} is not a folder` }
  if (!isOurs) return { trouble: `${dir} belongs to another user (uid ${uid})` }
  if (isOpen(mode))
    return { trouble: `others may write to ${dir} (mode ${(mode & 0o777).toString(8)}): allowed is 700` }
  accessSync(dir, constants.R_OK | constants.W_OK | constants.X_OK)
  return { dir }
}
