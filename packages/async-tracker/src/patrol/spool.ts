// Spans that a process could not deliver itself: whole export requests, one file each, sent by whoever patrols. The name of a file
// says what it holds: <process>.<number>.<spans>.<errors|others>.otlp
import { readdirSync, readFileSync, statSync, unlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { Spool } from '@afterspan/core/internal'
import { makeFolder } from '../make-folder.ts'

export interface SpooledFile {
  readonly file: string
  readonly spans: number
  readonly isErrors: boolean
  readonly bytes: number
  readonly changedAt: number
}

/** At most so many bytes in the folder, of all processes together; beyond them what is no error goes first, the oldest first. */
export function createSpool(options: {
  readonly dir: string
  readonly key: string
  readonly maxBytes: number
  /** Spans that had to go for others. */
  readonly onDropped: (spans: number) => void
}): Spool {
  const { dir, key, maxBytes, onDropped } = options
  const folder = join(dir, 'spool')
  let number = 0
  return (body, { spans, isErrors }) => {
    try {
      makeFolder(folder)
      if (!makeRoom(dir, body.length, isErrors, maxBytes, onDropped)) return undefined
      const file = join(folder, `${key}.${number++}.${spans}.${isErrors ? 'errors' : 'others'}.otlp`)
      writeFileSync(file, body, { flag: 'wx', mode: 0o600 })
      return () => {
        unlinkSync(file)
      }
    } catch {
      return undefined // no folder, a full disk: the caller counts what is lost
    }
  }
}

function makeRoom(
  dir: string,
  bytes: number,
  isErrors: boolean,
  maxBytes: number,
  onDropped: (spans: number) => void,
): boolean {
  if (bytes > maxBytes) return false
  const files = listSpool(dir)
  let sum = files.reduce((total, file) => total + file.bytes, bytes)
  // What is told last goes first.
  for (const old of files.reverse()) {
    if (sum <= maxBytes) return true
    if (old.isErrors && !isErrors) return false
    removeSpooled(dir, old.file)
    onDropped(old.spans)
    sum -= old.bytes
  }
  return sum <= maxBytes
}

/** In the order in which they are to be told: errors, then the rest; of each the oldest first. */
export function listSpool(dir: string): SpooledFile[] {
  const folder = join(dir, 'spool')
  let names: string[]
  try {
    names = readdirSync(folder)
  } catch {
    return []
  }
  return names
    .flatMap((file) => {
      const found = /\.(\d+)\.(errors|others)\.otlp$/.exec(file)
      const stat = found && statSync(join(folder, file), { throwIfNoEntry: false })
      if (!stat) return []
      const isErrors = found[2] === 'errors'
      return [{ file, spans: Number(found[1]), isErrors, bytes: stat.size, changedAt: stat.mtimeMs }]
    })
    .sort((a, b) => Number(b.isErrors) - Number(a.isErrors) || a.changedAt - b.changedAt)
}

export function readSpooled(dir: string, file: string): Uint8Array | undefined {
  try {
    return readFileSync(join(dir, 'spool', file))
  } catch {
    return undefined // its own process has delivered it
  }
}

export function removeSpooled(dir: string, file: string): void {
  try {
    unlinkSync(join(dir, 'spool', file))
  } catch {
    // its own process has delivered it
  }
}
