import { crc32 } from 'node:zlib'
import type { JournalEvent } from '@afterspan/core/internal'
import { HEADER_BYTES, MAGIC, MOST_PAYLOAD_BYTES } from './record.ts'

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
    if (record.kind === 'event') {
      events.push(record.event)
      at = record.end
      continue
    }
    const { whole, begun } = nextRecord(bytes, at + 1)
    // Torn only where a whole record follows: the text of an event may look like the beginning of one.
    if (record.kind === 'incomplete' && whole < 0 && !isFinal) break
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
    const { kind } = readAt(bytes, at)
    if (kind === 'event') return { whole: at, begun }
    if (kind === 'incomplete' && begun < 0) begun = at
  }
  return { whole: -1, begun }
}

type Found =
  | { readonly kind: 'event'; readonly event: JournalEvent; readonly end: number }
  | { readonly kind: 'incomplete' }
  | { readonly kind: 'damaged' }

function readAt(bytes: Buffer, at: number): Found {
  if (bytes.length - at < HEADER_BYTES) {
    const begins = MAGIC_BYTES.subarray(0, Math.min(4, bytes.length - at))
    return bytes.subarray(at, at + begins.length).equals(begins) ? { kind: 'incomplete' } : { kind: 'damaged' }
  }
  if (bytes.readUInt32LE(at) !== MAGIC) return { kind: 'damaged' }
  const length = bytes.readUInt32LE(at + 4)
  if (length === 0 || length > MOST_PAYLOAD_BYTES) return { kind: 'damaged' }
  const end = at + HEADER_BYTES + length
  if (end > bytes.length) return { kind: 'incomplete' }
  const payload = bytes.subarray(at + HEADER_BYTES, end)
  if (crc32(payload) !== bytes.readUInt32LE(at + 8)) return { kind: 'damaged' }
  try {
    const event = JSON.parse(payload.toString()) as JournalEvent | null
    return typeof event?.kind === 'string' ? { kind: 'event', event, end } : { kind: 'damaged' }
  } catch {
    return { kind: 'damaged' }
  }
}
