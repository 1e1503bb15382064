// The last changes of health, where they survive the process: <dir>/health/<nonce>.<thread>.jsonl, who wrote it on the first line and one
// change on each that follows. A change is rare, so it is written at once, in the turn in which it is told.
import {
  appendFileSync,
  existsSync,
  readdirSync,
  readFileSync,
  renameSync,
  statSync,
  unlinkSync,
  writeFileSync,
} from 'node:fs'
import { join } from 'node:path'
import {
  makeFolder,
  once,
  type EpochMs,
  type HealthChange,
  type HealthLog,
  type WorkerRef,
} from '@afterspan/core/internal'
import { keyOf } from './worker-ref.ts'

const MOST_BYTES = 128 * 1024
const MOST_CHANGES = 100
const MOST_FILES = 100
const MOST_READ_BYTES = 4 * MOST_BYTES

/** What one process said of its health. */
export interface HealthHistory {
  readonly worker: WorkerRef
  /** When the first change was written. */
  readonly openedAt: EpochMs
  /** The oldest first. */
  readonly changes: readonly HealthChange[]
}

/** Nothing is made before the first change. What cannot be written is left out: span, line and report have it too. */
export function createHealthLog(dir: string, worker: WorkerRef, now: () => EpochMs): HealthLog {
  const folder = join(dir, 'health')
  const file = join(folder, `${keyOf(worker)}.jsonl`)
  const head = once(() => JSON.stringify({ version: 1, worker, openedAt: now() }))
  const kept: HealthChange[] = []
  let bytes = 0
  return {
    add(change) {
      keep(kept, change)
      const line = `${JSON.stringify(change)}\n`
      try {
        if (bytes > 0 && bytes + line.length <= MOST_BYTES && existsSync(file)) {
          appendFileSync(file, line)
          bytes += line.length
          return
        }
        if (bytes === 0) {
          makeFolder(folder)
          makeRoom(folder)
        }
        bytes = replace(file, `${head()}\n${kept.map((one) => `${JSON.stringify(one)}\n`).join('')}`)
      } catch {
        // a disk that is full or gone
      }
    },
  }
}

/** Histories in the folder, the newest first; damaged lines are left out. */
export function readHealthLogs(dir: string): HealthHistory[] {
  const found: { readonly history: HealthHistory; readonly last: number }[] = []
  for (const file of filesIn(join(dir, 'health'))) {
    const history = read(file)
    if (history) found.push({ history, last: history.changes.at(-1)?.at ?? history.openedAt })
  }
  return found.toSorted((a, b) => b.last - a.last).map(({ history }) => history)
}

/** The newest changes, and of each check the last, however old: it says what is so now. */
function keep(kept: HealthChange[], change: HealthChange): void {
  kept.push(change)
  if (kept.length <= MOST_CHANGES) return
  const at = kept.findIndex((one, i) => kept.slice(i + 1).some(({ name }) => name === one.name))
  kept.splice(Math.max(0, at), 1)
}

/** Whole or not at all: a process that is killed meanwhile leaves the old one. */
function replace(file: string, text: string): number {
  writeFileSync(`${file}.new`, text, { mode: 0o600 })
  renameSync(`${file}.new`, file)
  return text.length
}

function makeRoom(folder: string): void {
  const files = filesIn(folder)
  if (files.length < MOST_FILES) return
  const byAge = files.map((file) => ({ file, at: statSync(file).mtimeMs })).toSorted((a, b) => a.at - b.at)
  for (const { file } of byAge.slice(0, files.length - MOST_FILES + 1)) unlinkSync(file)
}

function filesIn(folder: string): string[] {
  try {
    return readdirSync(folder)
      .filter((file) => /^[0-9a-f]{16}\.\d{1,9}\.jsonl$/.test(file))
      .map((file) => join(folder, file))
  } catch {
    return []
  }
}

function read(file: string): HealthHistory | undefined {
  try {
    if (statSync(file).size > MOST_READ_BYTES) return undefined
    const [head, ...lines] = readFileSync(file, 'utf8').split('\n')
    const { worker, openedAt } = JSON.parse(head ?? '') as HealthHistory
    if (typeof worker?.pid !== 'number') return undefined
    return { worker, openedAt, changes: lines.flatMap(parse) }
  } catch {
    return undefined
  }
}

/** Of a line that was being written when the process died, nothing. */
function parse(line: string): HealthChange[] {
  try {
    const change = JSON.parse(line) as Partial<HealthChange>
    return typeof change.name === 'string' && typeof change.at === 'number' && typeof change.to === 'string'
      ? [change as HealthChange]
      : []
  } catch {
    return []
  }
}
