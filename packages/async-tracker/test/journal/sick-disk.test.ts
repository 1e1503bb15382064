// A disk that is full, fails or is slow. What the file system says is made up here; the bytes that get through are real.
import { rmSync } from 'node:fs'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, test, vi } from 'vitest'
import { createFlightFile, readFlightFile } from '../../src/journal/flight.ts'
import { JournalWriter } from '../../src/journal/writer.ts'
import { tempDir } from '../../../testing/src/temp-dir.ts'
import { confirmed, ms, opened, received, WEB } from '../sample-events.ts'
import { eventsIn, segmentsIn } from './segments.ts'

interface Disk {
  /** How many bytes of a write get through, or its error. */
  write: (length: number) => number
  tookMs: number
}
const disk = vi.hoisted((): Disk & { now: number } => ({ write: (length) => length, tookMs: 0, now: 0 }))

vi.mock('node:fs', async (original) => {
  const fs = await original<typeof import('node:fs')>()
  const writeSync = (fd: number, bytes: Uint8Array, from: number, length: number, at?: number): number => {
    disk.now += disk.tookMs
    return fs.writeSync(fd, bytes, from, disk.write(length), at)
  }
  return { ...fs, writeSync }
})

beforeEach(() => {
  Object.assign(disk, { write: (length: number) => length, tookMs: 0, now: 5_000 })
  vi.spyOn(performance, 'now').mockImplementation(() => disk.now)
})
afterEach(() => {
  vi.restoreAllMocks()
})

function setUp(): { readonly dir: string; readonly writer: JournalWriter; readonly troubles: string[] } {
  const dir = tempDir('disk')
  const troubles: string[] = []
  const onTrouble = (error: NodeJS.ErrnoException): void => void troubles.push(error.code ?? error.message)
  return { dir, troubles, writer: new JournalWriter({ dir, key: WEB, opened: () => opened(WEB), onTrouble }) }
}
const numbered = (n: number): ReturnType<typeof confirmed> => confirmed(n, { messageId: `m${n}` })
const upTo = (n: number): unknown[] => Array.from({ length: n }, (_, i) => numbered(i + 1))

test('a write that is cut short without an error is torn, and the event is written whole into a new segment', () => {
  const { dir, writer, troubles } = setUp()
  writer.append(numbered(1))
  disk.write = () => 7
  expect(writer.append(numbered(2))).toBe(true)
  disk.write = (length) => length
  writer.append(numbered(3))
  expect(troubles).toEqual(['ENOSPC'])
  disk.now += 1_000
  writer.append(numbered(4))
  expect(segmentsIn(dir).map(({ torn }) => torn)).toEqual([1, 0])
  expect(eventsIn(dir)).toEqual(upTo(4))
})

test('of several in one write that is cut short, only those that are not whole on disk are written again', () => {
  const { dir, writer, troubles } = setUp()
  writer.append(numbered(1))
  disk.write = (length) => length / 3 + 7
  writer.append(numbered(2), true)
  writer.append(numbered(3), true)
  writer.append(numbered(4))
  disk.write = (length) => length
  disk.now += 1_000
  writer.append(numbered(5), true)
  writer.append(numbered(6))
  expect(troubles).toEqual(['ENOSPC'])
  expect(segmentsIn(dir).map(({ torn }) => torn)).toEqual([1, 0])
  expect(eventsIn(dir)).toEqual(upTo(6))
})

test.for(['ENOSPC', 'EIO', 'EROFS', 'EDQUOT', 'EFBIG'])(
  '%s in the middle: nothing is lost, the order is kept',
  (code) => {
    const { dir, writer, troubles } = setUp()
    writer.append(numbered(1))
    disk.write = () => {
      throw Object.assign(new Error(code), { code })
    }
    for (let n = 2; n <= 50; n++) {
      expect(writer.append(numbered(n))).toBe(true)
      disk.now += 100
    }
    expect(new Set(troubles)).toEqual(new Set([code]))
    expect(writer.errors).toBe(troubles.length)
    disk.write = (length) => length
    disk.now += 1_000
    writer.append(numbered(51))
    expect(eventsIn(dir)).toEqual(upTo(51))
  },
)

