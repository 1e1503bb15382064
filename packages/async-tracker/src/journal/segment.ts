// One process and thread writes one row of segments: <dir>/journal/<nonce>.<thread>.<number>.wal
import { readdirSync } from 'node:fs'
import { join } from 'node:path'

export interface SegmentName {
  /** `<nonce>.<thread>`: who writes it. */
  readonly key: string
  readonly number: number
}

export function journalDir(dir: string): string {
  return join(dir, 'journal')
}

export function segmentFile({ key, number }: SegmentName): string {
  return `${key}.${String(number).padStart(6, '0')}.wal`
}

export function segmentPath(dir: string, file: string): string {
  return join(journalDir(dir), file)
}

/** Undefined for a file that is not a segment. */
export function parseSegmentFile(file: string): SegmentName | undefined {
  const found = /^([0-9a-f]{16}\.\d{1,9})\.(\d{6,9})\.wal$/.exec(file)
  return found ? { key: found[1]!, number: Number(found[2]) } : undefined
}

/** Who has a journal there. */
export function listKeys(dir: string): string[] {
  try {
    return readdirSync(journalDir(dir)).flatMap((file) => parseSegmentFile(file)?.key ?? [])
  } catch {
    return []
  }
}
