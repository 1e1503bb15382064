import { mkdirSync, statSync, symlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { makeFolder } from '../src/make-folder.ts'
import { tempDir } from '../../testing/src/temp-dir.ts'

test('a folder and those above it are made, for nobody else to look into', () => {
  const dir = tempDir('folder')
  makeFolder(join(dir, 'a', 'b', 'c'))
  for (const path of ['a', 'a/b', 'a/b/c']) expect(statSync(join(dir, path)).mode & 0o777).toBe(0o700)
})

test('one that is there stays as it is, also behind a link', () => {
  const dir = tempDir('folder')
  mkdirSync(join(dir, 'there'), { mode: 0o755 })
  symlinkSync(join(dir, 'there'), join(dir, 'link'))
  for (const name of ['there', 'link']) makeFolder(join(dir, name))
  expect(statSync(join(dir, 'there')).mode & 0o777).toBe(0o755)
})

test('a file in the way is an error', () => {
  const dir = tempDir('folder')
  writeFileSync(join(dir, 'file'), '')
  expect(() => makeFolder(join(dir, 'file'))).toThrow('EEXIST')
  expect(() => makeFolder(join(dir, 'file', 'below', 'it'))).toThrow('ENOTDIR')
})

test('where no folder can ever be made, it ends with an error', () => {
  // mkdirSync(path, { recursive: true }) would try again for ever here.
  expect(() => makeFolder('/proc/afterspan/journal')).toThrow('ENOENT')
})
