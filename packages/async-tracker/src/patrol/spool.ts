// Spans that a process could not deliver before it ended: whole export requests, one file each, sent by whoever patrols.
import { readdirSync, readFileSync, statSync, unlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { EpochMs, Spool } from '@afterspan/core/internal'
import { makeFolder } from '../make-folder.ts'

const MOST_BYTES = 32 * 1024 * 1024
const MOST_FILES_A_ROUND = 20
/** Younger files may still be in the sending by their own process. */
const REST_MS = 1_500

export function createSpool(dir: string, key: string): Spool {
  let number = 0
  return (body) => {
    try {
      const folder = join(dir, 'spool')
      makeFolder(folder)
      if (sizeOf(folder) + body.length > MOST_BYTES) return undefined
      const file = join(folder, `${key}.${number++}.otlp`)
      writeFileSync(file, body, { flag: 'wx', mode: 0o600 })
      return () => {
        unlinkSync(file)
      }
    } catch {
      return undefined
    }
  }
}

function sizeOf(folder: string): number {
  return readdirSync(folder).reduce((sum, file) => sum + statSync(join(folder, file)).size, 0)
}

export function readSpool(dir: string, now: EpochMs): { readonly file: string; readonly body: Uint8Array }[] {
  const folder = join(dir, 'spool')
  try {
    return readdirSync(folder)
      .filter((file) => file.endsWith('.otlp') && now - statSync(join(folder, file)).mtimeMs > REST_MS)
      .slice(0, MOST_FILES_A_ROUND)
      .map((file) => ({ file, body: readFileSync(join(folder, file)) }))
  } catch {
    return []
  }
}

export function removeSpooled(dir: string, file: string): void {
  try {
    unlinkSync(join(dir, 'spool', file))
  } catch {
    // its own process has delivered it
  }
}
