// What processes left of which nothing is known: they were killed while the disk was full, or nothing that their journal holds can be
// understood. It would be looked at in each sweep, for ever, and a folder of very many such files hides the others.
import { lstatSync } from 'node:fs'
import { doorPath, knock } from '../door.ts'
import { FLIGHT } from '../journal/flight.ts'
import { segmentPath } from '../journal/segment.ts'
import { slotPath } from '../journal/slot-file.ts'
import { TIMERS } from '../journal/timer-file.ts'
import type { LedgerStore } from '../ledger/store.ts'
import { keysIn, removeRead } from './remove-read.ts'
import { listSegments, tail, type Segment } from './tail.ts'

/** Whoever lives for so long has said something that can be read; and makes the files again where he has not. */
const NOBODYS_AFTER_MS = 3_600_000

/** Spans that can be read in what they left are still sent. */
export async function removeNobodysFiles(
  dir: string,
  now: number,
  ledger: Pick<LedgerStore, 'processesOf'>,
): Promise<void> {
  const segments = Map.groupBy(listSegments(dir), ({ key }) => key)
  const old = keysIn(dir).filter((key) => pathsOf(dir, key, segments.get(key)).every((path) => isOld(path, now)))
  if (old.length === 0) return
  const known = new Set((await ledger.processesOf(old)).map(({ key }) => key))
  const nobodys = new Set<string>()
  for (const key of old)
    if (!known.has(key) && !saysSomething(dir, segments.get(key)) && (await knock(dir, key)) !== 'held')
      nobodys.add(key)
  if (nobodys.size > 0) removeRead(dir, new Map(), (key) => nobodys.has(key))
}

function pathsOf(dir: string, key: string, segments: readonly Segment[] = []): string[] {
  const slots = [FLIGHT, TIMERS].map((kind) => slotPath(dir, key, kind))
  return [...segments.map(({ file }) => segmentPath(dir, file)), ...slots, doorPath(dir, key)]
}

function isOld(path: string, now: number): boolean {
  const stat = lstatSync(path, { throwIfNoEntry: false })
  return !stat || now - stat.mtimeMs > NOBODYS_AFTER_MS
}

/** Then it is not read yet, or the ledger has lost whose it is. */
function saysSomething(dir: string, segments: readonly Segment[] = []): boolean {
  const { batches, hasMore } = tail(dir, segments, new Map(), () => true)
  return hasMore || batches.length > 0
}
