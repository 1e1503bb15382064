import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

const folders = []

/** A new empty folder, removed with all in it when the bench ends. */
export function tempDir(name = 'bench') {
  const folder = mkdtempSync(join(tmpdir(), `afterspan-${name}-`))
  folders.push(folder)
  return folder
}

process.on('exit', () => {
  for (const folder of folders) rmSync(folder, { recursive: true, force: true })
})
