import type { JournalEvent } from '@afterspan/core/internal'
import { encodeRecord } from '../../src/journal/record.ts'

/** A copy of the bytes of one record. */
export function recordOf(event: JournalEvent): Buffer {
  const record = encodeRecord(event)
  if (!record) throw new Error('too large for a record')
  return Buffer.from(record)
}

export function journalOf(events: readonly JournalEvent[]): Buffer {
  return Buffer.concat(events.map(recordOf))
}

/** Where each record ends. */
export function endsOf(events: readonly JournalEvent[]): number[] {
  let end = 0
  return events.map((event) => (end += recordOf(event).length))
}

/** How many of the written events are missing in what was read; -1: something was read that was not written, or in another order. */
export function missing(written: readonly JournalEvent[], read: readonly JournalEvent[]): number {
  const texts = written.map((event) => JSON.stringify(event))
  let at = 0
  for (const event of read) {
    const found = texts.indexOf(JSON.stringify(event), at)
    if (found < 0) return -1
    at = found + 1
  }
  return written.length - read.length
}
