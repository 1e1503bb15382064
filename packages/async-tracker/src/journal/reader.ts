import { crc32 } from 'node:zlib'
import type { JournalEvent } from '@afterspan/core/internal'
import { HEADER_BYTES, MAGIC, MOST_PAYLOAD_BYTES } from './record-header.ts'

export interface ReadResult {
  readonly events: readonly JournalEvent[]
  /** Bytes that are done with: what follows may still be in the writing. */
  readonly consumed: number
  /** Stretches of damage that were skipped. */
  readonly torn: number
}

const MAGIC_BYTES = Buffer.from(Uint32Array.of(MAGIC).buffer)

/**
 * Complete, undamaged records of a stretch of a journal, in order. `isFinal`: the writer is gone, so an incomplete record at the
 * end is damage; without it the end is left for the next read. Never throws, whatever the bytes are.
 */
export function readRecords(bytes: Buffer, isFinal: boolean): ReadResult {
  const events: JournalEvent[] = []
  let at = 0
  let torn = 0
  while (at < bytes.length) {
    const record = readAt(bytes, at)
    if (typeof record === 'object') {
      events.push(record)
      at += HEADER_BYTES + bytes.readUInt32LE(at + 4)
      continue
    }
    const { whole, begun } = nextRecord(bytes, at + 1)
    // Torn only where a whole record follows: the text of an event may look like the beginning of one.
    if (record === 'incomplete' && whole < 0 && !isFinal) break
    torn++
    if (whole >= 0) at = whole
    else if (isFinal) at = bytes.length
    else {
      // Keep what may be the beginning of a record, or of a magic.
      at = begun >= 0 ? begun : Math.max(at + 1, bytes.length - 3)
      break
    }
  }
  return { events, consumed: Math.min(at, bytes.length), torn }
}

/** Where the next undamaged record is, and the first that may be in the writing before it; -1 where there is none. */
function nextRecord(bytes: Buffer, from: number): { readonly whole: number; readonly begun: number } {
  let begun = -1
  for (let at = bytes.indexOf(MAGIC_BYTES, from); at >= 0; at = bytes.indexOf(MAGIC_BYTES, at + 1)) {
    const found = readAt(bytes, at)
    if (typeof found === 'object') return { whole: at, begun }
    if (found === 'incomplete' && begun < 0) begun = at
  }
  return { whole: -1, begun }
}

function readAt(bytes: Buffer, at: number): JournalEvent | 'incomplete' | 'damaged' {
  if (bytes.length - at < HEADER_BYTES) {
    const begins = MAGIC_BYTES.subarray(0, Math.min(4, bytes.length - at))
    return bytes.subarray(at, at + begins.length).equals(begins) ? 'incomplete' : 'damaged'
  }
  if (bytes.readUInt32LE(at) !== MAGIC) return 'damaged'
  const length = bytes.readUInt32LE(at + 4)
  if (length === 0 || length > MOST_PAYLOAD_BYTES) return 'damaged'
  const end = at + HEADER_BYTES + length
  if (end > bytes.length) return 'incomplete'
  if (crc32(bytes.subarray(at + HEADER_BYTES, end)) !== bytes.readUInt32LE(at + 8)) return 'damaged'
  try {
    const event = JSON.parse(bytes.toString('utf8', at + HEADER_BYTES, end)) as JournalEvent | null
    return typeof event?.kind === 'string' ? event : 'damaged'
  } catch {
    return 'damaged'
  }
}
