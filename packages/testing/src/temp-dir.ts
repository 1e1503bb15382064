import { mkdtempSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { removeAtEnd } from './at-end.ts'

/** A new empty folder, removed with all in it when the runner ends. The path is short: a socket's path may have 107 bytes. */
export function tempDir(name = 'test'): string {
  const folder = mkdtempSync(join(tmpdir(), `afs-${name}-`))
  removeAtEnd(folder)
  return folder
}
