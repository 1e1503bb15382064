// Reads what is new in the journals. The place is kept in the ledger, with what was read: nothing is read twice, nothing is missed.
import {
  closeSync,
  constants,
  existsSync,
  fstatSync,
  lstatSync,
  openSync,
  readdirSync,
  readSync,
  unlinkSync,
} from 'node:fs'
import { isUnderstood } from '../journal/event-check.ts'
import { readRecords } from '../journal/reader.ts'
import { journalDir, parseSegmentFile, segmentPath } from '../journal/segment.ts'
import type { SegmentRow } from '../ledger/store.ts'
import type { Batch } from './digest.ts'

const ROUND_BYTES = 1024 * 1024
/** A whole record, of whatever length, is within it. */
const LEAST_BYTES = 128 * 1024
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
/** What is read, and how much. */
export interface Reading {
  /** Of which writers; absent: of all. */
  readonly isWanted?: (key: string) => boolean
  readonly isFinal?: (key: string) => boolean
  /** Asked after each round, where more is there. */
  readonly isEnough: () => boolean
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

/**
 * One round over the segments, of bounded size. `isFinal` says of a writer that it is gone: then a torn end is damage. Where more is
 * there than one round takes, each writer has its part of it: who promised a task and who did it are then read side by side, and the
 * task is written once, not once for each of them.
 */
export function tail(
  dir: string,
  segments: readonly Segment[],
  offsets: ReadonlyMap<string, number>,
  isFinal: (key: string) => boolean,
): Tailed {
  const round = { batches: [] as Batch[], segments: [] as SegmentRow[], torn: 0, strange: 0, hasMore: false }
  const writers = unreadOf(dir, segments, offsets)
  const total = writers.reduce((sum, { bytes }) => sum + bytes, 0)
  let left = ROUND_BYTES
  for (const { key, files, bytes } of writers) {
    let share = total > ROUND_BYTES ? Math.ceil(bytes * (ROUND_BYTES / total)) : bytes
    for (const { file, offset, isLast } of files) {
      if (left <= 0 || share <= 0) {
        round.hasMore = true
        break
      }
      const read = readFrom(segmentPath(dir, file), offset, share)
      if (!read || read.bytes.length === 0) continue
      const isClosed = !isLast || isFinal(key)
      const { events: all, consumed, torn } = readRecords(read.bytes, isClosed && read.isEnd)
      const events = all.every(isUnderstood) ? all : all.filter(isUnderstood)
      round.strange += all.length - events.length
      round.torn += torn
      if (events.length > 0) round.batches.push({ by: key, events })
      if (consumed > 0) round.segments.push({ file, offset: offset + consumed })
      left -= read.bytes.length
      share = read.isEnd ? share - read.bytes.length : 0 // what follows waits for the rest of it
      if (!read.isEnd) round.hasMore = true
    }
  }
  return round
}

interface Unread {
  readonly key: string
  readonly bytes: number
  readonly files: readonly { readonly file: string; readonly offset: number; readonly isLast: boolean }[]
}

/** What each writer has written since it was last read; a file in which nothing is new is not opened. */
function unreadOf(dir: string, segments: readonly Segment[], offsets: ReadonlyMap<string, number>): readonly Unread[] {
  const writers = new Map<string, { key: string; bytes: number; files: Unread['files'][number][] }>()
  for (const [i, { file, key }] of segments.entries()) {
    const offset = offsets.get(file) ?? 0
    const bytes = (bytesOf(dir, file) ?? 0) - offset
    if (bytes <= 0) continue
    const unread = { file, offset, isLast: segments[i + 1]?.key !== key }
    const writer = writers.get(key)
    if (writer) {
      writer.bytes += bytes
      writer.files.push(unread)
    } else writers.set(key, { key, bytes, files: [unread] })
  }
  return [...writers.values()]
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
    const stat = fstatSync(fd)
    const { size, uid } = stat
    if (!stat.isFile() || (process.getuid && uid !== process.getuid())) return undefined
    const length = Math.min(size - offset, Math.max(most, LEAST_BYTES))
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
  return existsSync(segmentPath(dir, file))
}

/** Undefined: it is not there. */
export function bytesOf(dir: string, file: string): number | undefined {
  return lstatSync(segmentPath(dir, file), { throwIfNoEntry: false })?.size
}

/** Whether a segment that is not written to any more was read to its end. */
export function isReadTo(dir: string, file: string, offset = 0): boolean {
  const size = bytesOf(dir, file)
  return size !== undefined && size <= offset
}

export function removeSegment(dir: string, file: string): void {
  try {
    unlinkSync(segmentPath(dir, file))
  } catch {
    // gone already
  }
}