test.for([
  ['full', 'ENOSPC', false],
  ['slow', 'ESLOW', true],
] as const)(
  'a disk that was %s for a moment: what was held then is written before the process ends, in its order',
  ([, code, isSlow]) => {
    const { dir, writer, troubles } = setUp()
    writer.append(numbered(1))
    if (isSlow) disk.tookMs = 60
    else
      disk.write = () => {
        throw Object.assign(new Error(code), { code })
      }
    writer.append(numbered(2))
    writer.append(numbered(3))
    Object.assign(disk, { write: (length: number) => length, tookMs: 0 })
    writer.append(numbered(4))
    const last = { kind: 'exiting', at: ms(5), code: 0 } as const
    writer.append(last)
    writer.writeLast()
    writer.writeLast()
    expect(troubles).toEqual([code])
    expect(eventsIn(dir)).toEqual([...upTo(4), last])
  },
)

test('a disk that stays full is not filled with files', () => {
  const { dir, writer } = setUp()
  writer.append(numbered(1))
  for (const cut of [(): number => 0, (): number => 5]) {
    disk.write = cut
    for (let n = 0; n < 20; n++) {
      writer.append(numbered(n))
      disk.now += 1_000
    }
  }
  expect(segmentsIn(dir)).toHaveLength(1)
})

test('one slow write is borne; two in a row, and the disk is left alone for a second', () => {
  const { dir, writer, troubles } = setUp()
  writer.append(numbered(1))
  disk.tookMs = 51
  writer.append(numbered(2))
  disk.tookMs = 0
  writer.append(numbered(3))
  expect(troubles).toEqual([])
  disk.tookMs = 51
  writer.append(numbered(4))
  writer.append(numbered(5))
  expect(troubles).toEqual(['ESLOW'])
  const written = eventsIn(dir)
  expect(written).toEqual(upTo(5))
  writer.append(numbered(6))
  disk.now += 500
  writer.append(numbered(7))
  expect(eventsIn(dir)).toEqual(written)
  disk.tookMs = 0
  disk.now += 500
  writer.append(numbered(8))
  expect(eventsIn(dir)).toEqual(upTo(8))
})

test.for([60, 700, 5_000])(
  'a disk that takes %i ms for each write loses nothing, writes nothing twice, and stops the app twice a second at most',
  (tookMs) => {
    const { dir, writer } = setUp()
    let writes = 0
    disk.tookMs = tookMs
    disk.write = (length) => {
      writes++
      return length
    }
    const from = disk.now
    for (let n = 1; n <= 100; n++) {
      expect(writer.append(numbered(n))).toBe(true)
      disk.now += 50
    }
    const idleMs = disk.now - from - writes * tookMs
    expect(writes).toBeLessThanOrEqual(2 * (idleMs / 1_000 + 1))
    const before = eventsIn(dir)
    expect(before.length).toBeGreaterThan(1)
    expect(before).toEqual(upTo(before.length))
    disk.tookMs = 0
    disk.now += 1_000
    writer.append(numbered(101))
    expect(eventsIn(dir)).toEqual(upTo(101))
  },
)

test('what cannot be written as JSON is refused, and does not stand in the way of the others', () => {
  const { dir, writer, troubles } = setUp()
  const odd = { ...numbered(1), messageId: 1n } as never
  expect(writer.append(odd)).toBe(false)
  writer.append(numbered(1))
  disk.write = () => 0
  writer.append(numbered(2))
  expect(writer.append(odd)).toBe(false)
  disk.write = (length) => length
  disk.now += 1_000
  writer.append(numbered(3))
  expect(eventsIn(dir)).toEqual(upTo(3))
  expect(troubles).toEqual(['ENOSPC'])
})

