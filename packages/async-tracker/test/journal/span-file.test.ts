import { mkdirSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { WORKER } from '../sample-events.ts'
import { tempDir } from '../../../testing/src/temp-dir.ts'
import { spoolIn } from './span-files.ts'

/** A refused batch leaves its file for the next. */
function filesIn(dir: string): string[] {
  return readdirSync(join(dir, 'spool'))
    .map((file) => file.slice(WORKER.length + 1))
    .sort()
}

test('spans are kept for nobody else to read, and go when the collector has them', () => {
  const dir = tempDir('spool')
  const file = spoolIn(dir).begin(false)
  expect(file.append(Buffer.from('one'))).toBe(true)
  expect(file.append(Buffer.from('two'))).toBe(true)
  const path = join(dir, 'spool', `${WORKER}.0.live`)
  expect(readFileSync(path, 'latin1')).toBe('onetwo\0')
  expect(statSync(path).mode & 0o777).toBe(0o600)
  file.discard()
  file.discard()
  expect(readFileSync(path)[0]).toBe(0)
})

test('a file is used again, and what it held before is not taken for what it holds', () => {
  const dir = tempDir('spool')
  const spool = spoolIn(dir)
  const first = spool.begin(false)
  first.append(Buffer.from('much that is old'))
  first.discard()
  const second = spool.begin(true)
  second.append(Buffer.from('new'))
  expect(filesIn(dir)).toEqual(['0.live'])
  expect(readFileSync(join(dir, 'spool', `${WORKER}.0.live`), 'latin1')).toMatch(/^new\0/)
  second.keep(1)
  expect(readFileSync(join(dir, 'spool', `${WORKER}.0.1.errors.otlp`), 'latin1')).toBe('new')
})

test('a file that somebody has taken away is not used again', () => {
  const dir = tempDir('spool')
  const spool = spoolIn(dir)
  const first = spool.begin(false)
  first.append(Buffer.from('old'))
  first.discard()
  rmSync(join(dir, 'spool'), { recursive: true })
  const second = spool.begin(false)
  expect(second.append(Buffer.from('new'))).toBe(true)
  expect(readFileSync(join(dir, 'spool', `${WORKER}.1.live`), 'latin1')).toBe('new\0')
})

test('a batch without a span makes no file', () => {
  const dir = tempDir('spool')
  spoolIn(dir).begin(true)
  expect(readdirSync(dir)).toEqual([])
})

test('what is left to the patrol says what it holds, and can still be taken back', () => {
  const dir = tempDir('spool')
  const spool = spoolIn(dir)
  const [errors, others] = [spool.begin(true), spool.begin(false)]
  for (const file of [errors, others]) file.append(Buffer.from('x'))
  expect([errors.keep(2), others.keep(3)]).toEqual([true, true])
  expect(filesIn(dir)).toEqual(['0.2.errors.otlp', '1.3.others.otlp'])
  errors.discard()
  expect(filesIn(dir)).toEqual(['1.3.others.otlp'])
})

test('beyond its size what is no error goes first, the oldest first, and each span that goes is counted', () => {
  const dir = tempDir('spool')
  let dropped = 0
  const spool = spoolIn(dir, { maxBytes: 100, onDropped: (spans) => (dropped += spans) })
  const keep = (bytes: number, isErrors: boolean): boolean => {
    const file = spool.begin(isErrors)
    file.append(Buffer.alloc(bytes))
    return file.keep(isErrors ? 2 : 3)
  }
  expect(keep(101, false)).toBe(false)
  expect(keep(50, true)).toBe(true)
  expect(keep(40, false)).toBe(true)
  expect(filesIn(dir)).toEqual(['0.2.errors.otlp', '1.3.others.otlp'])
  expect(keep(30, true)).toBe(true)
  expect(filesIn(dir)).toEqual(['0.2.errors.otlp', '2.2.errors.otlp'])
  expect(dropped).toBe(3)
  expect(keep(30, false)).toBe(false)
  expect(keep(30, true)).toBe(true)
  expect(filesIn(dir).filter((file) => file.endsWith('.otlp'))).toHaveLength(2)
  expect(dropped).toBe(5)
})

test('beyond a thousand files the oldest go too: to look at each keeps the app waiting', () => {
  const dir = tempDir('spool')
  let dropped = 0
  const spool = spoolIn(dir, { onDropped: (spans) => (dropped += spans) })
  mkdirSync(join(dir, 'spool'))
  for (let n = 0; n < 1_100; n++) writeFileSync(join(dir, 'spool', `${WORKER}.${n}.2.others.otlp`), 'x')
  const file = spool.begin(false)
  file.append(Buffer.from('new'))
  expect(file.keep(1)).toBe(true)
  expect(filesIn(dir)).toHaveLength(1_000)
  expect(filesIn(dir)).toContain('0.1.others.otlp')
  expect(dropped).toBe(2 * 101)
})

test('a process that its journal does not know keeps nothing yet', () => {
  const dir = tempDir('spool')
  let isKnown = false
  const file = spoolIn(dir, { isKnown: () => isKnown }).begin(false)
  expect(file.append(Buffer.from('x'))).toBe(false)
  expect(readdirSync(dir)).toEqual([])
  isKnown = true
  expect(file.append(Buffer.from('x'))).toBe(true)
})

test('where nothing can be written, that is said, and nothing throws', () => {
  const dir = tempDir('spool')
  writeFileSync(join(dir, 'spool'), '')
  const file = spoolIn(dir).begin(false)
  expect(file.append(Buffer.from('x'))).toBe(false)
  expect(file.keep(1)).toBe(false)
  file.discard()
})
