// A record: magic, length of the payload, CRC-32 of the payload, payload (JSON of one event, UTF-8). All numbers little-endian.
// A reader that meets damage goes on at the next magic: a short write before ENOSPC raises no error and leaves a torn record in
// the middle of a file, so one that stopped there would lose half of it.
import { crc32 } from 'node:zlib'
import type { JournalEvent } from '@afterspan/core/internal'
import { HEADER_BYTES, MAGIC, MOST_PAYLOAD_BYTES } from './record-header.ts'

/** Records that go to the disk together, one after the other. */
export class RecordGroup {
  bytes: Buffer = Buffer.allocUnsafe(4096)
  length = 0

  /** False: the event is too large for a record, or is not JSON. Never throws. */
  add(event: JournalEvent): boolean {
    let text: string
    try {
      text = JSON.stringify(event)
    } catch {
      return false
    }
    if (text.length > MOST_PAYLOAD_BYTES) return false // in UTF-8 it is no shorter
    const at = this.length
    const most = at + HEADER_BYTES + text.length * 3
    if (most > this.bytes.length) this.#grow(most)
    const { bytes } = this
    const length = bytes.write(text, at + HEADER_BYTES)
    if (length > MOST_PAYLOAD_BYTES) return false
    bytes.writeUInt32LE(MAGIC, at)
    bytes.writeUInt32LE(length, at + 4)
    bytes.writeUInt32LE(crc32(text), at + 8) // of its UTF-8: a view of the bytes costs more than to encode them again
    this.length = at + HEADER_BYTES + length
    return true
  }

  #grow(most: number): void {
    const bigger = Buffer.allocUnsafe(Math.max(most, this.bytes.length * 2))
    this.bytes.copy(bigger, 0, 0, this.length)
    this.bytes = bigger
  }
}

const alone = new RecordGroup()

/** The bytes of one record, valid until the next call; undefined where the event is too large for one, or is not JSON. Never throws. */
export function encodeRecord(event: JournalEvent): Buffer | undefined {
  alone.length = 0
  return alone.add(event) ? alone.bytes.subarray(0, alone.length) : undefined
}
