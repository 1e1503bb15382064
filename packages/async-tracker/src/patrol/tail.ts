// Reads what is new in the journals. The place is kept in the ledger, with what was read: nothing is read twice, nothing is missed.
import {
  closeSync,
  constants,
  existsSync,
  fstatSync,
  openSync,
  readdirSync,
  readSync,
  statSync,
  unlinkSync,
} from 'node:fs'
import { join } from 'node:path'
import { isUnderstood } from '../journal/event-check.ts'
import { readRecords } from '../journal/reader.ts'
import { journalDir, parseSegmentFile } from '../journal/segment.ts'
import type { SegmentRow } from '../ledger/store.ts'
import type { Batch } from './digest.ts'

const ROUND_BYTES = 4 * 1024 * 1024
const MOST_FILES = 10_000

export interface Tailed {
  readonly batches: readonly Batch[]
  readonly segments: readonly SegmentRow[]
  readonly torn: number
  /** Whole records that cannot be understood, and are skipped. */
  readonly strange: number
  /** More is there than one round takes. */
  readonly hasMore: boolean
}
export interface Segment {
  readonly file: string
  readonly key: string
  readonly number: number
}

/** Segments that are there, oldest first for each writer. */
export function listSegments(dir: string): readonly Segment[] {
  let files: string[]
  try {
    files = readdirSync(journalDir(dir))
  } catch {
    return []
  }
  const segments: Segment[] = []
  for (const file of files) {
    const name = parseSegmentFile(file)
    if (name && segments.length < MOST_FILES) segments.push({ file, ...name })
  }
  return segments.sort((a, b) => (a.key < b.key ? -1 : a.key > b.key ? 1 : a.number - b.number))
}

/** One round over the segments, of bounded size. `isFinal` says of a writer that it is gone: then a torn end is damage. */
export function tail(
  dir: string,
  segments: readonly Segment[],
  offsets: ReadonlyMap<string, number>,
  isFinal: (key: string) => boolean,
): Tailed {
  const batches: Batch[] = []
  const moved: SegmentRow[] = []
  let torn = 0
  let strange = 0
  let hasMore = false
  let left = ROUND_BYTES
  for (const [i, { file, key }] of segments.entries()) {
    if (left <= 0) {
      hasMore = true
      break
    }
    const offset = offsets.get(file) ?? 0
    const isClosed = segments[i + 1]?.key === key || isFinal(key)
    const read = readFrom(join(journalDir(dir), file), offset, left)
    if (!read || read.bytes.length === 0) continue
    const { events: all, consumed, torn: damaged } = readRecords(read.bytes, isClosed && read.isEnd)
    const events = all.every(isUnderstood) ? all : all.filter(isUnderstood)
    strange += all.length - events.length
    left -= read.bytes.length
    torn += damaged
    if (!read.isEnd) hasMore = true
    if (events.length > 0) batches.push({ by: key, events })
    if (consumed > 0) moved.push({ file, offset: offset + consumed })
  }
  return { batches, segments: moved, torn, strange, hasMore }
}

/** Only regular files of our own user: the folder is ours, but what is in it may not be. */
function readFrom(
  path: string,
  offset: number,
  most: number,
): { readonly bytes: Buffer; readonly isEnd: boolean } | undefined {
  let fd: number
  try {
    fd = openSync(path, constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK)
  } catch {
    return undefined
  }
  try {
    const { size, uid } = fstatSync(fd)
    if (!fstatSync(fd).isFile() || (process.getuid && uid !== process.getuid())) return undefined
    const length = Math.min(size - offset, Math.max(most, 128 * 1024))
    if (length <= 0) return undefined
    const bytes = Buffer.allocUnsafe(length)
    const read = readSync(fd, bytes, 0, length, offset)
    return { bytes: bytes.subarray(0, read), isEnd: offset + read >= size }
  } catch {
    return undefined
  } finally {
    closeSync(fd)
  }
}

export function hasSegment(dir: string, file: string): boolean {
  return existsSync(join(journalDir(dir), file))
}

/** Whether a segment that is not written to any more was read to its end. */
export function isReadTo(dir: string, file: string, offset: number | undefined): boolean {
  const found = statSync(join(journalDir(dir), file), { throwIfNoEntry: false })
  return found !== undefined && found.size <= (offset ?? 0)
}

export function removeSegment(dir: string, file: string): void {
  try {
    unlinkSync(join(journalDir(dir), file))
  } catch {
    // gone already
  }
}
