import {
  lstatSync,
  mkdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  symlinkSync,
  unlinkSync,
  writeFileSync,
} from 'node:fs'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest'
import { journalDir, parseSegmentFile, segmentFile } from '../../src/journal/segment.ts'
import { JournalWriter } from '../../src/journal/writer.ts'
import { tempDir } from '../../../testing/src/temp-dir.ts'
import { confirmed, failed, oneOfEach, opened, spawned, WEB } from '../sample-events.ts'
import { eventsIn, segmentsIn } from './segments.ts'

let now = 0
beforeEach(() => {
  now = 5_000
  vi.spyOn(performance, 'now').mockImplementation(() => now)
})
afterEach(() => {
  vi.restoreAllMocks()
})

interface Bundle {
  readonly dir: string
  readonly writer: JournalWriter
  readonly troubles: string[]
  readonly file: (number: number) => string
}
function setUp(dir = tempDir('writer')): Bundle {
  const troubles: string[] = []
  const onTrouble = (error: NodeJS.ErrnoException): void => void troubles.push(error.code ?? error.message)
  const writer = new JournalWriter({ dir, key: WEB, opened: () => opened(WEB), onTrouble })
  const file = (number: number): string => join(journalDir(dir), segmentFile({ key: WEB, number }))
  return { dir, writer, troubles, file }
}
const numbered = (n: number, more = ''): ReturnType<typeof confirmed> => confirmed(n, { messageId: `m${n}${more}` })

test('each event is in the file when append returns, after the record that says who writes', () => {
  const { dir, writer, file } = setUp()
  const events = oneOfEach()
  for (const [i, event] of events.entries()) {
    expect(writer.append(event)).toBe(true)
    expect(segmentsIn(dir)).toMatchObject([{ events: [opened(WEB), ...events.slice(0, i + 1)], torn: 0 }])
  }
  expect(statSync(file(1)).mode & 0o777).toBe(0o600)
  expect(statSync(journalDir(dir)).mode & 0o777).toBe(0o700)
})

test('nothing is made before there is something to write; open() makes the file with its first record', () => {
  const { dir, writer } = setUp()
  expect(writer.hasWritten).toBe(false)
  expect(() => segmentsIn(dir)).toThrow('ENOENT')
  writer.open()
  writer.open()
  expect(writer.hasWritten).toBe(true)
  expect(segmentsIn(dir)).toMatchObject([{ events: [opened(WEB)] }])
  expect(writer.append(numbered(1))).toBe(true)
  expect(segmentsIn(dir)).toMatchObject([{ events: [opened(WEB), numbered(1)] }])
})

test('at 4 MiB a new segment begins, which says again who writes', () => {
  const { dir, writer } = setUp()
  const written = Array.from({ length: 150 }, (_, n) => numbered(n, 'x'.repeat(60_000)))
  for (const event of written) expect(writer.append(event)).toBe(true)
  const segments = segmentsIn(dir)
  expect(segments.map(({ file }) => parseSegmentFile(file)?.number)).toEqual([1, 2, 3])
  for (const { events, bytes } of segments) {
    expect(events[0]).toEqual(opened(WEB))
    expect(bytes).toBeLessThan(4 * 1024 * 1024 + 61_000)
  }
  expect(eventsIn(dir)).toEqual(written)
})

test('after close the next event begins a new segment', () => {
  const { dir, writer } = setUp()
  writer.append(numbered(1))
  writer.close()
  writer.close()
  writer.append(numbered(2))
  expect(segmentsIn(dir)).toHaveLength(2)
  expect(eventsIn(dir)).toEqual([numbered(1), numbered(2)])
})

test('what may wait is written with the next that may not, or before the reactions that are queued after it, in the order of time', async () => {
  const { dir, writer } = setUp()
  writer.append(numbered(1))
  expect(writer.append(numbered(2), true)).toBe(true)
  expect(writer.append(numbered(3), true)).toBe(true)
  expect(eventsIn(dir)).toEqual([numbered(1)])
  writer.append(numbered(4))
  expect(eventsIn(dir)).toEqual([1, 2, 3, 4].map((n) => numbered(n)))
  writer.append(numbered(5), true)
  const seen = await Promise.resolve().then(() => eventsIn(dir))
  expect(seen).toEqual([1, 2, 3, 4, 5].map((n) => numbered(n)))
  writer.append(numbered(6), true)
  writer.close()
  expect(eventsIn(dir)).toHaveLength(6)
})

test('more than 64 KiB do not wait', () => {
  const { dir, writer } = setUp()
  for (let n = 1; n <= 3; n++) writer.append(numbered(n, 'x'.repeat(30_000)), true)
  expect(eventsIn(dir)).toHaveLength(3)
})

test('an event that is too large is refused, and counted; those after it are written', () => {
  const { dir, writer, troubles } = setUp()
  expect(writer.append(numbered(1, 'x'.repeat(70_000)))).toBe(false)
  expect(writer.append(numbered(2))).toBe(true)
  expect(eventsIn(dir)).toEqual([numbered(2)])
  expect({ troubles, dropped: writer.dropped, errors: writer.errors }).toEqual({ troubles: [], dropped: 1, errors: 0 })
  // Whoever published it comes again without the span.
  expect(writer.append(failed(3, 1, { span: { scope: 'x', bytes: 'A'.repeat(70_000) } }))).toBe(false)
  expect(writer.dropped).toBe(1)
})