test('requests waited for a disk that was slow to take their notes: two slow ones, and it is left alone', () => {
  const dir = tempDir('disk')
  const flight = createFlightFile(dir, WEB, () => {})
  const written = (): unknown[] => readFlightFile(dir, WEB).map(({ at }) => at)
  expect(flight.open(received(1, 1))).toBe(0)
  disk.tookMs = 60
  expect(flight.open(received(2, 2))).toBe(1)
  disk.tookMs = 0
  expect(flight.open(received(3, 3))).toBe(2)
  disk.tookMs = 60
  expect([4, 5, 6, 7].map((n) => flight.open(received(n, n)))).toEqual([3, 4, -1, -1])
  expect(written()).toEqual([1, 2, 3, 4, 5])
  // What stands there and is over would be told of, as if it were in flight.
  flight.close(1)
  expect(written()).toEqual([1, 3, 4, 5])
  disk.now += 4_900
  expect(flight.open(received(8, 8))).toBe(-1)
  disk.now += 200
  disk.tookMs = 0
  expect(flight.open(received(9, 9))).toBe(1)
  expect(flight.open(received(10, 10))).toBe(5)
})

test('a disk that fails for a moment takes no notes for some seconds; what ended meanwhile is not told of afterwards', () => {
  const dir = tempDir('disk')
  const troubles: unknown[] = []
  const flight = createFlightFile(dir, WEB, ({ code }) => void troubles.push(code))
  const written = (): unknown[] => readFlightFile(dir, WEB).map(({ at }) => at)
  const slots = [1, 2, 3].map((n) => flight.open(received(n, n)))
  for (const cut of [
    (): number => {
      throw Object.assign(new Error('EIO'), { code: 'EIO' })
    },
    (length: number): number => length / 2,
  ]) {
    disk.write = cut
    expect([flight.open(received(4, 4)), flight.open(received(5, 5))]).toEqual([-1, -1])
    disk.write = (length) => length
    disk.now += 4_000
    expect(flight.open(received(6, 6))).toBe(-1)
    disk.now += 2_000
    const again = flight.open(received(7, 7))
    expect(again).toBe(3)
    expect(written()).toEqual([1, 2, 3, 7])
    flight.close(again)
  }
  disk.write = () => {
    throw Object.assign(new Error('EIO'), { code: 'EIO' })
  }
  flight.close(slots[1]!)
  expect(written()).toEqual([1, 2, 3])
  disk.write = (length) => length
  flight.close(slots[2]!)
  expect(written()).toEqual([1])
  expect(troubles).toEqual(['EIO', 'ENOSPC', 'EIO'])
})

test('a file of notes that somebody takes away is made again; what stood in it is not known any more', () => {
  const dir = tempDir('disk')
  const flight = createFlightFile(dir, WEB, () => {})
  const first = flight.open(received(1, 1))
  rmSync(join(dir, 'flight'), { recursive: true })
  disk.now += 2_000
  const second = flight.open(received(2, 2))
  flight.close(first)
  expect(readFlightFile(dir, WEB)).toEqual([received(2, 2)])
  flight.close(second)
  expect(readFlightFile(dir, WEB)).toEqual([])
})

test('a journal that could not be made is none, and is made with the next request', () => {
  const { writer } = setUp()
  disk.write = () => 0
  writer.open()
  expect(writer.hasWritten).toBe(false)
  disk.write = (length) => length
  disk.now += 1_000
  writer.open()
  expect(writer.hasWritten).toBe(true)
})

test('a disk that takes seconds for a note has a twentieth of the app’s time, not all of it', () => {
  const flight = createFlightFile(tempDir('disk'), WEB, () => {})
  disk.tookMs = 3_000
  const from = disk.now
  let notes = 0
  for (let n = 1; n <= 1_000; n++) {
    if (flight.open(received(n, n)) >= 0) notes++
    disk.now += 1_000
  }
  expect((notes * disk.tookMs) / (disk.now - from)).toBeLessThan(0.06)
  expect(notes).toBeGreaterThan(10)
})
