// What core alone leaves behind: <ledger folder>/undelivered/<collector>/, one file for an export, by the names of the spool. Each
// collector has a folder of its own: what was meant for one is no other's to have. Who takes a file gives it another name first.
import { readdirSync, renameSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { TakenExport, Undelivered } from '../contracts/undelivered.ts'
import { findLedgerDir } from '../ledger-dir.ts'
import { makeFolder } from '../make-folder.ts'
import { newUuid } from '../uuid.ts'
import { listSpool, makeRoom, readSpooled, removeSpooled, spooledName, type SpooledFile } from './spool.ts'

export interface UndeliveredSettings {
  /** The ledger folder. */
  readonly dir: string
  /** A name for the collector, safe in a path. */
  readonly collector: string
  /** Of all that waits for this collector. */
  readonly maxBytes: number
  /** Spans that had to go for others. */
  readonly onDropped: (spans: number) => void
  /** What came last had to go: errors alone wait, or it is larger than all the room. */
  readonly onNoRoom: () => void
}

/** Whoever has taken a file and has neither removed nor given it back by then is dead: an export takes ten seconds at the most. */
const MOST_TAKEN_MS = 60_000
const TAKEN = /^(.+\.otlp)\.[^.]+\.taken$/
const UNFINISHED = /\.new$/

export function createUndelivered({ dir, collector, maxBytes, onDropped, onNoRoom }: UndeliveredSettings): Undelivered {
  const folder = join(dir, 'undelivered', collector)
  const key = newUuid().replaceAll('-', '').slice(16)
  let number = 0
  return {
    keep(request, { spans, isErrors }) {
      try {
        if ('trouble' in findLedgerDir(dir)) return false
        makeFolder(folder)
        if (!makeRoom(folder, { bytes: request.length, isErrors, maxBytes, onDropped })) {
          onNoRoom()
          return false
        }
        const name = spooledName({ key, number: number++, spans, isErrors })
        const unfinished = join(folder, `${name}.new`)
        writeFileSync(unfinished, request, { mode: 0o600, flag: 'wx' })
        renameSync(unfinished, join(folder, name))
        return true
      } catch {
        return false
      }
    },
    take(mostBytes) {
      try {
        if ('trouble' in findLedgerDir(dir)) return []
        takeFromTheDead(folder)
        let left = mostBytes
        return listSpool(folder).flatMap((one) => {
          if (one.bytes > left) return []
          const taken = takeOne(folder, one, key)
          if (taken) left -= one.bytes
          return taken ?? []
        })
      } catch {
        return []
      }
    },
  }
}

/** Undefined where somebody else was faster. */
function takeOne(folder: string, { file, spans, isErrors }: SpooledFile, key: string): TakenExport | undefined {
  const mine = `${file}.${key}.taken`
  try {
    renameSync(join(folder, file), join(folder, mine))
  } catch {
    return undefined
  }
  const request = readSpooled(folder, mine)
  if (!request) return undefined
  return {
    request,
    spans,
    isErrors,
    giveBack() {
      try {
        renameSync(join(folder, mine), join(folder, file))
      } catch {
        // the folder is gone, or is no longer ours to write
      }
    },
    remove() {
      removeSpooled(folder, mine)
    },
  }
}

/** What they had taken waits again, what they had begun is gone. By the time at which the file got its name, which is what ctime says of a file that nobody writes to. */
function takeFromTheDead(folder: string): void {
  const now = Date.now()
  for (const name of readdirSync(folder)) {
    const file = TAKEN.exec(name)?.[1]
    if (!file && !UNFINISHED.test(name)) continue
    const stat = statSync(join(folder, name), { throwIfNoEntry: false })
    if (!stat || Math.abs(now - stat.ctimeMs) < MOST_TAKEN_MS) continue
    if (file) renameSync(join(folder, name), join(folder, file))
    else removeSpooled(folder, name)
  }
}
