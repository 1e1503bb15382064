import { describe, expect, test } from 'vitest'
import type { JournalEvent } from '@afterspan/core/internal'
import { readRecords } from '../../src/journal/reader.ts'
import { HEADER_BYTES, MAGIC, MOST_PAYLOAD_BYTES } from '../../src/journal/record-header.ts'
import { encodeRecord } from '../../src/journal/record.ts'
import { failed, FAILURE, oneOfEach, spawned } from '../sample-events.ts'
import { endsOf, journalOf, recordOf } from './bytes.ts'

const events = oneOfEach()
const journal = journalOf(events)
const ends = endsOf(events)
/** Its text looks like the beginning of a record. */
const DECEPTIVE = failed(9, 1, {
  failure: { ...FAILURE, message: 'the header is ASJ1, then the length, then ASJ1 again' },
})

test('what was written is read, of each kind', () => {
  expect(readRecords(journal, true)).toEqual({ events, consumed: journal.length, torn: 0 })
  expect(readRecords(journal, false)).toEqual({ events, consumed: journal.length, torn: 0 })
  expect(readRecords(Buffer.alloc(0), true)).toEqual({ events: [], consumed: 0, torn: 0 })
})

test('an event that is too large for a record, or is no JSON, has none; the largest that fits is read', () => {
  const sized = (bytes: number): JournalEvent => {
    const bare = JSON.stringify(spawned(1, { name: '' })).length
    return spawned(1, { name: 'x'.repeat(bytes - bare) })
  }
  expect(encodeRecord(sized(MOST_PAYLOAD_BYTES + 1))).toBeUndefined()
  expect(encodeRecord(spawned(1, { name: 'ř'.repeat(MOST_PAYLOAD_BYTES / 2) }))).toBeUndefined()
  expect(encodeRecord({ ...spawned(1), name: 1n } as never)).toBeUndefined()
  const largest = [sized(MOST_PAYLOAD_BYTES), spawned(2)]
  expect(readRecords(journalOf(largest), true).events).toEqual(largest)
})

describe('while it is being written', () => {
  test('cut off anywhere, whole records are read and the rest waits', () => {
    for (let length = 0; length < journal.length; length++) {
      const whole = ends.filter((end) => end <= length).length
      expect(readRecords(journal.subarray(0, length), false)).toEqual({
        events: events.slice(0, whole),
        consumed: ends[whole - 1] ?? 0,
        torn: 0,
      })
    }
  })
  test.for([events, [...events, DECEPTIVE, ...events, DECEPTIVE]])(
    'in pieces of whatever size it is read the same',
    (written) => {
      const bytes = journalOf(written)
      for (let size = 1; size <= 300; size++)
        expect([size, inPieces(bytes, size)]).toEqual([size, { events: written, torn: 0 }])
    },
  )
  test('a deceptive text is no damage, wherever the reading was cut off in it', () => {
    const bytes = journalOf([DECEPTIVE])
    for (let length = 0; length < bytes.length; length++)
      expect(readRecords(bytes.subarray(0, length), false)).toEqual({ events: [], consumed: 0, torn: 0 })
  })
})

describe('when its writer is gone', () => {
  test('cut off anywhere, whole records are read and what is torn at the end is counted once', () => {
    for (let length = 0; length <= journal.length; length++) {
      const whole = ends.filter((end) => end <= length).length
      expect(readRecords(journal.subarray(0, length), true)).toEqual({
        events: events.slice(0, whole),
        consumed: length,
        torn: length === (ends[whole - 1] ?? 0) ? 0 : 1,
      })
    }
  })
})

test('a write that was cut short anywhere, and others after it: only the torn one is missing', () => {
  const record = recordOf(DECEPTIVE)
  for (let length = 1; length < record.length; length++)
    for (const isFinal of [true, false]) {
      const bytes = Buffer.concat([journal, record.subarray(0, length), journal])
      const { events: read, consumed, torn } = readRecords(bytes, isFinal)
      expect([length, read.length, consumed, torn]).toEqual([length, 2 * events.length, bytes.length, 1])
    }
})

test('a length that promises more than there may be is damage before anything is allocated for it', () => {
  const header = Buffer.alloc(HEADER_BYTES)
  header.writeUInt32LE(MAGIC, 0)
  for (const length of [0, MOST_PAYLOAD_BYTES + 1, 0xffffffff]) {
    header.writeUInt32LE(length, 4)
    expect(readRecords(Buffer.concat([header, journal]), false)).toEqual({
      events,
      consumed: HEADER_BYTES + journal.length,
      torn: 1,
    })
    expect(readRecords(header, false)).toEqual({ events: [], consumed: HEADER_BYTES - 3, torn: 1 })
  }
})

test('damage, then half a record: its other half makes it whole, wherever it was cut', () => {
  const damaged = Buffer.from(journal)
  damaged.writeUInt8(damaged[20]! ^ 1, 20)
  for (let length = 21; length < ends[3]!; length++) {
    const first = readRecords(damaged.subarray(0, length), false)
    const second = readRecords(damaged.subarray(first.consumed), false)
    expect([length, [...first.events, ...second.events]]).toEqual([length, events.slice(1)])
  }
})

test('a megabyte of beginnings is read in a moment', () => {
  const magics = Buffer.alloc(1024 * 1024, Buffer.from(Uint32Array.of(MAGIC).buffer))
  const from = performance.now()
  expect(readRecords(Buffer.concat([magics, journal]), true).events).toEqual(events)
  expect(performance.now() - from).toBeLessThan(2_000)
})

function inPieces(bytes: Buffer, size: number): { readonly events: JournalEvent[]; readonly torn: number } {
  const events: JournalEvent[] = []
  let at = 0
  let torn = 0
  for (let length = size; length < bytes.length + size; length += size) {
    const isLast = length >= bytes.length
    const read = readRecords(bytes.subarray(at, length), isLast)
    events.push(...read.events)
    at += read.consumed
    torn += read.torn
  }
  return { events, torn }
}
