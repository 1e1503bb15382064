// Spans that a process could not deliver itself: whole export requests, one file each, sent by whoever patrols, or by the next
// process. The name of a file says what it holds: <process>.<number>.<spans>.<errors|others>.otlp
import { readdirSync, readFileSync, renameSync, statSync, unlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'

export interface SpooledFile {
  readonly file: string
  readonly spans: number
  readonly isErrors: boolean
  readonly bytes: number
  readonly changedAt: number
}

export function spooledName(file: {
  readonly key: string
  readonly number: number
  readonly spans: number
  readonly isErrors: boolean
}): string {
  return `${file.key}.${file.number}.${file.spans}.${file.isErrors ? 'errors' : 'others'}.otlp`
}

/** Each file is looked at for each that comes, and the app waits for that. */
const MOST_FILES = 1_000

/** Makes room for one more, where the folder may hold so many bytes: what is no error goes first, the oldest first. */
export function makeRoom(
  folder: string,
  wanted: {
    readonly bytes: number
    readonly isErrors: boolean
    readonly maxBytes: number
    readonly onDropped: (spans: number) => void
  },
): boolean {
  const { bytes, isErrors, maxBytes, onDropped } = wanted
  if (bytes > maxBytes) return false
  const files = listSpool(folder)
  let sum = files.reduce((total, file) => total + file.bytes, bytes)
  let left = files.length
  const hasRoom = (): boolean => sum <= maxBytes && left < MOST_FILES
  const others = files.filter((file) => !file.isErrors)
  for (const old of isErrors ? [...others, ...files.filter((file) => file.isErrors)] : others) {
    if (hasRoom()) return true
    removeSpooled(folder, old.file)
    onDropped(old.spans)
    sum -= old.bytes
    left--
  }
  return hasRoom()
}

/** In the order in which they are to be told: errors, then the rest; of each the oldest first. */
export function listSpool(folder: string): SpooledFile[] {
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

export function readSpooled(folder: string, file: string): Uint8Array | undefined {
  try {
    return readFileSync(join(folder, file))
  } catch {
    return undefined // its own process has delivered it
  }
}

export function removeSpooled(folder: string, file: string): void {
  try {
    unlinkSync(join(folder, file))
  } catch {
    // its own process has delivered it
  }
}

/** The rest of it takes its place, once that is on disk. False: it is as it was. */
export function shortenSpooled(folder: string, file: string, rest: Uint8Array, spans: number): boolean {
  const name = file.replace(/\.\d+\.(errors|others)\.otlp$/, `.${spans}.$1.otlp`)
  const unfinished = join(folder, `${name}.new`)
  try {
    writeFileSync(unfinished, rest, { mode: 0o600 })
    renameSync(unfinished, join(folder, name))
    if (name !== file) removeSpooled(folder, file)
    return true
  } catch {
    removeSpooled(folder, `${name}.new`)
    return false
  }
}