test('an existing file is never written to, nor through a symbolic link', () => {
  const { dir, writer, troubles, file } = setUp()
  mkdirSync(journalDir(dir))
  writeFileSync(join(dir, 'target'), 'precious')
  symlinkSync(join(dir, 'target'), file(1))
  expect(writer.append(numbered(1))).toBe(true)
  expect(troubles).toEqual(['EEXIST'])
  now += 1_001
  writer.append(numbered(2))
  expect(readFileSync(join(dir, 'target'), 'utf8')).toBe('precious')
  unlinkSync(file(1))
  expect(eventsIn(dir)).toEqual([numbered(1), numbered(2)])
})

describe('a file that was taken away under the writer is noticed within two seconds', () => {
  test.for([
    ['the file', ({ file }: Bundle) => unlinkSync(file(1))],
    ['the whole folder', ({ dir }: Bundle) => rmSync(dir, { recursive: true })],
  ] as const)('%s', ([, takeAway]) => {
    const bundle = setUp()
    const { dir, writer, troubles } = bundle
    writer.append(numbered(1))
    takeAway(bundle)
    now += 1_999
    writer.append(numbered(2)) // into nothing
    now += 1
    writer.append(numbered(3))
    expect(segmentsIn(dir)).toMatchObject([{ events: [opened(WEB), numbered(3)] }])
    expect(troubles).toEqual([])
  })
})

describe('where the journal cannot be written', () => {
  /** The folder of journals cannot be made: there is a file of its name. */
  function setUpBlocked(): Bundle & { readonly unblock: () => void } {
    const bundle = setUp()
    writeFileSync(journalDir(bundle.dir), 'in the way')
    return { ...bundle, unblock: () => renameSync(journalDir(bundle.dir), join(bundle.dir, 'aside')) }
  }

  test('events wait in memory, and come in order when it can be written again, a second later at the earliest', () => {
    const { dir, writer, troubles, unblock } = setUpBlocked()
    for (let n = 1; n <= 5; n++) expect(writer.append(numbered(n))).toBe(true)
    expect(troubles).toEqual(['EEXIST'])
    unblock()
    now += 999
    writer.append(numbered(6))
    expect(lstatSync(dir).isDirectory() && writer.errors).toBe(1)
    now += 1
    writer.append(numbered(7))
    expect(eventsIn(dir)).toEqual([1, 2, 3, 4, 5, 6, 7].map((n) => numbered(n)))
    expect(writer.dropped).toBe(0)
  })
  test('what was held stayed in memory until the next event came', () => {
    vi.useFakeTimers({ toFake: ['setTimeout'] })
    try {
      const { dir, writer, troubles, unblock } = setUpBlocked()
      for (let n = 1; n <= 3; n++) writer.append(numbered(n))
      now += 1_000
      vi.advanceTimersByTime(1_000)
      expect(troubles).toEqual(['EEXIST', 'EEXIST'])
      unblock()
      now += 1_000
      vi.advanceTimersByTime(1_000)
      expect(eventsIn(dir)).toEqual([1, 2, 3].map((n) => numbered(n)))
      expect(vi.getTimerCount()).toBe(0)
    } finally {
      vi.useRealTimers()
    }
  })

  test('it is tried again each second, and no more often', () => {
    const { writer, troubles } = setUpBlocked()
    for (let i = 0; i < 100; i++) {
      writer.append(numbered(i))
      now += 100
    }
    expect(troubles).toHaveLength(10)
    expect(writer.errors).toBe(10)
  })
  test('a parent that is a file, and one that is not there to be written, are no more than trouble', () => {
    const parent = tempDir('writer')
    writeFileSync(join(parent, 'file'), '')
    for (const dir of [join(parent, 'file', 'below'), '/proc/afterspan']) {
      const { writer, troubles } = setUp(dir)
      writer.open()
      expect(writer.append(numbered(1))).toBe(true)
      now += 1_000
      expect(writer.append(numbered(2))).toBe(true)
      expect(troubles).toEqual([expect.stringMatching(/^E[A-Z]+$/), expect.stringMatching(/^E[A-Z]+$/)])
    }
  })
  test('beyond 10,000 events those that do not fit are refused and counted, and the first 10,000 are kept', () => {
    const { dir, writer, unblock } = setUpBlocked()
    const kept = Array.from({ length: 10_000 }, (_, n) => n)
    for (const n of kept) expect(writer.append(numbered(n))).toBe(true)
    for (let n = 0; n < 7; n++) expect(writer.append(numbered(10_000 + n))).toBe(false)
    expect(writer.dropped).toBe(7)
    unblock()
    now += 1_000
    expect(writer.append(numbered(99_999))).toBe(true)
    expect(eventsIn(dir)).toEqual([...kept, 99_999].map((n) => numbered(n)))
  })

  test('an event that is too large is refused here too, so that whoever published it can tell it otherwise', () => {
    const { dir, writer, unblock } = setUpBlocked()
    expect(writer.append(numbered(1))).toBe(true)
    expect(writer.append(numbered(2, 'x'.repeat(70_000)))).toBe(false)
    unblock()
    now += 1_000
    expect(writer.append(spawned(3))).toBe(true)
    expect(eventsIn(dir)).toEqual([numbered(1), spawned(3)])
  })
})
