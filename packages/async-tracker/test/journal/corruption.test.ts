// At most one record is lost for each damage, none is invented, and nothing throws, whatever the bytes are.
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { readRecords } from '../../src/journal/reader.ts'
import { oneOfEach } from '../sample-events.ts'
import { endsOf, journalOf, missing } from './bytes.ts'

const events = oneOfEach()
const journal = journalOf(events)

describe.each([
  ['when its writer is gone', true],
  ['while it is being written', false],
] as const)('%s', (_, isFinal) => {
  test.for([
    ['0', () => 0],
    ['255', () => 255],
    ['its lowest bit turned', (byte: number) => byte ^ 1],
    ['its highest bit turned', (byte: number) => byte ^ 128],
  ] as const)('each byte set to %s', ([, damage]) => {
    const worst = { missing: 0, torn: 0 }
    for (let at = 0; at < journal.length; at++) {
      const bytes = Buffer.from(journal)
      bytes[at] = damage(bytes[at]!)
      const { events: read, torn, consumed } = readRecords(bytes, isFinal)
      const gone = missing(events, read)
      if (gone < 0 || gone > 1 || torn > 1 || consumed > bytes.length)
        throw new Error(`byte ${at}: ${gone} missing, ${torn} torn, ${consumed} consumed`)
      if (isFinal && gone !== torn) throw new Error(`byte ${at}: ${gone} missing, but ${torn} torn`)
      worst.missing = Math.max(worst.missing, gone)
      worst.torn = Math.max(worst.torn, torn)
    }
    expect(worst).toEqual({ missing: 1, torn: 1 })
  })

  test('a zero-filled end of any length hides nothing before it, nor after it', () => {
    for (const zeros of [1, 3, 4, 11, 12, 13, 100, 4096, 70_000]) {
      const tail = Buffer.alloc(zeros)
      const alone = readRecords(Buffer.concat([journal, tail]), isFinal)
      expect(alone).toMatchObject({ events, torn: 1 })
      const between = readRecords(Buffer.concat([journal, tail, journal]), isFinal)
      expect(between).toMatchObject({ events: [...events, ...events], torn: 1 })
    }
  })

  test('a block of any size and place that was written twice: nothing is invented, at most one record is missing', () => {
    const texts = new Set(events.map((event) => JSON.stringify(event)))
    const property = fc.property(fc.nat(journal.length), fc.nat(journal.length), (a, b) => {
      const [from, to] = a < b ? [a, b] : [b, a]
      const { events: read } = readRecords(Buffer.concat([journal.subarray(0, to), journal.subarray(from)]), isFinal)
      const found = new Set(read.map((event) => JSON.stringify(event)))
      expect(found.size).toBeGreaterThanOrEqual(events.length - 1)
      for (const text of found) expect(texts).toContain(text)
    })
    expect(() => fc.assert(property, { numRuns: 500 })).not.toThrow()
  })

  test('a stretch of any size and place that is gone: nothing is invented, what lies outside of it is read', () => {
    const ends = endsOf(events)
    const property = fc.property(fc.nat(journal.length), fc.nat(journal.length), (a, b) => {
      const [from, to] = a < b ? [a, b] : [b, a]
      const { events: read } = readRecords(Buffer.concat([journal.subarray(0, from), journal.subarray(to)]), isFinal)
      const kept = events.filter((_, i) => ends[i]! <= from || (ends[i - 1] ?? 0) >= to)
      expect(missing(events, read)).toBeGreaterThanOrEqual(0)
      expect(missing(read, kept)).toBeGreaterThanOrEqual(0)
    })
    expect(() => fc.assert(property, { numRuns: 500 })).not.toThrow()
  })

  test('bytes of no journal hold no event, and are consumed to the end', () => {
    const property = fc.property(fc.uint8Array({ maxLength: 300 }), (bytes) => {
      const { events: read, consumed } = readRecords(Buffer.from(bytes), isFinal)
      expect(read).toEqual([])
      expect(consumed).toBe(isFinal ? bytes.length : Math.min(consumed, bytes.length))
    })
    expect(() => fc.assert(property, { numRuns: 2_000 })).not.toThrow()
  })
})

test('many damages at once: each costs at most one record', () => {
  const damages = fc.array(fc.record({ at: fc.nat(journal.length - 1), bit: fc.nat(7) }), {
    minLength: 1,
    maxLength: 8,
  })
  const property = fc.property(damages, (all) => {
    const bytes = Buffer.from(journal)
    for (const { at, bit } of all) bytes[at] = bytes[at]! ^ (1 << bit)
    const gone = missing(events, readRecords(bytes, true).events)
    expect(gone).toBeGreaterThanOrEqual(0)
    expect(gone).toBeLessThanOrEqual(all.length)
  })
  expect(() => fc.assert(property, { numRuns: 3_000 })).not.toThrow()
})
