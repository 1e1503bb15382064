import { chmodSync, chownSync, existsSync, mkdirSync, statSync, symlinkSync, writeFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { describe, expect, test } from 'vitest'
import { findLedgerDir, nameLedgerDir, openLedgerDir } from '../src/ledger-dir.ts'
import { tempDir } from '../../testing/src/temp-dir.ts'

const isRoot = process.getuid?.() === 0

describe('the folder is', () => {
  test.for<[string, Record<string, string>, string | undefined]>([
    ['/given', { XDG_STATE_HOME: '/state', HOME: '/home/me' }, '/given'],
    ['given', {}, resolve('given')],
    ['', { XDG_STATE_HOME: '/state', HOME: '/home/me' }, '/state/afterspan'],
    ['', { XDG_STATE_HOME: 'relative', HOME: '/home/me' }, '/home/me/.local/state/afterspan'],
    ['', { XDG_STATE_HOME: '', HOME: '/home/me' }, '/home/me/.local/state/afterspan'],
    ['', { STATE_DIRECTORY: '/var/lib/shop:/var/lib/more', HOME: '/home/me' }, '/var/lib/shop/afterspan'],
    ['', { XDG_STATE_HOME: '/state', STATE_DIRECTORY: '/var/lib/shop' }, '/state/afterspan'],
    ['', { HOME: 'relative' }, undefined],
    ['', { HOME: '' }, undefined],
    ['', {}, undefined],
  ])('given %j and %j: %s', ([given, env, expected]) => {
    expect(nameLedgerDir(given, env)).toBe(expected)
  })
})

describe('a folder that is there for several to write to, as a volume of Kubernetes is, was refused', () => {
  const user = process.getuid?.() ?? 0
  test.for([0o777, 0o2770, 0o1777])('one of our own in it is taken: %o', (mode) => {
    const volume = tempDir('volume')
    chmodSync(volume, mode)
    const own = join(volume, `ledger-${user}`)
    expect(nameLedgerDir(volume, {})).toBe(own)
    expect(openLedgerDir(own)).toEqual({ dir: own })
    expect(statSync(own).mode & 0o777).toBe(0o700)
  })
  test('also when the next mount has given all in it to a group', () => {
    const volume = tempDir('volume')
    const own = join(volume, `ledger-${user}`)
    mkdirSync(own)
    for (const dir of [volume, own]) chmodSync(dir, 0o2770)
    expect(openLedgerDir(nameLedgerDir(volume, {}))).toEqual({ dir: own })
  })
  test.skipIf(!isRoot)('not where it is another user’s alone', () => {
    const dir = tempDir('ledger')
    chownSync(dir, 12_345, 12_345)
    expect(nameLedgerDir(dir, {})).toBe(dir)
  })
  test('a folder of our own is taken as it is', () => {
    const dir = tempDir('ledger')
    expect(nameLedgerDir(dir, {})).toBe(dir)
  })
})

describe('the folder is made, and is trusted', () => {
  test('with the folders above it, for nobody else to look into', () => {
    const dir = join(tempDir('ledger'), 'a', 'b')
    expect(openLedgerDir(dir)).toEqual({ dir })
    expect(statSync(dir).mode & 0o777).toBe(0o700)
    expect(openLedgerDir(dir)).toEqual({ dir })
  })
  test('with a name of any length', () => {
    const dir = join(tempDir('ledger'), 'x'.repeat(200), 'y'.repeat(200))
    expect(openLedgerDir(dir)).toEqual({ dir })
  })
})

describe('the folder is refused, with the reason', () => {
  function troubleOf(dir: string | undefined): string {
    const place = openLedgerDir(dir)
    return 'trouble' in place ? place.trouble : `no trouble with ${place.dir}`
  }
  test('where none can be named', () => {
    expect(troubleOf(undefined)).toContain('AFTERSPAN_LEDGER_DIR, XDG_STATE_HOME, STATE_DIRECTORY and HOME')
  })
  test.for([0o777, 0o770, 0o720, 0o702, 0o1777])('where others may write to it: %o', (mode) => {
    const dir = tempDir('ledger')
    chmodSync(dir, mode)
    expect(troubleOf(dir)).toMatch(`others may write to ${dir}`)
  })
  test.skipIf(!isRoot)('where it belongs to somebody else', () => {
    const dir = tempDir('ledger')
    chownSync(dir, 12_345, 12_345)
    expect(troubleOf(dir)).toContain('belongs to another user (uid 12345)')
  })
  test('where it is a link, wherever that leads', () => {
    const dir = tempDir('ledger')
    mkdirSync(join(dir, 'real'), { mode: 0o700 })
    symlinkSync(join(dir, 'real'), join(dir, 'link'))
    expect(troubleOf(join(dir, 'link'))).toContain('is not a folder')
    symlinkSync(join(dir, 'nowhere'), join(dir, 'dangling'))
    expect(troubleOf(join(dir, 'dangling'))).toContain('cannot be used')
  })
  test('where it, or one above it, is a file', () => {
    const dir = tempDir('ledger')
    writeFileSync(join(dir, 'file'), '')
    expect(troubleOf(join(dir, 'file'))).toContain('EEXIST')
    expect(troubleOf(join(dir, 'file', 'below'))).toContain('ENOTDIR')
  })
  test('where it can never be made', () => {
    expect(troubleOf('/proc/afterspan/ledger')).toContain('ENOENT')
  })
  test.skipIf(isRoot)('where it cannot be entered', () => {
    const dir = tempDir('ledger')
    chmodSync(dir, 0o400)
    expect(troubleOf(dir)).toContain('EACCES')
    chmodSync(dir, 0o700)
  })
})

describe('before there is something to keep', () => {
  test('the folder is not made', () => {
    const dir = join(tempDir('ledger'), 'a', 'b')
    expect(findLedgerDir(dir)).toEqual({ dir })
    expect(existsSync(join(dir, '..'))).toBe(false)
  })
  test('one that could never be made, or is not to be trusted, is refused', () => {
    const dir = tempDir('ledger')
    writeFileSync(join(dir, 'file'), '')
    chmodSync(dir, 0o777)
    expect(findLedgerDir(dir)).toEqual({ trouble: `others may write to ${dir} (mode 777): allowed is 700` })
    for (const name of [join(dir, 'file'), join(dir, 'file', 'below', 'it'), undefined])
      expect(findLedgerDir(name)).toHaveProperty('trouble')
  })
  test.skipIf(isRoot)('one whose place is closed to us is refused', () => {
    const dir = tempDir('ledger')
    chmodSync(dir, 0o500)
    expect(findLedgerDir(join(dir, 'a', 'b'))).toEqual({ trouble: expect.stringContaining('EACCES') as string })
    chmodSync(dir, 0o700)
  })
})
