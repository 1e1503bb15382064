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
    const next = bytes.indexOf(MAGIC_BYTES, at + 1)
    if (record.kind === 'incomplete' && next < 0 && !isFinal) break
    torn++
    if (next >= 0) at = next
    else if (isFinal) at = bytes.length
    else {
      // Keep what may be the beginning of a magic.
      at = Math.max(at + 1, bytes.length - 3)
      break
    }
  }
  return { events, consumed: Math.min(at, bytes.length), torn }
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
    return { kind: 'event', event: JSON.parse(payload.toString()) as JournalEvent, end }
  } catch {
    return { kind: 'damaged' }
  }
}
