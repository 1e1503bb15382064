import { existsSync, mkdirSync, readFileSync, statSync, symlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { createFlightFile, FLIGHT, readFlightFile } from '../../src/journal/flight.ts'
import { listSlotFiles, removeSlotFile } from '../../src/journal/slot-file.ts'
import { tempDir } from '../../../testing/src/temp-dir.ts'
import { received, requestRef, spanId, WEB, WORKER } from '../sample-events.ts'

function setUp(dir = tempDir('flight')): {
  readonly dir: string
  readonly path: string
  readonly log: ReturnType<typeof createFlightFile>
  readonly troubles: string[]
} {
  const troubles: string[] = []
  const log = createFlightFile(dir, WEB, (error) => troubles.push(error.code ?? error.message))
  return { dir, path: join(dir, 'flight', `${WEB}.slots`), log, troubles }
}

test('a request stands in the file from open on, with all that is known of it', () => {
  const { dir, path, log } = setUp()
  expect(existsSync(path)).toBe(false)
  const one = received(1_700_000_000_000, 1, { parentSpanId: spanId(3) })
  const two = received(1_700_000_000_001, 2, { origin: requestRef(2, false), method: 'M-SEARCH', target: '/a b?%20' })
  expect([log.open(one), log.open(two)]).toEqual([0, 1])
  expect(readFlightFile(dir, WEB)).toEqual([one, two])
  expect(statSync(path).mode & 0o777).toBe(0o600)
  expect(listSlotFiles(dir, FLIGHT)).toEqual([WEB])
})

test('an ended one is gone when close returns', () => {
  const { dir, log } = setUp()
  const slots = [1, 2, 3].map((n) => log.open(received(n, n)))
  log.close(slots[1]!)
  expect(readFlightFile(dir, WEB)).toEqual([received(1, 1), received(3, 3)])
})

test('the next request takes the place of an ended one, so that the file does not grow with traffic', () => {
  const { dir, path, log } = setUp()
  for (let n = 1; n <= 1_000; n++) {
    const slot = log.open(received(n, n))
    expect(readFlightFile(dir, WEB)).toEqual([received(n, n)])
    log.close(slot)
  }
  expect(statSync(path).size).toBeLessThanOrEqual(256)
})

test('a shorter one over a longer one is read as it was written', () => {
  const { dir, log } = setUp()
  log.close(log.open(received(1, 1, { target: `/${'x'.repeat(150)}` })))
  log.open(received(2, 2, { target: '/' }))
  expect(readFlightFile(dir, WEB)).toEqual([received(2, 2, { target: '/' })])
})

test('what does not fit into a slot is cut, and does not touch the next one', () => {
  const { dir, log } = setUp()
  for (const n of [1, 2, 3]) log.open(received(n, n, { target: `/${'x'.repeat(1_000)}` }))
  const read = readFlightFile(dir, WEB)
  expect(read.map(({ origin }) => origin)).toEqual([1, 2, 3].map((n) => requestRef(n)))
  for (const { target } of read) expect(target).toMatch(/^\/x{100,255}$/)
})

test('a path with bytes beyond ASCII, which Node gives as latin1, is read as it was; so is a time of any length', () => {
  const { dir, log } = setUp()
  const requests = [1, 999, 1_700_000_000_000, 9_999_999_999_999].map((at, n) =>
    received(at, n + 1, { target: '/caf\u00e9/\u00ff', method: 'M-SEARCH' }),
  )
  for (const request of requests) log.open(request)
  expect(readFlightFile(dir, WEB)).toEqual(requests)
})

test('beyond 16,384 at once they are not noted, and the places are free again when others end', () => {
  const { dir, path, log, troubles } = setUp()
  for (let n = 0; n < 16_384; n++) log.open(received(n, n))
  expect(log.open(received(1, 99_999))).toBe(-1)
  expect(statSync(path).size).toBeLessThanOrEqual(16_384 * 256)
  log.close(7)
  expect(log.open(received(1, 99_999))).toBe(7)
  expect(readFlightFile(dir, WEB)).toHaveLength(16_384)
  expect(troubles).toEqual([])
})

test('an orderly end takes the file away, unless something is in flight', () => {
  const { dir, path, log } = setUp()
  const slots = [log.open(received(1, 1)), log.open(received(2, 2))]
  log.close(slots[0]!)
  log.remove()
  expect(readFlightFile(dir, WEB)).toEqual([received(2, 2)])
  log.close(slots[1]!)
  log.remove()
  expect(existsSync(path)).toBe(false)
  log.remove()
})

test('a file that cannot be written is told once, requests are then not noted, and nothing throws', () => {
  const dir = tempDir('flight')
  writeFileSync(join(dir, 'flight'), 'in the way')
  const { log, troubles } = setUp(dir)
  expect([log.open(received(1)), log.open(received(2))]).toEqual([-1, -1])
  log.close(0)
  log.remove()
  expect(troubles).toEqual(['EEXIST'])
})

test('an existing file is not written to, nor through a symbolic link', () => {
  const dir = tempDir('flight')
  mkdirSync(join(dir, 'flight'))
  writeFileSync(join(dir, 'precious'), 'precious')
  symlinkSync(join(dir, 'precious'), join(dir, 'flight', `${WEB}.slots`))
  const { log, troubles } = setUp(dir)
  expect(log.open(received(1))).toBe(-1)
  expect(troubles).toEqual(['EEXIST'])
  expect(readFileSync(join(dir, 'precious'), 'utf8')).toBe('precious')
})

test('a file that is missing, or no file, holds nothing; removing it is harmless', () => {
  const dir = tempDir('flight')
  mkdirSync(join(dir, 'flight', `${WEB}.slots`), { recursive: true })
  for (const key of [WEB, WORKER]) {
    expect(readFlightFile(dir, key)).toEqual([])
    expect(() => removeSlotFile(dir, key, FLIGHT)).not.toThrow()
  }
  expect(listSlotFiles(join(dir, 'elsewhere'), FLIGHT)).toEqual([])
})

test('whatever is in the file, reading it does not throw, and invents nothing', () => {
  const dir = tempDir('flight')
  const { log, path } = setUp(dir)
  const noted = [1, 2, 3].map((n) => received(n, n))
  for (const request of noted) log.open(request)
  const whole = readFileSync(path)
  const damage = fc.record({ at: fc.nat(whole.length - 1), bytes: fc.uint8Array({ maxLength: 300 }) })
  const property = fc.property(damage, fc.nat(whole.length), ({ at, bytes }, length) => {
    const damaged = Buffer.from(whole)
    damaged.set(bytes.subarray(0, whole.length - at), at)
    writeFileSync(path, damaged.subarray(0, length))
    expect(readFlightFile(dir, WEB).length).toBeLessThanOrEqual(noted.length)
  })
  expect(() => fc.assert(property, { numRuns: 300 })).not.toThrow()
})
