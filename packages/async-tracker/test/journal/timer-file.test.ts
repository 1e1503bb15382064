import { existsSync, mkdirSync, readFileSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { listSlotFiles, removeSlotFile } from '../../src/journal/slot-file.ts'
import { createTimerFile, readTimerFile, TIMERS } from '../../src/journal/timer-file.ts'
import { tempDir } from '../../../testing/src/temp-dir.ts'
import { requestRef, spawned, taskIdOf, WEB, WORKER } from '../sample-events.ts'

const timer = (n: number, more: Parameters<typeof spawned>[1] = {}): ReturnType<typeof spawned> =>
  spawned(n, { taskId: taskIdOf(n), origin: requestRef(n), name: 'setTimeout', ...more })

function setUp(dir = tempDir('timers')): {
  readonly dir: string
  readonly path: string
  readonly file: ReturnType<typeof createTimerFile>
  readonly troubles: string[]
} {
  const troubles: string[] = []
  const file = createTimerFile(dir, WEB, (error) => troubles.push(error.code ?? error.message))
  return { dir, path: join(dir, 'flight', `${WEB}.timers`), file, troubles }
}

test('a timer stands in the file until it is over, and the next one takes its place', () => {
  const { dir, path, file } = setUp()
  expect(existsSync(path)).toBe(false)
  expect([file.note(timer(1)), file.note(timer(2))]).toEqual([0, 1])
  expect(readTimerFile(dir, WEB)).toEqual([timer(1), timer(2)])
  expect(listSlotFiles(dir, TIMERS)).toEqual([WEB])
  file.over(0)
  expect(readTimerFile(dir, WEB)).toEqual([timer(2)])
  expect(file.note(timer(3, { destination: 'a.js:1' }))).toBe(0)
  expect(readTimerFile(dir, WEB)).toEqual([timer(3, { destination: 'a.js:1' }), timer(2)])
  expect(statSync(path).size).toBeLessThanOrEqual(2 * 512)
})

test('an orderly end takes the file away, unless a timer is left', () => {
  const { path, file } = setUp()
  const slot = file.note(timer(1))
  file.remove()
  expect(existsSync(path)).toBe(true)
  file.over(slot)
  file.remove()
  expect(existsSync(path)).toBe(false)
})

test('one that does not fit is not noted, nor are more than 16,384 at once', () => {
  const { dir, file, troubles } = setUp()
  expect(file.note(timer(1, { route: `/${'x'.repeat(600)}` }))).toBe(-1)
  for (let n = 0; n < 16_384; n++) file.note(timer(1))
  expect(file.note(timer(1))).toBe(-1)
  file.over(9)
  expect(file.note(timer(2))).toBe(9)
  expect(readTimerFile(dir, WEB)).toHaveLength(16_384)
  expect(troubles).toEqual([])
})

test('a file that cannot be written is told once, and nothing throws', () => {
  const dir = tempDir('timers')
  writeFileSync(join(dir, 'flight'), 'in the way')
  const { file, troubles } = setUp(dir)
  expect([file.note(timer(1)), file.note(timer(2))]).toEqual([-1, -1])
  file.over(0)
  file.remove()
  expect(troubles).toEqual(['EEXIST'])
})

test('a file that is missing, or no file, holds nothing; removing it is harmless', () => {
  const dir = tempDir('timers')
  mkdirSync(join(dir, 'flight', `${WEB}.timers`), { recursive: true })
  for (const key of [WEB, WORKER]) {
    expect(readTimerFile(dir, key)).toEqual([])
    expect(() => removeSlotFile(dir, key, TIMERS)).not.toThrow()
  }
  expect(listSlotFiles(join(dir, 'elsewhere'), TIMERS)).toEqual([])
})

test('whatever is in the file, reading it does not throw, and invents nothing', () => {
  const { dir, file, path } = setUp()
  for (const n of [1, 2, 3]) file.note(timer(n))
  const whole = readFileSync(path)
  const damage = fc.record({ at: fc.nat(whole.length - 1), bytes: fc.uint8Array({ maxLength: 600 }) })
  const property = fc.property(damage, fc.nat(whole.length), ({ at, bytes }, length) => {
    const damaged = Buffer.from(whole)
    damaged.set(bytes.subarray(0, whole.length - at), at)
    writeFileSync(path, damaged.subarray(0, length))
    expect(readTimerFile(dir, WEB).length).toBeLessThanOrEqual(3)
  })
  expect(() => fc.assert(property, { numRuns: 300 })).not.toThrow()
})
