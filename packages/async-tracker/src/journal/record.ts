// A record: magic, length of the payload, CRC-32 of the payload, payload (JSON of one event, UTF-8). All numbers little-endian.
// A reader that meets damage goes on at the next magic: a short write before ENOSPC raises no error and leaves a torn record in
// the middle of a file, so one that stopped there would lose half of it.
import { crc32 } from 'node:zlib'
import type { JournalEvent } from '@afterspan/core/internal'

export const MAGIC = 0x314a5341 // 'ASJ1'
export const HEADER_BYTES = 12
/** Longer ones are not written, and a length above it is damage, before anything is allocated for it. */
export const MOST_PAYLOAD_BYTES = 64 * 1024

let buffer = Buffer.allocUnsafe(4096)

/** The bytes of one record, valid until the next call; undefined where the event is too large for one, or is not JSON. Never throws. */
export function encodeRecord(event: JournalEvent): Buffer | undefined {
  let text: string
  try {
    text = JSON.stringify(event)
  } catch {
    return undefined
  }
  const most = HEADER_BYTES + text.length * 3
  if (most > buffer.length) buffer = Buffer.allocUnsafe(most)
  const length = buffer.write(text, HEADER_BYTES)
  if (length > MOST_PAYLOAD_BYTES) return undefined
  buffer.writeUInt32LE(MAGIC, 0)
  buffer.writeUInt32LE(length, 4)
  buffer.writeUInt32LE(crc32(buffer.subarray(HEADER_BYTES, HEADER_BYTES + length)), 8)
  return buffer.subarray(0, HEADER_BYTES + length)
}
