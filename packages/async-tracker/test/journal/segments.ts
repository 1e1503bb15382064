import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import type { JournalEvent } from '@afterspan/core/internal'
import { readRecords } from '../../src/journal/reader.ts'
import { journalDir } from '../../src/journal/segment.ts'

export interface SegmentText {
  readonly file: string
  readonly events: readonly JournalEvent[]
  readonly torn: number
  readonly bytes: number
}

/** All segments of a ledger folder, by name: for one writer that is the order in which they were written. */
export function segmentsIn(dir: string): SegmentText[] {
  return readdirSync(journalDir(dir))
    .sort()
    .map((file) => {
      const bytes = readFileSync(join(journalDir(dir), file))
      const { events, torn } = readRecords(bytes, true)
      return { file, events, torn, bytes: bytes.length }
    })
}

/** What was written beside the 'opened' at the beginning of each segment, over all segments. */
export function eventsIn(dir: string): JournalEvent[] {
  return segmentsIn(dir)
    .flatMap(({ events }) => events)
    .filter(({ kind }) => kind !== 'opened')
}
